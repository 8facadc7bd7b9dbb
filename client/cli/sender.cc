#include "client/cli/sender.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "client/cli/connection.h"
#include "client/cli/flags.h"
#include "client/steady_clock.h"

namespace holdfast::client {
namespace {

// How long one wait lasts before progress is looked at again.
constexpr absl::Duration kSlice = absl::Milliseconds(200);

// What a daemon that is away is mentioned after.
constexpr absl::Duration kPatience = absl::Seconds(2);

// What is on its way at the end, or when a signal comes, may be answered for so long.
constexpr absl::Duration kCloseWaitMax = absl::Seconds(5);
constexpr absl::Duration kStopWaitMax = absl::Seconds(2);

}  // namespace

Sender::Sender(SenderOptions options)
    : options_(std::move(options)),
      repeatable_(!options_.client.producer_id.empty()),
      draws_(isatty(STDERR_FILENO) == 1) {}

int Sender::Run() {
  std::ios::sync_with_stdio(false);
  const auto input = LineReader::Open(options_.file, kLineBytesMax);
  if (!input.ok()) {
    std::cerr << "holdfast send: " << input.status().message() << "\n";
    return kExitNoInput;
  }
  // Not before: the opening of a named pipe waits for its writer, and may be broken off.
  stop_signal_.emplace();
  (*input)->StopAt(stop_signal_->descriptor());
  begin_ = moved_ = SteadyNow();
  if (!Connect()) {
    if (!why_.ok()) return kExitTemporary;
    return UnreachableCode({options_.client.target, options_.client.tls});
  }
  SendAll(**input);
  AwaitOutcomes();
  absl::Duration wait_max = kCloseWaitMax;
  if (!why_.ok()) wait_max = absl::IsCancelled(why_) ? kStopWaitMax : absl::ZeroDuration();
  // Answers with an error what is still open; the tally counts it.
  static_cast<void>(client_->Close(wait_max));
  if (draws_) std::cerr << "\r\x1b[K";
  return Summarize();
}

bool Sender::Connect() {
  absl::StatusOr<std::unique_ptr<Client>> client = Client::Connect(options_.client);
  if (!client.ok()) {
    std::cerr << "holdfast send: " << client.status().message() << "\n";
    return false;
  }
  client_ = *std::move(client);
  absl::StatusOr<Opened> opened = AwaitOpened(std::min(kPatience, options_.timeout));
  if (absl::IsDeadlineExceeded(opened.status()) && why_.ok() && !IsRefused() &&
      options_.timeout > kPatience) {
    std::cerr << "holdfast send: " << opened.status().message() << "; trying for "
              << absl::FormatDuration(options_.timeout) << "\n";
    opened = AwaitOpened(options_.timeout - kPatience);
  }
  if (!opened.ok()) {
    std::cerr << "holdfast send: " << (why_.ok() ? opened.status() : why_).message()
              << "\nNothing was sent."
              << (IsRefused()
                      ? ""
                      : " " + UnreachableAdvice({options_.client.target, options_.client.tls}))
              << "\n";
    return false;
  }
  held_through_ = repeatable_ ? opened->held_through : 0;
  moved_ = SteadyNow();
  return true;
}

absl::StatusOr<Opened> Sender::AwaitOpened(absl::Duration wait_max) {
  const absl::Time until = SteadyNow() + wait_max;
  while (true) {
    absl::StatusOr<Opened> opened = client_->WaitOpened(std::min(kSlice, until - SteadyNow()));
    if (!absl::IsDeadlineExceeded(opened.status()) || IsRefused() || SteadyNow() >= until ||
        ToldToStop()) {
      return opened;
    }
  }
}

bool Sender::IsRefused() const { return absl::IsUnauthenticated(client_->stats().last_error); }

bool Sender::ToldToStop() {
  const std::optional<int> signal = stop_signal_->Take();
  if (!signal.has_value()) return false;
  why_ = absl::CancelledError(absl::StrCat("told to stop by a signal (", strsignal(*signal), ")"));
  return true;
}

void Sender::SendAll(LineReader& input) {
  std::string line;
  while (why_.ok()) {
    const LineReader::Read read = input.Next(&line);
    if (read == LineReader::Read::kStopped) {
      ToldToStop();
      return;
    }
    if (read == LineReader::Read::kEnd) {
      unread_ = input.status();
      return;
    }
    ++line_number_;
    if (read == LineReader::Read::kLine && absl::StripAsciiWhitespace(line).empty()) continue;
    tally_.Read();
    if (tally_.counts().lines <= held_through_) {
      tally_.AlreadyHeld();
      continue;
    }
    if (!SendLine(read == LineReader::Read::kTooLong ? nullptr : &line)) return;
  }
}

bool Sender::SendLine(const std::string* line) {
  const uint64_t number = line_number_;
  const absl::StatusOr<v1::Event> event =
      line != nullptr
          ? ParseLine(options_.format, *line)
          : absl::InvalidArgumentError(absl::StrCat("is longer than ", kLineBytesMax, " bytes"));
  if (absl::IsFailedPrecondition(event.status())) {
    tally_.HeldBack(number, event.status().message());
  } else if (!event.ok()) {
    tally_.Unreadable(number, event.status().message());
  } else if (event->ByteSizeLong() > kEventBytesMax) {
    tally_.Unreadable(number, absl::StrCat("the event has ", event->ByteSizeLong(),
                                           " bytes; at most ", kEventBytesMax, " are taken"));
  } else {
    return SendEvent(
        *event, [this, number](const absl::Status& status) { tally_.Outcome(number, status); });
  }
  // It has been counted; what goes out in its place only keeps the numbers of those that follow.
  return !repeatable_ || SendEvent(v1::Event(), nullptr);
}

bool Sender::SendEvent(const v1::Event& event, Client::Callback done) {
  // Shared between the attempts: Send calls it only if it takes the event.
  auto shared = std::make_shared<Client::Callback>(std::move(done));
  // The time before was that of the input.
  if (client_->stats().buffered_events == 0) moved_ = SteadyNow();
  while (true) {
    const absl::Status status = client_->Send(event, kSlice, [shared](const absl::Status& outcome) {
      if (*shared) std::move (*shared)(outcome);
    });
    const bool stalled = Stalled();
    if (status.ok()) return true;
    if (absl::IsResourceExhausted(status) && !stalled && !ToldToStop()) continue;
    if (why_.ok()) why_ = status;
    if (*shared) std::move (*shared)(absl::CancelledError("not sent"));
    return false;
  }
}

void Sender::AwaitOutcomes() {
  while (why_.ok()) {
    const absl::Status status = client_->Flush(kSlice);
    if (status.ok() || ToldToStop()) return;
    if (!absl::IsDeadlineExceeded(status) || Stalled()) why_ = status;
  }
}

bool Sender::Stalled() {
  const absl::Time now = SteadyNow();
  if (now - drawn_ < kSlice) return false;
  drawn_ = now;
  DrawProgress();
  const Stats stats = client_->stats();
  const uint64_t count = stats.journaled + tally_.counts().settled();
  if (count != moved_count_ || stats.buffered_events == 0) {
    moved_count_ = count;
    moved_ = now;
  }
  return now - moved_ >= options_.timeout;
}

void Sender::DrawProgress() {
  if (!draws_) return;
  const Tally::Counts counts = tally_.counts();
  const Stats stats = client_->stats();
  const double seconds = absl::ToDoubleSeconds(SteadyNow() - begin_);
  std::cerr << absl::StrFormat("\r\x1b[K%d lines, %d acknowledged, %.0f/s, %d rejected",
                               counts.lines, counts.settled(),
                               static_cast<double>(counts.settled()) / seconds, counts.rejected());
  if (!stats.connected) std::cerr << "; waiting for the daemon";
  std::cerr.flush();
}

int Sender::Summarize() {
  const Tally::Counts counts = tally_.counts();
  const Stats stats = client_->stats();
  const double seconds = absl::ToDoubleSeconds(SteadyNow() - begin_);
  const bool committed = options_.client.ack_level == v1::ACK_LEVEL_COMMITTED;
  std::cout << "lines             " << counts.lines << "\n"
            << (committed ? "committed         " : "journaled         ") << counts.accepted << "\n"
            << "refused           " << counts.refused << "\n"
            << "quarantined       " << counts.quarantined << "\n"
            << "unreadable        " << counts.unreadable << "\n"
            << "held back         " << counts.held_back << "\n"
            << "already held      " << counts.already_held << "\n"
            << "not acknowledged  " << counts.not_acknowledged << "\n"
            << absl::StrFormat("in %.1f s, %.0f lines a second\n", seconds,
                               static_cast<double>(counts.lines) / std::max(seconds, 0.001));
  std::cout.flush();

  const std::vector<std::string> complaints = tally_.complaints();
  for (const std::string& complaint : complaints) std::cerr << complaint << "\n";
  if (counts.rejected() > complaints.size()) {
    std::cerr << "and " << counts.rejected() - complaints.size() << " more\n";
  }
  if (stats.reconnects > 0) {
    std::cerr << "The connection was lost and made again " << stats.reconnects << " times.\n";
  }
  if (stats.producers_renewed > 0) {
    std::cerr
        << "The daemon had forgotten what it acknowledged; what was open was sent again under a "
           "new producer id. Hits without an event_id may count twice.\n";
  }
  if (!unread_.ok()) {
    std::cerr << "After line " << line_number_ << ": " << unread_.message()
              << ". The lines before were sent.\n";
    return kExitNoInput;
  }
  if (counts.not_acknowledged == 0 && why_.ok()) {
    return counts.rejected() == 0 ? kExitOk : kExitRejected;
  }
  std::cerr << "Stopped at line " << line_number_ << ": " << why_.message() << "\n";
  std::cerr << (repeatable_ ? "Run the same command again: it goes on where this one stopped.\n"
                            : "Sending the file again is safe for events with ids of their own; "
                              "with --producer_id it is safe for all.\n");
  return kExitTemporary;
}

}  // namespace holdfast::client
