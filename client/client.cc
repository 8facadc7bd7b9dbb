#include "client/client.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

#include "client/steady_clock.h"
#include "client/worker.h"

namespace holdfast::client {
namespace {

bool IsUuid(absl::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !absl::ascii_isxdigit(static_cast<unsigned char>(text[i]))) {
      return false;
    }
  }
  return true;
}

absl::Status Bad(absl::string_view option, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("client option ", option, " ", why));
}

}  // namespace

absl::Status Options::Validate() const {
  if (target.empty()) return Bad("target", "is empty; \"unix:/path\" or \"host:port\" is needed");
  if (absl::Status status = tls.Validate(target); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("client option ", status.message()));
  }
  if (!producer_id.empty() && !IsUuid(producer_id)) {
    return Bad("producer_id", "is not a UUID such as 0f8fad5b-d9cb-469f-a165-70867728950e");
  }
  if (!producer_id.empty() && producer_id.find_first_not_of("0-") == std::string::npos) {
    return Bad("producer_id", "is all zeros, the id of nobody; use one made at random");
  }
  if (ack_level != v1::ACK_LEVEL_JOURNALED && ack_level != v1::ACK_LEVEL_COMMITTED) {
    return Bad("ack_level", "must be JOURNALED or COMMITTED");
  }
  if (window < 1) return Bad("window", "must be at least 1");
  if (buffer_events_max < 1) return Bad("buffer_events_max", "must be at least 1");
  if (buffer_bytes_max < kEventBytesMax) {
    return Bad("buffer_bytes_max", "must have room for one event, 1 MiB");
  }
  if (batch_events_max < 1) return Bad("batch_events_max", "must be at least 1");
  if (batch_bytes_max < 1) return Bad("batch_bytes_max", "must be at least 1");
  if (backoff_min <= absl::ZeroDuration()) return Bad("backoff_min", "must be above 0");
  if (backoff_max < backoff_min) return Bad("backoff_max", "must not be below backoff_min");
  if (pushback_max < absl::ZeroDuration()) return Bad("pushback_max", "must not be negative");
  if (answer_wait_max <= absl::ZeroDuration()) return Bad("answer_wait_max", "must be above 0");
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const Options& options) {
  if (absl::Status status = options.Validate(); !status.ok()) return status;
  return absl::WrapUnique(new Client(std::make_unique<Worker>(options)));
}

Client::Client(std::unique_ptr<Worker> worker) : worker_(std::move(worker)) {}

Client::~Client() = default;

absl::Status Client::Send(const v1::Event& event, absl::Duration wait_max, Callback done) {
  std::string bytes = event.SerializeAsString();
  if (bytes.size() > kEventBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("the event has ", bytes.size(),
                                                   " bytes; at most ", kEventBytesMax,
                                                   " are taken: shorten its texts"));
  }
  if (!done) done = [](const absl::Status&) {};
  return worker_->Send(std::move(bytes), wait_max, std::move(done));
}

absl::Status Client::SendAndWait(const v1::Event& event, absl::Duration wait_max) {
  // Shared, because the answer may come after this call has given up waiting.
  struct Outcome {
    absl::Notification known;
    absl::Status status;
  };
  if (worker_->OnOwnThread()) {
    return absl::FailedPreconditionError("SendAndWait called from a callback");
  }
  const absl::Time begin = SteadyNow();
  auto outcome = std::make_shared<Outcome>();
  absl::Status taken = Send(event, wait_max, [outcome](const absl::Status& status) {
    outcome->status = status;
    outcome->known.Notify();
  });
  if (!taken.ok()) return taken;
  if (!outcome->known.WaitForNotificationWithTimeout(wait_max - (SteadyNow() - begin))) {
    return absl::DeadlineExceededError("not acknowledged yet; the event is still being sent");
  }
  return outcome->status;
}

absl::StatusOr<Opened> Client::WaitOpened(absl::Duration wait_max) {
  return worker_->WaitOpened(wait_max);
}

absl::Status Client::Flush(absl::Duration wait_max) { return worker_->Flush(wait_max); }

absl::Status Client::Close(absl::Duration wait_max) { return worker_->Close(wait_max); }

Stats Client::stats() const { return worker_->stats(); }

}  // namespace holdfast::client
