// A Holdfast daemon as its contract describes it, in memory and with faults to order.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"

#include "holdfast/v1/admin.grpc.pb.h"
#include "holdfast/v1/ingest.grpc.pb.h"

namespace holdfast::client {

// Refuses usage events without api_key_id; quarantines those of the model "poison". Events are
// known by usage.event_id. Thread-safe.
class FakeDaemon final : public v1::IngestService::Service {
 public:
  // How a stream ends, if the test wants it to.
  struct End {
    grpc::Status status;
    std::optional<int> pushback_ms;
  };

  // Listens at address() at once.
  FakeDaemon();
  ~FakeDaemon() override;

  const std::string& address() const { return address_; }

  // Ends the process, so to speak: the journal stays. Start listens again.
  void Stop();
  void Start();
  // Forgets all producers.
  void LoseJournal();

  // The next streams end like this instead of being welcomed, one each.
  void EndNextStream(End end);
  // Streams die at random: before a batch is taken, in the midst of it, or before or after its
  // acknowledgement, with this probability for each batch.
  void DieAtRandom(double probability, uint32_t seed);
  void LiveOn();
  // The next batch is taken, and the stream dies without a word.
  void LoseNextAnswer();
  // Whether batches are acknowledged as journaled, as committed.
  void HoldJournaled(bool hold);
  void HoldCommitted(bool hold);
  // Sends each open stream an acknowledgement of all that it holds.
  void AckAll();
  // Ends all open streams.
  void Break();
  // What Welcome says of limits.
  void SetLimits(uint32_t batch_events_max, uint64_t request_bytes_max);

  // What happened.
  struct Seen {
    std::map<std::string, int> taken;    // How often each event id was taken.
    std::vector<std::string> order;      // Event ids in the order in which they were taken.
    std::vector<std::string> producers;  // By stream.
    std::vector<absl::Time> streams_at;  // When each stream's Hello came.
    size_t received = 0;                 // Events, repetitions included.
    size_t unacknowledged_max = 0;       // The most that one stream had outstanding.
    size_t batch_events_max = 0;
    size_t batch_bytes_max = 0;
    size_t gaps = 0;
  };
  Seen seen() const;

  // Waits until `condition` holds for what was seen. Whether it does, within a minute.
  bool AwaitSeen(const std::function<bool(const Seen&)>& condition) const;

 private:
  struct Producer {
    uint64_t last = 0;
    std::map<uint64_t, v1::EventError> refused;
  };
  struct OpenStream {
    grpc::ServerContext* context;
    grpc::ServerReaderWriter<v1::StreamResponse, v1::StreamRequest>* stream;
    std::string producer_id;
    uint64_t received_through = 0;
    uint64_t acked_through = 0;
    // Acknowledged no further than this, if the Hello says where the stream begins.
    std::optional<uint64_t> carried_through;
    absl::Mutex write_mu;
  };

  grpc::Status Stream(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::StreamResponse, v1::StreamRequest>* stream) override;
  std::optional<grpc::Status> Greet(OpenStream& open);
  // Nullopt: go on.
  std::optional<grpc::Status> TakeBatch(OpenStream& open, const v1::EventBatch& batch);
  v1::EventError TakeEvent(Producer& producer, uint64_t sequence, const v1::Event& event)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SendAck(OpenStream& open, bool journaled, bool committed);
  void Send(OpenStream& open, const v1::StreamResponse& response);
  bool Chance(double probability) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  std::string folder_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;

  mutable absl::Mutex mu_;
  std::map<std::string, Producer> producers_ ABSL_GUARDED_BY(mu_);
  std::set<OpenStream*> open_ ABSL_GUARDED_BY(mu_);
  std::deque<End> ends_ ABSL_GUARDED_BY(mu_);
  double death_ ABSL_GUARDED_BY(mu_) = 0;
  std::mt19937 random_ ABSL_GUARDED_BY(mu_);
  bool lose_next_answer_ ABSL_GUARDED_BY(mu_) = false;
  bool hold_journaled_ ABSL_GUARDED_BY(mu_) = false;
  bool hold_committed_ ABSL_GUARDED_BY(mu_) = false;
  uint32_t batch_events_max_ ABSL_GUARDED_BY(mu_) = 8192;
  uint64_t request_bytes_max_ ABSL_GUARDED_BY(mu_) = 4 << 20;
  Seen seen_ ABSL_GUARDED_BY(mu_);
};

}  // namespace holdfast::client
