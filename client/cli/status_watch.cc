#include "client/cli/status_watch.h"

#include <iostream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

#include "client/cli/status_command.h"
#include "client/cli/terminal.h"

namespace holdfast::client {
namespace {

// To the first place, then nothing of what was there: a screen that is cleared first would flicker.
constexpr char kHome[] = "\x1b[H";
constexpr char kClearScreen[] = "\x1b[2J";
constexpr char kClearBelow[] = "\x1b[J";

struct Look {
  v1::GetStatusResponse status;
  absl::Time at;
};

class Watcher {
 public:
  explicit Watcher(const std::string& address) : address_(address), in_place_(IsWatched()) {
    if (in_place_) std::cout << kClearScreen;
  }

  int Show(const absl::StatusOr<v1::GetStatusResponse>& status) {
    const absl::Time now = absl::Now();
    if (!status.ok()) {
      ShowText(now, absl::StrCat("no answer from ", address_, ": ", status.status().message()), "");
      last_.reset();
      return kExitUnavailable;
    }
    std::string rates;
    if (last_.has_value()) {
      rates = FormatRates(last_->status.books(), status->books(), now - last_->at);
    }
    if (in_place_) {
      ShowText(now, FormatStatus(*status, now), rates);
    } else {
      ShowText(now, FormatLine(*status), rates);
    }
    last_ = Look{*status, now};
    return status->missing().empty() ? kExitOk : kExitRejected;
  }

 private:
  void ShowText(absl::Time now, const std::string& text, const std::string& rates) {
    const std::string time = absl::FormatTime("%H:%M:%SZ", now, absl::UTCTimeZone());
    if (in_place_) {
      std::cout << kHome << Paint(Colour::kFaint, absl::StrCat(time, "  Ctrl-C ends"))
                << "\x1b[K\n";
      for (const char c : absl::StrCat(text, "\nRates     ", rates.empty() ? "-" : rates, "\n")) {
        // What an earlier look wrote at the end of this line goes.
        if (c == '\n') std::cout << "\x1b[K";
        std::cout << c;
      }
      std::cout << kClearBelow << std::flush;
      return;
    }
    if (text == said_) return;
    said_ = text;
    std::cout << time << "  " << text << (rates.empty() ? "" : "  ") << rates << "\n" << std::flush;
  }

  const std::string address_;
  const bool in_place_;
  std::optional<Look> last_;
  std::string said_;
};

}  // namespace

std::string FormatRates(const v1::Books& before, const v1::Books& now, absl::Duration elapsed) {
  const double seconds = absl::ToDoubleSeconds(elapsed);
  if (seconds <= 0) return "";
  const auto rate = [seconds](absl::string_view name, uint64_t from, uint64_t to) {
    const double more = static_cast<double>(to) - static_cast<double>(from);
    return absl::StrFormat("%s %.1f/s", name, more / seconds);
  };
  std::string text = rate("accepted", before.accepted(), now.accepted());
  if (!before.complete() || !now.complete()) return text;
  absl::StrAppend(&text, ", ", rate("committed", before.committed(), now.committed()));
  if (now.duplicate() != before.duplicate()) {
    absl::StrAppend(&text, ", ", rate("duplicate", before.duplicate(), now.duplicate()));
  }
  if (now.quarantined() != before.quarantined()) {
    absl::StrAppend(&text, ", ", rate("quarantined", before.quarantined(), now.quarantined()));
  }
  return text;
}

std::string FormatLine(const v1::GetStatusResponse& status) {
  const v1::Books& books = status.books();
  std::string line = status.draining() ? "DRAINING"
                     : status.missing().empty()
                         ? "ready"
                         : absl::StrCat("NOT READY (", status.missing(0), ")");
  absl::StrAppend(&line, "  streams ", status.streams(), "  accepted ", books.accepted());
  if (!books.complete()) return line + "  the rest is not known yet";
  absl::StrAppend(&line, "  committed ", books.committed(), "  duplicate ", books.duplicate(),
                  "  quarantined ", books.quarantined(), "  pending ", books.pending());
  return line;
}

absl::StatusOr<int> WatchStatus(AdminCaller& caller, const Arguments& arguments) {
  const auto every = arguments.GetDuration("every", absl::Seconds(1));
  if (!every.ok()) return every.status();
  const auto times = arguments.GetNumber("times", UINT64_MAX, 1);
  if (!times.ok()) return times.status();
  Watcher watcher(caller.address());
  for (uint64_t look = 1;; ++look) {
    const int code =
        watcher.Show(caller.Call(&AdminCaller::Stub::GetStatus, v1::GetStatusRequest()));
    if (look == *times) return code;
    absl::SleepFor(*every);
  }
}

}  // namespace holdfast::client
