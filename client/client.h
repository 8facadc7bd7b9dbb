// Sends events to a Holdfast daemon and says of each what became of it, exactly once.
//
// Give each event an id of its own where its kind has one (usage.event_id, rate_limit.event_id with
// `hits`, message.ig_message_id): then it counts once whatever happens. Time-ordered UUIDs (version
// 7) insert fastest. Without an id, an event counts once as long as the daemon keeps its journal.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "holdfast/v1/event.pb.h"
#include "holdfast/v1/ingest.pb.h"

namespace holdfast::client {

class Worker;

// A serialized event above this is refused without being sent; the daemon's own limit.
inline constexpr size_t kEventBytesMax = 1 << 20;

// TLS towards a daemon that listens with HOLDFAST_TLS_CERT_FILE. The files are PEM, and read again
// for every connection: changed ones count from the next one on.
struct TlsOptions {
  // The authorities that vouch for the daemon's certificate. Empty: no TLS.
  std::string ca_file;

  // Our certificate and what leads to its authority, and its key, without a passphrase. Both or
  // neither; holdfastd asks for them.
  std::string client_cert_file;
  std::string client_key_file;

  // The name to expect in the daemon's certificate, where that is not the host of the target.
  std::string server_name;

  bool enabled() const { return !ca_file.empty(); }

  // OK, or INVALID_ARGUMENT that names the option, "tls_" before it. Reads no file.
  absl::Status Validate(absl::string_view target) const;
};

struct Options {
  // Where the daemon listens: "unix:/run/holdfast/holdfast.sock" or "host:port".
  std::string target = "unix:/run/holdfast/holdfast.sock";

  // Without it, what is sent goes in plain text: for a Unix socket and this machine.
  TlsOptions tls;

  // The name of this sender, a UUID. Empty: a random one, right for all who do not replay. With one
  // of your own, the first event sent gets the sequence after the last that the daemon holds: to
  // send the same events again, leave out as many as Opened::held_through says. One client at a
  // time.
  std::string producer_id;

  // When the daemon no longer knows what it acknowledged to producer_id (its journal was lost, or
  // another daemon answers): true goes on under a new random id, with all that is not yet answered;
  // false ends the client with FAILED_PRECONDITION.
  bool renew_producer = true;

  // The acknowledgement at which an event is answered OK. JOURNALED or COMMITTED.
  v1::AckLevel ack_level = v1::ACK_LEVEL_JOURNALED;

  // Events on their way to the daemon's journal, at most. Too few: the stream waits for
  // acknowledgements. Too many: more to send again after a broken connection. At least 1.
  size_t window = 16384;

  // What may wait in memory, sent or not. An event stays until it is acknowledged at `ack_level`,
  // so with COMMITTED this also bounds what the daemon may owe. At least 1 event and
  // kEventBytesMax.
  size_t buffer_events_max = 65536;
  size_t buffer_bytes_max = 64 << 20;

  // The most that goes in one request; the daemon's own limits apply as well.
  size_t batch_events_max = 2048;
  size_t batch_bytes_max = 1 << 20;

  // Between attempts to connect: a random part of a bound that doubles from min to max.
  absl::Duration backoff_min = absl::Milliseconds(50);
  absl::Duration backoff_max = absl::Seconds(2);

  // A daemon that asks for a longer pause (grpc-retry-pushback-ms) gets it, up to this.
  absl::Duration pushback_max = absl::Minutes(5);

  // A stream on which something is owed by the daemon's journal and nothing arrives for so long is
  // given up and opened anew. Too short: needless resending while the daemon waits for its disk.
  absl::Duration answer_wait_max = absl::Seconds(30);

  // OK, or INVALID_ARGUMENT that names the option.
  absl::Status Validate() const;
};

// Numbers since Connect, but for the last five, which are of this moment.
struct Stats {
  uint64_t accepted = 0;     // Events that Send took.
  uint64_t sent = 0;         // Events written to a stream, repetitions included.
  uint64_t journaled = 0;    // Events that an acknowledgement covered: on the daemon's disk, or
  uint64_t committed = 0;    //   in the database; the refused and quarantined are among them.
  uint64_t refused = 0;      // Events answered as refused.
  uint64_t quarantined = 0;  // Events that the database refused, as far as this client learnt.
  uint64_t given_up = 0;     // Events answered at Close without an acknowledgement.
  uint64_t reconnects = 0;   // Streams opened after the first one.
  uint64_t producers_renewed = 0;  // Times the daemon had forgotten us; see renew_producer.
  uint64_t buffered_events = 0;
  uint64_t buffered_bytes = 0;
  bool connected = false;
  std::string producer_id;
  // Why there is no connection; OK while there is one. UNAUTHENTICATED: a file of TlsOptions will
  // not do, or one side refused the other's certificate. It is tried again, as after all else.
  absl::Status last_error;
};

// What the daemon said when the first stream was opened.
struct Opened {
  std::string producer_id;
  uint64_t held_through = 0;  // The last sequence of this producer that it already held.
};

// Thread-safe. One background thread and one stream at a time. The connection is made and made
// again in the background; a daemon that is away only shows in Send, once the buffer is full.
class Client final {
 public:
  // Gets an event's outcome:
  //   OK                   it reached ack_level
  //   INVALID_ARGUMENT     refused by the daemon; ErrorOf names the field
  //   ALREADY_EXISTS, FAILED_PRECONDITION  quarantined (only with COMMITTED). What is quarantined
  //                        while the stream is broken is not told again and counts as OK here: the
  //                        whole truth is in holdfast_quarantine.
  //   CANCELLED            given up at Close, never sent: not stored
  //   UNAVAILABLE          given up at Close, sent and not acknowledged: may or may not be stored
  //   ABORTED, and others  the client has ended; see Send
  // Called once, on the client's own thread: be brief. It may call Send, which then does not wait.
  using Callback = absl::AnyInvocable<void(const absl::Status&) &&>;

  // Starts the background thread; does not wait for the daemon. INVALID_ARGUMENT for a bad option.
  // From the first client on gRPC is kept up until the process ends.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const Options& options);

  // As Close without waiting. Not to be called from a callback.
  ~Client();

  // Takes an event, to be sent. Waits for room in the buffer up to `wait_max` (zero: not at all).
  // If it returns OK, `done` is called exactly once; otherwise never:
  //   RESOURCE_EXHAUSTED   no room
  //   INVALID_ARGUMENT     larger than kEventBytesMax
  //   CANCELLED            closed
  //   ABORTED              another client has taken over producer_id; this one has ended
  //   INVALID_ARGUMENT, FAILED_PRECONDITION of the stream: this client has ended; the text says why
  absl::Status Send(const v1::Event& event, absl::Duration wait_max, Callback done);

  // Sends and waits for the outcome. DEADLINE_EXCEEDED: not known yet; the event is still sent. Not
  // to be called from a callback, which gets FAILED_PRECONDITION, as from Flush and Close.
  absl::Status SendAndWait(const v1::Event& event, absl::Duration wait_max);

  // Waits for the first stream. DEADLINE_EXCEEDED with the last failure if there is none yet.
  absl::StatusOr<Opened> WaitOpened(absl::Duration wait_max);

  // Waits until all that Send took before has been answered. DEADLINE_EXCEEDED if it was not. Not
  // to be called from a callback.
  absl::Status Flush(absl::Duration wait_max);

  // Takes no more, waits for the answers of what was taken, answers the rest with CANCELLED or
  // UNAVAILABLE, and ends the thread. DEADLINE_EXCEEDED if some were given up. May be repeated. Not
  // to be called from a callback.
  absl::Status Close(absl::Duration wait_max);

  Stats stats() const;

 private:
  explicit Client(std::unique_ptr<Worker> worker);

  const std::unique_ptr<Worker> worker_;
};

// The daemon's answer behind the status of a refused or quarantined event: field, reason,
// disposition. Nullopt for any other status.
std::optional<v1::EventError> ErrorOf(const absl::Status& status);

}  // namespace holdfast::client
