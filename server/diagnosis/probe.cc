#include "server/diagnosis/probe.h"

#include "absl/strings/str_cat.h"

#include "server/base/status_macros.h"
#include "server/diagnosis/trial.h"

namespace holdfast::diagnosis {
namespace {

constexpr char kCheck[] = "read back";

constexpr int64_t kFirstDayOf2000 = 946684800;

// Which rows are the probe's.
std::string Place(bool take_rate_limits) {
  return take_rate_limits
             ? absl::StrCat("rate_limit_records WHERE identifier = '", kOurKey,
                            "' AND window_type = 'day' AND window_start = '2000-01-01 00:00:00'")
             : absl::StrCat("message WHERE ig_message_id = '", kOurKey, "'");
}

}  // namespace

v1::Event Probe(bool take_rate_limits) {
  v1::Event event;
  event.mutable_occurred_at()->set_seconds(kFirstDayOf2000);
  if (take_rate_limits) {
    v1::RateLimitEvent& rate_limit = *event.mutable_rate_limit();
    rate_limit.set_identifier(kOurKey);
    rate_limit.set_window_type(v1::WINDOW_TYPE_DAY);
    rate_limit.set_observed(1);
  } else {
    v1::MessageEvent& message = *event.mutable_message();
    message.set_ig_message_id(kOurKey);
    message.set_ig_sender_id(kOurKey);
    message.set_ig_recipient_id(kOurKey);
    message.set_timestamp_ms(kFirstDayOf2000 * 1000);
    message.set_direction(v1::DIRECTION_IN);
  }
  return event;
}

absl::StatusOr<ProbeRow> TakeProbe(Questions& questions, bool take_rate_limits) {
  const std::string place = Place(take_rate_limits);
  Answer answer;
  HOLDFAST_ASSIGN_OR_RETURN(answer, questions.Ask(absl::StrCat("SELECT COUNT(*) FROM ", place)));
  ProbeRow row;
  row.rows = NumberAt(answer.at(0), 0);
  if (row.rows > 0) row.removed = questions.connection().Run(absl::StrCat("DELETE FROM ", place));
  return row;
}

void JudgeProbe(const absl::StatusOr<ProbeRow>& row, bool take_rate_limits, Findings* findings) {
  const std::string place = Place(take_rate_limits);
  if (!row.ok()) {
    return findings->Problem(kCheck, std::string(row.status().message()),
                             "whether the event is in its table cannot be seen",
                             "see \"tables\" and \"grants\" for the cause");
  }
  if (row->rows == 0) {
    return findings->Problem(
        kCheck, absl::StrCat("no row in ", place),
        "the daemon's COMMIT succeeded, and the row is not to be seen: it was written to another "
        "server or removed at once (a trigger, a job, another doctor in this very moment)",
        "run it again; compare MYSQL_HOST with the server that you look at");
  }
  if (row->rows > 1) {
    findings->Problem(kCheck, absl::StrCat(row->rows, " rows in ", place),
                      "one key has several rows: counts are split or doubled",
                      "mend the table's unique key (see \"tables\"), and merge the rows");
  }
  if (!row->removed.ok()) {
    return findings->Ok(
        kCheck,
        absl::StrCat(
            "one row, as it should be. It stays, as the account may not delete there: ", place,
            ". It is harmless: no gateway has this key, and there is never a second "
            "one"));
  }
  if (row->rows == 1) findings->Ok(kCheck, "one row, as it should be; removed again");
}

}  // namespace holdfast::diagnosis
