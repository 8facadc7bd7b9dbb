#include "tests/sim/events.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

#include "tests/sim/random.h"
#include "tests/support/accepted_events.h"

namespace holdfast::sim {
namespace {

// Ids that several gateways use.
constexpr uint64_t kSharedIds = 12;

uint64_t OwnId(uint64_t gateway, uint64_t sequence) { return (gateway + 1) * 1'000'000 + sequence; }

// UUIDs, and ids that are not.
std::string IdText(uint64_t id) {
  return id % 5 == 0 ? absl::StrCat("event-", id) : test::UuidOf(id);
}

v1::Event Usage(Random& random, uint64_t id, bool poison) {
  v1::Event event = test::UsageOf(IdText(id), absl::StrCat("key-", random.Below(3)));
  v1::UsageEvent& usage = *event.mutable_usage();
  test::SetOccurredAt(test::EventTime() + absl::Minutes(20 * random.Below(5)), &event);
  usage.set_input_tokens(static_cast<int64_t>(1 + random.Below(1000)));
  usage.set_cost_micros(static_cast<int64_t>(random.Below(100000)));
  usage.set_model(poison ? "a model with a name that is too long" : "model-1");
  return event;
}

v1::Event Hits(Random& random, uint64_t id) {
  return test::HitsOf(absl::StrCat("hits-", random.Below(3)),
                      static_cast<int64_t>(1 + random.Below(9)), id == 0 ? "" : IdText(id));
}

v1::Event Message(Random& random, uint64_t id) {
  v1::Event event = test::MessageOf(absl::StrCat("mid-", id), absl::StrCat("text ", random.Next()));
  event.mutable_message()->set_conversation_id(static_cast<int64_t>(1 + random.Below(3)));
  return event;
}

// An event whose content follows from its id alone, so that all who send it say the same.
v1::Event Shared(uint64_t seed, uint64_t id) {
  Random random(SeedOf(seed, 77, id));
  if (id % 3 == 0) return Hits(random, id);
  if (id % 3 == 1) return Message(random, id);
  return Usage(random, id, false);
}

v1::Event WithId(Random& random, uint64_t seed, uint64_t gateway, uint64_t sequence) {
  const uint64_t own = OwnId(gateway, sequence);
  const uint64_t at = random.Below(100);
  if (at < 12) return Shared(seed, 1 + random.Below(kSharedIds));
  if (at < 15) return Usage(random, 500 + random.Below(3), false);  // Each says something else.
  if (at < 18) return Usage(random, own, true);
  if (at < 70) return Usage(random, own, false);
  if (at < 85) return Hits(random, own);
  return Message(random, own);
}

}  // namespace

v1::Event MakeEvent(uint64_t seed, uint64_t gateway, uint64_t sequence) {
  Random random(SeedOf(seed, 1000 + gateway, sequence));
  const uint64_t at = random.Below(100);
  if (at < 10) return Hits(random, 0);
  if (at < 20) {
    return test::ObservedOf(absl::StrCat("observed-", random.Below(2)),
                            static_cast<int64_t>(random.Below(100000)));
  }
  return WithId(random, seed, gateway, sequence);
}

v1::Event MakeEventWithId(uint64_t seed, uint64_t gateway, uint64_t number) {
  Random random(SeedOf(seed, 2000 + gateway, number));
  return WithId(random, seed, 500 + gateway, number);
}

bool IsPoison(const v1::Event& event) {
  return event.has_usage() && event.usage().model().size() > kModelBytesMax;
}

std::shared_ptr<const event::Batch> ToBatch(v1::EventBatch message, const event::Id& producer,
                                            int lanes_per_kind, absl::Time now) {
  auto batch = event::Batch::Read(message.SerializeAsString(), producer, lanes_per_kind, now);
  if (!batch.ok() || !(*batch)->refusals.empty()) {
    std::fprintf(stderr, "the simulation made a bad event: %s\n",
                 batch.ok() ? (*batch)->refusals[0].fault.reason.c_str()
                            : batch.status().ToString().c_str());
    std::abort();
  }
  return *std::move(batch);
}

}  // namespace holdfast::sim
