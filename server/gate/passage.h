// One connection through the gate: the peer on one side, gRPC on the other, and between them what
// looks at the frames.
//
//   shaking hands --> before the preface --> open --> closing --> over
//
// gRPC gets its end, one of a pair of sockets, when the preface has come: of whoever does not speak
// HTTP/2, or says nothing, it never hears.

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "server/gate/conduct.h"
#include "server/gate/wire.h"

namespace holdfast::gate {

// Not thread-safe.
class Passage {
 public:
  // `peer_key` names the peer among all. `conduct` watches this connection alone.
  Passage(std::unique_ptr<Wire> peer, std::string peer_key, std::unique_ptr<Conduct> conduct,
          absl::Time now);
  ~Passage();

  Passage(const Passage&) = delete;
  Passage& operator=(const Passage&) = delete;

  // Moves what can be moved, by way of `scratch`. `open` gets gRPC's end and owns it, once. An
  // error is why the peer is shut out; the passage is over then.
  absl::Status Work(absl::Span<char> scratch, absl::Time now,
                    absl::FunctionRef<void(int descriptor)> open);

  // Both sides have ended, or nothing can be moved any more.
  bool over() const { return over_; }
  bool is_shaken() const { return shaken_; }  // Past the handshake.
  bool is_open() const { return inner_ >= 0; }

  // What each side waits for, as epoll has it; 0: nothing.
  uint32_t peer_events() const;
  uint32_t inner_events() const;

  // When Work is due though neither side has stirred.
  absl::Time due() const;

  int peer_descriptor() const { return peer_->descriptor(); }
  int inner_descriptor() const { return inner_; }
  const std::string& peer_key() const { return peer_key_; }

 private:
  absl::Status ReadRequests(absl::Span<char> scratch, absl::Time now,
                            absl::FunctionRef<void(int)> open);
  absl::Status HandOn(absl::string_view bytes, absl::FunctionRef<void(int)> open);
  absl::Status Open(absl::FunctionRef<void(int)> open);
  absl::Status ReadResponses(absl::Span<char> scratch, absl::Time now);
  void Flush(absl::Time now);
  absl::Status CheckTime(absl::Time now);
  void SayGoAway();
  bool MayRead() const;

  const std::unique_ptr<Wire> peer_;
  const std::string peer_key_;
  const std::unique_ptr<Conduct> conduct_;

  int inner_ = -1;  // Our end of the pair.
  bool shaken_ = false;
  bool peer_ended_ = false;   // It sends nothing more.
  bool inner_ended_ = false;  // gRPC has closed its end.
  bool told_inner_ = false;   // That the peer has ended.
  bool over_ = false;
  std::string early_;     // What came before the preface was complete.
  std::string to_inner_;  // Read, looked at, and not yet taken.
  std::string to_peer_;
  absl::Time read_after_ = absl::InfinitePast();       // Held back until then.
  absl::Time stalled_after_ = absl::InfiniteFuture();  // The peer must have taken something.
  absl::Time shake_deadline_;
};

}  // namespace holdfast::gate
