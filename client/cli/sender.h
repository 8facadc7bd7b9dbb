// Reads lines, sends them, and tells how it went.

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "client/cli/line_format.h"
#include "client/cli/line_reader.h"
#include "client/cli/stop_signal.h"
#include "client/cli/tally.h"
#include "client/client.h"

namespace holdfast::client {

struct SenderOptions {
  // A path, or "-" for standard input.
  std::string file;
  LineFormat format = LineFormat::kHoldfast;
  Options client;
  // Without progress for so long it gives up.
  absl::Duration timeout = absl::Seconds(60);
};

// A line above this is unreadable: no event is as large, escapes included.
inline constexpr size_t kLineBytesMax = 8 << 20;

// Runs once. Not thread-safe.
class Sender final {
 public:
  explicit Sender(SenderOptions options);

  // Sends all and prints the summary. Returns the exit code.
  int Run();

 private:
  // Waits for the first connection. False: it said why, and nothing was sent.
  bool Connect();
  absl::StatusOr<Opened> AwaitOpened(absl::Duration wait_max);
  // Whether the last attempt failed for a certificate: before anything was sent there is no sense
  // in trying again.
  bool IsRefused() const;
  // Whether a signal has come; why_ is set then.
  bool ToldToStop();
  void SendAll(LineReader& input);
  // Nullptr: it was too long to be read. False: there is no sense in going on; why_ is set.
  bool SendLine(const std::string* line);
  bool SendEvent(const v1::Event& event, Client::Callback done);
  // Waits for the outcomes that are owed.
  void AwaitOutcomes();
  // Whether nothing has moved for too long, while something was owed. Draws progress.
  bool Stalled();
  void DrawProgress();
  int Summarize();

  const SenderOptions options_;
  const bool repeatable_;  // A producer of its own: lines must keep their numbers.
  const bool draws_;       // Progress, to a terminal.

  std::optional<StopSignal> stop_signal_;
  Tally tally_;  // Outlives the client, whose callbacks write to it.
  std::unique_ptr<Client> client_;
  uint64_t held_through_ = 0;
  uint64_t line_number_ = 0;  // In the file, blank ones included: what an editor shows.
  absl::Status why_;          // Why it stopped before the end.
  absl::Status unread_;       // Why the input could not be read to its end.

  absl::Time begin_;
  absl::Time moved_;  // When there was last any progress.
  uint64_t moved_count_ = 0;
  absl::Time drawn_;
};

}  // namespace holdfast::client
