// What a peer may do on an HTTP/2 connection, before gRPC sees a byte of it.
//
// gRPC (1.51) takes memory without bound for two things that cost a peer nothing: streams that are
// opened and reset at once, and header blocks that never end. Here both are limited by looking at
// the headers of frames alone:
//
//   - A header block has a greatest size, a greatest number of frames, and a deadline.
//   - Frames that make work and bring no event (resets, settings, pings, updates, crumbs of data)
//     cost points. Points come back at a steady rate, for each connection and for each peer.
//     Without points a connection is not read from until it has some again; one that has to be held
//     back for long is closed.
//   - The streams of all connections together are limited.
//
// A gateway that sends events spends next to none. A storm of expired deadlines is slowed down, not
// refused: each RESET_STREAM costs ten points.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "server/gate/frame_scanner.h"

namespace holdfast::gate {

struct ConductLimits {
  // The encoded headers of one request. A block beyond gRPC's own limit (metadata_bytes_max), and
  // not beyond this, is answered by gRPC with a status; beyond this the connection is closed.
  size_t header_block_bytes_max = size_t{32} << 10;
  int header_block_frames_max = 8;

  // Points of one connection and of all connections of a peer: how many at most, how many come back
  // in a second. Less: storms of cancelled calls take longer. More: more memory in a flood, about
  // 40 KiB for each reset (10 points) that gRPC has not yet worked off.
  double connection_points = 5000;
  double connection_points_per_second = 5000;
  double peer_points = 10000;
  double peer_points_per_second = 10000;

  // Pings of a client between two answers: clients ask after an answer how long its way was, and in
  // silence whether anybody is there, seldom. One comes back every two seconds. gRPC closes for a
  // third one too soon, but its work for those in between grows with the square of their number.
  double pings = 16;
  double pings_per_second = 0.5;

  // GOAWAYs of one connection.
  int goaways_max = 4;

  // A connection that is held back for longer, without having been at rest between, is closed.
  absl::Duration held_back_max = absl::Seconds(30);

  // The preface, and each header block, must be complete after so long.
  absl::Duration headers_timeout = absl::Seconds(10);

  // Streams of one connection, and of all connections together. gRPC tells clients of a limit of
  // its own, and keeps to it only once they have agreed: this one holds whatever they say.
  size_t connection_streams_max = 192;
  size_t streams_max = 4096;

  // InvalidArgument, naming the field.
  absl::Status Validate() const;
};

// Points that are spent and come back. A pure value.
class Allowance {
 public:
  Allowance(double most, double per_second) : most_(most), per_second_(per_second), points_(most) {}

  // May leave a debt.
  void Spend(double points, absl::Time now);

  // How long until there is no debt.
  absl::Duration Wait(absl::Time now);

  // All points are there again.
  void Restore() { points_ = most_; }

  // Whether nearly nothing is spent: whoever has it is at rest.
  bool at_rest(absl::Time now);

 private:
  void Refill(absl::Time now);

  double most_;
  double per_second_;
  double points_;
  absl::Time refilled_at_ = absl::InfinitePast();
};

// Watches one connection, both directions. Not thread-safe; neither are the things that it shares
// with others: they all belong to one thread.
class Conduct {
 public:
  // `of_peer` is shared by the connections of one peer, `open_streams` by all there are; that and
  // `limits` must outlive it. While the peer is in debt, a new connection of it waits as well.
  Conduct(const ConductLimits& limits, std::shared_ptr<Allowance> of_peer, size_t* open_streams,
          absl::Time now);
  ~Conduct();

  Conduct(const Conduct&) = delete;
  Conduct& operator=(const Conduct&) = delete;

  // Looks at the next bytes from the peer, or to it. An error ends the connection, and nothing of
  // `bytes` may be handed on: INVALID_ARGUMENT for what is no HTTP/2, OUT_OF_RANGE for a header
  // block, RESOURCE_EXHAUSTED for too many streams.
  absl::Status LookAtRequest(absl::string_view bytes, absl::Time now);
  absl::Status LookAtResponse(absl::string_view bytes, absl::Time now);

  // How long nothing may be read from the peer. RESOURCE_EXHAUSTED once that has been too long.
  absl::StatusOr<absl::Duration> HoldBack(absl::Time now);

  // DEADLINE_EXCEEDED if the preface or a header block is overdue. `deadline()` is when to ask.
  absl::Status CheckDeadline(absl::Time now) const;
  absl::Time deadline() const { return deadline_; }

  bool past_preface() const { return requests_.past_preface(); }
  // Whether a frame of ours may be put in after the last response.
  bool between_responses() const { return responses_.between_frames(); }
  size_t open_streams() const { return streams_.size(); }

 private:
  absl::Status Charge(absl::Status status, absl::Time now);
  absl::Status Judge(const FrameHeader& header, absl::Time now);
  absl::Status JudgeHeaders(const FrameHeader& header);
  absl::Status JudgePing(const FrameHeader& header, absl::Time now);
  void CloseStream(uint32_t stream);
  void Spend(double points, absl::Time now);

  const ConductLimits& limits_;
  const std::shared_ptr<Allowance> of_peer_;
  size_t* const all_streams_;

  FrameScanner requests_{FrameScanner::Direction::kFromClient};
  FrameScanner responses_{FrameScanner::Direction::kFromServer};
  Allowance own_;
  Allowance pings_;
  int goaways_ = 0;
  absl::Duration held_back_;
  absl::Time deadline_;

  bool any_frame_ = false;
  uint32_t last_stream_ = 0;
  uint32_t block_stream_ = 0;  // Whose header block is under way; 0 if none is.
  bool block_ends_ = false;    // Its last frame has begun.
  size_t block_bytes_ = 0;
  int block_frames_ = 0;
  absl::flat_hash_set<uint32_t> streams_;  // Open, as far as the peer can know.
};

}  // namespace holdfast::gate
