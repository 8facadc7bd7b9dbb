#include "client/cli/drain_command.h"

#include <algorithm>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "client/cli/admin_call.h"
#include "client/cli/terminal.h"

namespace holdfast::client {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(5);
constexpr absl::Duration kLookEvery = absl::Milliseconds(50);
// A daemon that does not answer once may be busy; it is gone when it does not answer again.
constexpr int kSilencesMax = 3;
// How much longer than it says a daemon may take to end.
constexpr absl::Duration kGrace = absl::Seconds(30);

std::string Pending(const v1::Books& books) {
  return books.complete() ? absl::StrCat(books.pending()) : "an unknown number of";
}

// `last`: the books before the drain began; a daemon with nothing to do may be gone before it is
// looked at. The exit code.
int AwaitEnd(const std::string& host, uint32_t port, absl::Duration drain_timeout, v1::Books last) {
  const absl::Time give_up = absl::Now() + drain_timeout + kGrace;
  Progress progress("draining");
  uint64_t most = last.pending();
  int silences = 0;
  while (silences < kSilencesMax) {
    if (absl::Now() > give_up) {
      progress.Clear();
      std::cerr << "holdfast drain: the daemon is still there, with " << Pending(last)
                << " events to go, " << absl::FormatDuration(kGrace)
                << " after its HOLDFAST_DRAIN_TIMEOUT\n";
      return kExitTemporary;
    }
    const std::optional<v1::GetStatusResponse> status = ReadStatusPage(host, port);
    silences = status.has_value() ? 0 : silences + 1;
    if (status.has_value()) {
      // Not draining: another that was started in its place.
      if (!status->draining()) break;
      last = status->books();
      most = std::max(most, last.pending());
      progress.Show(most - last.pending(), most);
    }
    absl::SleepFor(kLookEvery);
  }
  progress.Clear();
  if (last.complete() && last.pending() == 0) {
    std::cout << "drained: every event is in the database\n";
    return kExitOk;
  }
  std::cout << "the daemon has gone, with " << Pending(last)
            << " events pending when it last answered; they are in its journal, and its next start "
               "delivers them\n";
  return kExitTemporary;
}

absl::StatusOr<int> RunDrain(const Arguments& arguments) {
  absl::StatusOr<AdminCaller> caller = AdminCaller::Make("drain", arguments, kTimeout);
  if (!caller.ok()) return caller.status();
  const auto before = caller->Call(&AdminCaller::Stub::GetStatus, v1::GetStatusRequest());
  if (!before.ok()) return caller->Failed(before.status());
  // Now: once it drains, a page that does not answer is taken for a daemon that has gone.
  const std::string host = HostOf(caller->address());
  const uint32_t port = before->admin_port();
  const bool can_watch = port != 0 && ReadStatusPage(host, port).has_value();
  const auto begun = caller->Call(&AdminCaller::Stub::Drain, v1::DrainRequest());
  if (!begun.ok()) return caller->Failed(begun.status());
  const absl::Duration drain_timeout = absl::Seconds(begun->drain_timeout().seconds()) +
                                       absl::Nanoseconds(begun->drain_timeout().nanos());
  std::cout << "draining: no more events are taken; it ends within "
            << absl::FormatDuration(drain_timeout) << "\n"
            << std::flush;
  if (!arguments.Has("wait")) return kExitOk;
  if (!can_watch) {
    std::cerr
        << "holdfast drain: its end cannot be watched from here: no answer from its admin port "
        << "(HOLDFAST_ADMIN_LISTEN) at " << host << ":" << port << "\n";
    return kExitTemporary;
  }
  return AwaitEnd(host, port, drain_timeout, before->books());
}

}  // namespace

const Command& DrainCommand() {
  static const auto& command = *new Command{
      .name = "drain",
      .group = CommandGroup::kMending,
      .summary = "Ends the daemon in order: no new events, what it holds into the database.",
      .description =
          R"(Starts the same orderly end as SIGTERM: the daemon takes no more events, ends its
streams, writes what it holds until HOLDFAST_DRAIN_TIMEOUT, leaves the rest in the
journal and exits.

With --wait, watches it on the admin port of the same host until it has gone, and tells whether
events were left. An event that is written after the last look, a moment before the end, counts as
left: when in doubt, the answer is 75.
)",
      .flags = {{.name = "wait", .help = "Waits until the daemon has gone."},
                ToFlag(),
                TimeoutFlag("How long to wait for the answer that it has begun. Default: 5s")},
      .endings = {{kExitOk, "it has begun; with --wait: every event is in the database"},
                  {kExitUnavailable, kUnreachableEnding},
                  {kExitTemporary,
                   "with --wait: events were left in the journal, or the end cannot be watched"}},
      .run = RunDrain};
  return command;
}

}  // namespace holdfast::client
