#include "client/cli/tail_command.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/time_util.h"

#include "client/cli/admin_call.h"
#include "client/cli/stop_signal.h"
#include "client/steady_clock.h"
#include "client/stream.h"
#include "holdfast/v1/admin.grpc.pb.h"

namespace holdfast::client {
namespace {

using google::protobuf::util::TimeUtil;

constexpr uint64_t kRateDefault = 20;
constexpr uint64_t kRateMax = 1000;

// For asking whether the daemon answers at all, after it has ended the call.
constexpr absl::Duration kTimeout = absl::Seconds(5);

// How often it is said that something is not shown.
constexpr absl::Duration kSayEvery = absl::Seconds(5);

absl::string_view OutcomeWord(v1::TailOutcome outcome) {
  switch (outcome) {
    case v1::TAIL_OUTCOME_JOURNALED:
      return "journaled";
    case v1::TAIL_OUTCOME_COMMITTED:
      return "committed";
    case v1::TAIL_OUTCOME_QUARANTINED:
      return "QUARANTINED";
    case v1::TAIL_OUTCOME_REFUSED:
      return "REFUSED";
    default:
      return "unknown";
  }
}

std::string Milliseconds(const google::protobuf::Duration& duration) {
  return absl::StrFormat("%.1fms",
                         static_cast<double>(TimeUtil::DurationToMicroseconds(duration)) / 1000);
}

// Ends `context` at SIGINT or SIGTERM, so that what was not shown is still told.
class EndAtSignal final {
 public:
  EndAtSignal(const StopSignal& signal, grpc::ClientContext& context)
      : done_(eventfd(0, EFD_CLOEXEC)), thread_([this, &signal, &context] {
          pollfd wanted[] = {{signal.descriptor(), POLLIN, 0}, {done_, POLLIN, 0}};
          while (poll(wanted, 2, -1) < 0 && errno == EINTR) {
          }
          if (wanted[1].revents == 0) context.TryCancel();
        }) {}
  ~EndAtSignal() {
    eventfd_write(done_, 1);
    thread_.join();
    close(done_);
  }

  EndAtSignal(const EndAtSignal&) = delete;
  EndAtSignal& operator=(const EndAtSignal&) = delete;

 private:
  const int done_;
  std::thread thread_;
};

// Reads and prints until the stream ends or `count` events were shown.
class Watch final {
 public:
  Watch(const v1::TailRequest& request, uint64_t count, bool json)
      : rate_max_(request.rate_max()), count_(count), json_(json) {}

  // False once it is enough.
  bool Show(const v1::TailResponse& response) {
    for (const v1::TailedEvent& event : response.events()) {
      Print(event);
      if (++shown_ == count_) return false;
    }
    not_sampled_ += response.not_sampled();
    dropped_ += response.dropped();
    if (SteadyNow() - said_ >= kSayEvery) SayNotShown();
    std::cout.flush();
    return std::cout.good();
  }

  void SayNotShown() {
    const std::string text = FormatNotShown(not_sampled_, dropped_, rate_max_);
    if (!text.empty()) std::cerr << text << "\n";
    said_ = SteadyNow();
    not_sampled_ = dropped_ = 0;
  }

 private:
  void Print(const v1::TailedEvent& event) const {
    std::string text;
    // One that has no JSON form is shown as for people.
    if (!json_ || !google::protobuf::util::MessageToJsonString(event, &text).ok()) {
      text = FormatTailed(event);
    }
    std::cout << text << "\n";
  }

  const uint64_t rate_max_;
  const uint64_t count_;  // 0: without end.
  const bool json_;
  uint64_t shown_ = 0;
  uint64_t not_sampled_ = 0;
  uint64_t dropped_ = 0;
  absl::Time said_ = SteadyNow();
};

absl::StatusOr<int> RunTail(const Arguments& arguments) {
  const auto rate = arguments.GetNumber("rate", kRateDefault, 1);
  if (!rate.ok()) return rate.status();
  if (*rate > kRateMax) {
    return absl::InvalidArgumentError(absl::StrCat("--rate: must be 1 to ", kRateMax));
  }
  const auto count = arguments.GetNumber("count", 0, 1);
  if (!count.ok()) return count.status();
  v1::TailRequest request;
  request.set_rate_max(static_cast<uint32_t>(*rate));
  request.set_kind(arguments.Get("kind", ""));
  request.set_include_content(arguments.Has("show_content"));

  const StopSignal signal;  // Before gRPC starts its threads.
  const absl::StatusOr<Connection> connection = ConnectionOf(arguments);
  if (!connection.ok()) return connection.status();
  absl::StatusOr<AdminCaller> caller = AdminCaller::Make("tail", arguments, kTimeout);
  if (!caller.ok()) return caller.status();
  const auto channel = OpenChannel(connection->address, connection->tls);
  if (!channel.ok()) return TellUnreachable("tail", *connection, channel.status());
  const auto stub = v1::AdminService::NewStub(*channel);
  grpc::ClientContext context;
  const auto reader = stub->Tail(&context, request);
  const EndAtSignal end(signal, context);
  Watch watch(request, *count, arguments.Has("json"));
  v1::TailResponse response;
  bool enough = false;
  while (!enough && reader->Read(&response)) enough = !watch.Show(response);
  context.TryCancel();
  const grpc::Status status = reader->Finish();
  watch.SayNotShown();
  std::cout.flush();
  if (enough || status.error_code() == grpc::StatusCode::CANCELLED) return kExitOk;
  if (status.error_code() == grpc::StatusCode::INVALID_ARGUMENT) return FromGrpc(status);
  return caller->Failed(FromGrpc(status));
}

}  // namespace

std::string FormatTailed(const v1::TailedEvent& event) {
  const absl::Time accepted_at =
      absl::FromUnixMicros(TimeUtil::TimestampToMicroseconds(event.accepted_at()));
  std::string line = absl::StrCat(
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", accepted_at, absl::UTCTimeZone()), "  ");
  const std::string producer = event.producer_id().empty() ? "-" : event.producer_id();
  const std::string lane = event.lane().empty() ? "-" : event.lane();
  absl::StrAppendFormat(&line, "%-13s %-36s %8d", lane, producer, event.sequence());
  if (event.bytes() > 0) {
    absl::StrAppendFormat(&line, "  %6d B  age %s", event.bytes(), Milliseconds(event.age()));
  }
  absl::StrAppend(&line, "  ", OutcomeWord(event.outcome()));
  if (event.outcome() != v1::TAIL_OUTCOME_REFUSED) {
    absl::StrAppend(&line,
                    event.outcome() == v1::TAIL_OUTCOME_JOURNALED ? ", waiting for " : " after ",
                    Milliseconds(event.took()));
  }
  if (!event.reason().empty()) absl::StrAppend(&line, ": ", event.reason());
  if (!event.has_event()) return line;
  std::string content;
  if (!google::protobuf::util::MessageToJsonString(event.event(), &content).ok()) return line;
  return absl::StrCat(line, "\n    ", content);
}

std::string FormatNotShown(uint64_t not_sampled, uint64_t dropped, uint64_t rate_max) {
  std::string text;
  if (not_sampled > 0) {
    absl::StrAppend(&text, "... ", not_sampled, " more were not shown (at most ", rate_max,
                    " a second are: --rate)");
  }
  if (dropped > 0) {
    absl::StrAppend(&text, text.empty() ? "... " : "; ", dropped,
                    " were not shown because this reader was too slow");
  }
  return text;
}

const Command& TailCommand() {
  static const auto& command = *new Command{
      .name = "tail",
      .group = CommandGroup::kEvents,
      .summary = "Shows a sample of the events as they arrive.",
      .description =
          R"(Shows events as they arrive, one on each line: when, lane, producer, sequence, size,
age (from when it happened to when it was taken) and what became of it; one that is not in the
database after a second is shown as journaled. Ends at Ctrl-C.

It is a sample: at most --rate events a second are shown, and how many were not is told. Gateways do
not notice: what this reader does not take in time is dropped, and counted. Without --show_content
nothing of an event is shown but this.
)",
      .flags = {ToFlag(),
                {.name = "rate",
                 .value = "N",
                 .help = "Shows at most so many events a second, 1 to 1000. Default: 20"},
                {.name = "kind",
                 .value = "KIND",
                 .help = "Only events of this kind.",
                 .choices = {"rate_limit", "usage", "message"}},
                {.name = "count", .value = "N", .help = "Ends after so many events."},
                {.name = "show_content",
                 .help =
                     "Also shows the events' content: API key ids, costs, the text of messages."},
                {.name = "json",
                 .help = "Each event as a line of JSON (holdfast.v1.TailedEvent), for programs."}},
      .endings = {{kExitOk, "it was ended, or has shown --count events"},
                  {kExitUnavailable, kUnreachableEnding},
                  {kExitTemporary,
                   "the daemon answers, and ended it: others listen, or it is stopping"}},
      .run = RunTail};
  return command;
}

}  // namespace holdfast::client
