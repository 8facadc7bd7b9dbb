#include "server/diagnosis/trial.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/util/time_util.h"

#include "server/diagnosis/questions.h"
#include "server/event/event_id.h"
#include "server/mysql/errors.h"
#include "server/statement/batch.h"
#include "server/statement/lane_position.h"
#include "server/statement/quarantine.h"

namespace holdfast::diagnosis {
namespace {

constexpr char kCheck[] = "trial writes";
constexpr absl::string_view kLane = "doctor";
constexpr unsigned kLockNotGiven = 1205;

v1::Event UsageTrial() {
  v1::Event event;
  event.mutable_usage()->set_event_id(event::FormatUuid(event::RandomUuid()));
  event.mutable_usage()->set_api_key_id(kOurKey);
  event.mutable_usage()->set_model(kOurKey);
  return event;
}

v1::Event HitsTrial() {
  v1::Event event;
  v1::RateLimitEvent& hits = *event.mutable_rate_limit();
  hits.set_identifier(kOurKey);
  hits.set_window_type(v1::WINDOW_TYPE_DAY);
  hits.set_hits(1);
  hits.set_event_id(event::FormatUuid(event::RandomUuid()));
  return event;
}

v1::Event MessageTrial() {
  v1::Event event;
  v1::MessageEvent& message = *event.mutable_message();
  message.set_ig_message_id(absl::StrCat(kOurKey, ":", event::FormatUuid(event::RandomUuid())));
  message.set_ig_sender_id(kOurKey);
  message.set_ig_recipient_id(kOurKey);
  message.set_direction(v1::DIRECTION_IN);
  return event;
}

class Trial {
 public:
  Trial(mysql::Session& session, const Options& options, absl::Time now)
      : session_(session), options_(options), now_(now) {}

  std::vector<TrialWrite> Run() {
    if (absl::Status begun = session_.Begin(); !begun.ok()) return {{"", std::move(begun)}};
    const event::Id journal = event::RandomUuid();
    const statement::LaneKey lane = {kOurKey, kLane};
    Try(statement::EnsureLane(lane, journal, now_));
    TryKind(event::Kind::kUsage, UsageTrial());
    TryKind(event::Kind::kRateLimit, HitsTrial());
    TryKind(event::Kind::kMessage, MessageTrial());
    TryQuarantine(lane, journal);
    // If it fails, so has the link, and the server rolls back.
    session_.Rollback().IgnoreError();
    return std::move(writes_);
  }

 private:
  void Try(const statement::Call& call) {
    if (ended_) return;
    absl::Status outcome =
        session_.Execute(*call.statement, call.rows, 0, call.rows.size()).status();
    const flow::Verdict verdict = mysql::VerdictOf(outcome);
    ended_ =
        !outcome.ok() && (verdict != flow::Verdict::kOutage && verdict != flow::Verdict::kReject);
    writes_.push_back({call.statement->table, std::move(outcome)});
  }

  std::string Encode(v1::Event event) const {
    *event.mutable_occurred_at() =
        google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(now_));
    return event.SerializeAsString();
  }

  // `bytes` must outlive it.
  event::Accepted Accept(absl::string_view bytes) const {
    event::Accepted accepted;
    accepted.offset = 1;
    accepted.ordinal = 1;
    accepted.accepted_at = now_;
    accepted.bytes = bytes;
    return accepted;
  }

  void TryKind(event::Kind kind, const v1::Event& event) {
    const std::string bytes = Encode(event);
    const event::Accepted accepted = Accept(bytes);
    statement::BatchOptions options;
    options.tag = 1;
    options.stats_utc_offset = options_.stats_utc_offset;
    options.hash_api_keys = options_.hash_api_keys;
    const std::unique_ptr<statement::Batch> batch =
        statement::Batch::Make(kind, absl::MakeConstSpan(&accepted, 1), options);
    Try(batch->raw());
    for (const statement::Call& call : batch->Counters()) Try(call);
  }

  void TryQuarantine(const statement::LaneKey& lane, const event::Id& journal) {
    const std::string bytes = Encode(UsageTrial());
    const event::Accepted accepted = Accept(bytes);
    const statement::Refused refused = {&accepted, 0, "", "a trial that is rolled back"};
    const statement::QuarantineInsert insert(event::Kind::kUsage, lane, journal,
                                             absl::MakeConstSpan(&refused, 1), now_, false);
    Try(insert.call());
  }

  mysql::Session& session_;
  const Options& options_;
  const absl::Time now_;
  std::vector<TrialWrite> writes_;
  bool ended_ = false;
};

}  // namespace

std::vector<TrialWrite> TryWrites(mysql::Session& session, const Options& options, absl::Time now) {
  return Trial(session, options, now).Run();
}

void JudgeTrial(const std::vector<TrialWrite>& writes, Findings* findings) {
  std::vector<std::string> taken;
  for (const TrialWrite& write : writes) {
    if (write.outcome.ok()) {
      taken.push_back(write.table);
      continue;
    }
    const std::optional<mysql::DatabaseError> error = mysql::ErrorOf(write.outcome);
    const std::string column = error.has_value() ? error->column() : "";
    const std::string found = absl::StrCat(std::string(write.outcome.message()),
                                           column.empty() ? "" : "; column ", column);
    if (ErrorNumberOf(write.outcome) == kLockNotGiven) {
      findings->Problem(kCheck, found,
                        "another transaction holds the table or the gap it goes into",
                        "see \"lock waits\" and \"transactions\" below");
    } else {
      findings->Problem(kCheck, found, "the daemon's own statement fails just so",
                        "see \"tables\" and \"grants\" above for the cause");
    }
  }
  if (!taken.empty()) {
    findings->Ok(kCheck, absl::StrCat("taken and rolled back: ", absl::StrJoin(taken, ", ")));
  }
}

}  // namespace holdfast::diagnosis
