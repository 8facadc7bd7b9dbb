// A gateway with a stream: numbers its events from 1, sends what was not taken once more, and
// checks what it is told.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "server/pipeline/pipeline.h"
#include "tests/sim/failure.h"
#include "tests/sim/random.h"
#include "tests/sim/report.h"

namespace holdfast::sim {

// What a gateway needs to know of where it is.
struct GatewayWorld {
  uint64_t seed = 0;
  base::Clock* clock = nullptr;
  Failure* failure = nullptr;
  Report* report = nullptr;
  // Whether the event is in the database, as far as that can be seen; null: not to be asked.
  std::function<bool(const v1::Event&)> is_settled;
};

class Gateway {
 public:
  // `number`: tells it from all others.
  Gateway(const GatewayWorld& world, uint64_t number);
  ~Gateway();

  // A stream to this pipeline, in the place of an earlier one, which must be over or forgotten.
  void Attach(pipeline::Pipeline& pipeline);
  // Ends the stream.
  void Detach();
  // Another stream of the same producer, without ending the first.
  void TakeOver();
  // The process at the other end is gone: nothing more is heard.
  void Forget();

  // Sends so many new events, after `again` of those before; attaches if it has to.
  void Send(pipeline::Pipeline& pipeline, uint64_t count, uint64_t again);

  // Brings what it has sent to its end: attaches, and sends one event more if there is nothing to
  // wait for.
  void SendOn(pipeline::Pipeline& pipeline);

  // The daemon says that part of its journal is damaged, or cannot say: what was acknowledged may
  // be missing. If it is, the gateway starts over as another producer, as a client would.
  void Excuse() { excused_ = true; }

  // All that it sent, and something in this life.
  bool all_committed() const {
    return sent_in_this_life_ && committed_ == sent_ && sent_ == accepted_;
  }

  // What it sent as one producer; those before the last were given up.
  struct Sent {
    uint64_t number = 0;
    uint64_t accepted = 0;  // The journal has said so, in one way or another.
    uint64_t sent = 0;      // May have come as far.
    bool excused = false;
  };
  std::vector<Sent> history() const;

 private:
  class Stream;
  void OnProgress(uint64_t journaled, uint64_t committed);
  void OnRejected(const writer::Rejection& rejection);
  void CheckSettled(uint64_t first, uint64_t last);
  void StartOver();
  void Resume(uint64_t held);
  v1::Event At(uint64_t sequence) const;

  const GatewayWorld world_;
  uint64_t number_;
  event::Id producer_;
  pipeline::Pipeline* pipeline_ = nullptr;
  std::unique_ptr<Stream> stream_;
  std::vector<std::unique_ptr<Stream>> ended_;  // Of this life; the pipeline may still know them.
  uint64_t sent_ = 0;
  bool sent_in_this_life_ = false;
  uint64_t journaled_ = 0;  // Acknowledged.
  uint64_t committed_ = 0;
  uint64_t accepted_ = 0;  // Acknowledged, or found by a journal that was opened.
  bool excused_ = false;
  std::vector<Sent> given_up_;
};

}  // namespace holdfast::sim
