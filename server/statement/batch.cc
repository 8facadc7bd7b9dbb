#include "server/statement/batch.h"

#include <utility>

#include "server/base/check.h"
#include "server/statement/message.h"
#include "server/statement/rate_limit.h"
#include "server/statement/usage.h"

namespace holdfast::statement {

std::unique_ptr<Batch> Batch::Make(event::Kind kind, absl::Span<const event::Accepted> events,
                                   const BatchOptions& options) {
  switch (kind) {
    case event::Kind::kRateLimit:
      return std::make_unique<RateLimitBatch>(events, options);
    case event::Kind::kUsage:
      return std::make_unique<UsageBatch>(events, options);
    case event::Kind::kMessage:
      return std::make_unique<MessageBatch>(events);
  }
  HOLDFAST_CHECK(false && "a kind that is none");
  return nullptr;
}

const event::EventView& Batch::Read(const event::Accepted& event) {
  HOLDFAST_CHECK(!event::Decode(event.bytes, &decoded_).has_value());
  if (decoded_.message != nullptr) messages_.push_back(std::move(decoded_.message));
  return decoded_.view;
}

Tally Batch::Count() const {
  Tally tally;
  for (const Fate fate : fates_) {
    switch (fate) {
      case Fate::kNew:
        ++tally.fresh;
        break;
      case Fate::kDuplicate:
        ++tally.duplicate;
        break;
      case Fate::kConflict:
        ++tally.conflict;
        break;
      case Fate::kRejected:
        ++tally.rejected;
        break;
    }
  }
  HOLDFAST_CHECK(unnamed_duplicates_ <= tally.fresh);
  tally.fresh -= unnamed_duplicates_;
  tally.duplicate += unnamed_duplicates_;
  return tally;
}

}  // namespace holdfast::statement
