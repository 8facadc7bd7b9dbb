#include "tests/bench/gateways.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"

#include "client/client.h"
#include "server/base/clock.h"
#include "server/base/status_macros.h"

namespace holdfast::bench {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(10);

// One client, and how many of its events were refused.
class Gateway {
 public:
  static absl::StatusOr<std::unique_ptr<Gateway>> Open(const Setting& setting,
                                                       const std::string& target) {
    auto gateway = std::make_unique<Gateway>();
    client::Options options;
    options.target = target;
    options.ack_level = setting.ack_level;
    HOLDFAST_ASSIGN_OR_RETURN(gateway->client_, client::Client::Connect(options));
    HOLDFAST_RETURN_IF_ERROR(gateway->client_->WaitOpened(kPatience).status());
    return gateway;
  }

  absl::Status Send(const v1::Event& event) {
    return client_->Send(event, kPatience, [this](const absl::Status& status) {
      if (!status.ok()) ++refused_;
    });
  }

  absl::Status Flush() {
    HOLDFAST_RETURN_IF_ERROR(client_->Flush(kPatience));
    if (refused_ == 0) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(refused_.load(), " events were refused"));
  }

 private:
  std::atomic<size_t> refused_ = 0;
  std::unique_ptr<client::Client> client_;
};

}  // namespace

absl::StatusOr<absl::Duration> EndToEnd(const Setting& setting,
                                        const std::vector<v1::Event>& events) {
  std::vector<std::unique_ptr<Gateway>> gateways;
  for (const std::string& target : setting.targets) {
    HOLDFAST_ASSIGN_OR_RETURN(std::unique_ptr<Gateway> gateway, Gateway::Open(setting, target));
    gateways.push_back(std::move(gateway));
  }
  if (gateways.empty()) return absl::InvalidArgumentError("--target is missing");
  return TimeThreads(gateways.size(), [&](size_t index) -> absl::Status {
    const size_t part = (events.size() + gateways.size() - 1) / gateways.size();
    const size_t first = std::min(events.size(), index * part);
    for (const v1::Event& event : absl::MakeSpan(events).subspan(first, part)) {
      HOLDFAST_RETURN_IF_ERROR(gateways[index]->Send(event));
    }
    return gateways[index]->Flush();
  });
}

absl::StatusOr<absl::Duration> Feed(const Setting& setting, event::Kind kind, uint64_t first,
                                    size_t count, uint64_t keys, Expectation* expectation) {
  constexpr size_t kSlice = 20000;
  if (setting.targets.size() != 1) return absl::InvalidArgumentError("--target must name one");
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<Gateway> gateway,
                            Gateway::Open(setting, setting.targets.front()));
  const absl::Time begin = base::SystemClock().Steady();
  absl::Time due = begin;
  for (size_t done = 0; done < count; done += kSlice) {
    const auto events = MakeEvents(kind, first + done, std::min(kSlice, count - done), keys);
    AddTo(expectation, events);
    for (const v1::Event& event : events) {
      if (setting.rate > 0) {
        due += absl::Seconds(1 / setting.rate);
        // Sleeps of less than a millisecond are not worth their wake-up.
        const absl::Duration early = due - base::SystemClock().Steady();
        if (early > absl::Milliseconds(1)) absl::SleepFor(early);
      }
      HOLDFAST_RETURN_IF_ERROR(gateway->Send(event));
    }
  }
  HOLDFAST_RETURN_IF_ERROR(gateway->Flush());
  return base::SystemClock().Steady() - begin;
}

}  // namespace holdfast::bench
