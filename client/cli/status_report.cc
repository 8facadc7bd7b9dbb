#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "client/cli/status_command.h"
#include "client/cli/terminal.h"

namespace holdfast::client {
namespace {

std::string FormatBytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit < 4) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? absl::StrCat(bytes, " B") : absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

std::string FormatSeconds(absl::Duration duration) {
  return absl::FormatDuration(absl::Trunc(duration, absl::Seconds(1)));
}

absl::string_view StateWord(v1::LaneState state) {
  switch (state) {
    case v1::LANE_STATE_IDLE:
      return "idle";
    case v1::LANE_STATE_BUSY:
      return "busy";
    case v1::LANE_STATE_RETRYING:
      return "retrying";
    case v1::LANE_STATE_STOPPED:
      return "STOPPED";
    case v1::LANE_STATE_FENCED:
      return "FENCED";
    default:
      return "unknown";
  }
}

// A number that is not known before every lane has read its position.
std::string Known(const v1::Books& books, uint64_t value) {
  return books.complete() ? absl::StrCat(value) : "?";
}

// As the status page has it.
absl::string_view EffectWords(v1::ProblemEffect effect) {
  switch (effect) {
    case v1::PROBLEM_EFFECT_REFUSING:
      return "New events are refused";
    case v1::PROBLEM_EFFECT_ENDANGERING:
      return "Events may be lost";
    case v1::PROBLEM_EFFECT_DELAYING:
      return "Events wait";
    default:
      return "Needs a look";
  }
}

Colour ColourOf(v1::Grade grade) {
  if (grade == v1::GRADE_GOOD) return Colour::kGood;
  return grade == v1::GRADE_BAD ? Colour::kBad : Colour::kWarning;
}

std::string AnswerLine(absl::string_view question, const v1::Answer& answer) {
  return absl::StrCat("  ", question, " ",
                      Paint(ColourOf(answer.grade()), absl::StrCat(answer.answer(), ".")), " ",
                      answer.because(), "\n");
}

// What whoever is woken by it has to know. A daemon of an older version has no summary.
void AppendVerdict(const v1::GetStatusResponse& status, std::string* report) {
  if (!status.has_summary()) return;
  const v1::Summary& summary = status.summary();
  absl::StrAppend(report, Paint(ColourOf(summary.grade()), summary.headline()), "\n",
                  AnswerLine("Is my data safe?", summary.safe()),
                  AnswerLine("Does it flow?   ", summary.flows()));
  for (const v1::Problem& problem : status.problems()) {
    const bool refuses = problem.effect() == v1::PROBLEM_EFFECT_REFUSING;
    absl::StrAppend(report, "\n",
                    Paint(refuses ? Colour::kBad : Colour::kWarning, EffectWords(problem.effect())),
                    " (", problem.subject(), ")\n  ", problem.cause(),
                    "\n  What to do: ", problem.remedy(), "\n");
  }
  absl::StrAppend(report, "\n");
}

void AppendBooks(const v1::Books& books, std::string* report) {
  absl::StrAppend(report, "\nEvents since the journal was made\n");
  absl::StrAppendFormat(report, "  accepted     %12d\n", books.accepted());
  absl::StrAppendFormat(report, "  committed    %12s\n", Known(books, books.committed()));
  absl::StrAppendFormat(report, "  duplicate    %12s\n", Known(books, books.duplicate()));
  absl::StrAppendFormat(report, "  quarantined  %12s\n", Known(books, books.quarantined()));
  if (books.adjusted() != 0) {
    absl::StrAppendFormat(report, "  adjusted     %12d  (a damaged journal; see the log)\n",
                          books.adjusted());
  }
  absl::StrAppendFormat(report, "  pending      %12s\n", Known(books, books.pending()));
  if (!books.complete()) {
    absl::StrAppend(report, "  (? until every lane has read its position from the database)\n");
  }
}

void AppendLanes(const v1::GetStatusResponse& status, std::string* report) {
  absl::StrAppendFormat(report, "\n%-14s %-9s %12s %12s  %s\n", "Lane", "state", "accepted",
                        "pending", "oldest");
  for (const v1::LaneStatus& lane : status.lanes()) {
    const absl::Duration age = absl::Seconds(lane.oldest_age().seconds());
    absl::StrAppendFormat(report, "%-14s %-9s %12d %12s  %s\n", lane.lane(),
                          StateWord(lane.state()), lane.books().accepted(),
                          Known(lane.books(), lane.books().pending()),
                          age > absl::ZeroDuration() ? FormatSeconds(age) : "-");
    if (!lane.reason().empty()) absl::StrAppend(report, "    ", lane.reason(), "\n");
  }
}

void AppendJournal(const v1::JournalStatus& journal, std::string* report) {
  absl::StrAppend(report, "\nJournal   ", FormatBytes(journal.used_bytes()), " of ",
                  FormatBytes(journal.limit_bytes()), " in use, ", journal.segments(),
                  " segments\n");
  if (journal.full()) absl::StrAppend(report, "  FULL: new events are refused\n");
  if (!journal.failure().empty()) absl::StrAppend(report, "  FAILED: ", journal.failure(), "\n");
  if (journal.corruptions() > 0) {
    absl::StrAppend(report, "  ", journal.corruptions(), " damaged places found; see the log\n");
  }
}

void AppendDatabase(const v1::DatabaseStatus& database, std::string* report) {
  absl::StrAppend(report, "Database  ");
  if (database.endpoint().empty()) {
    absl::StrAppend(report, "not connected\n");
  } else {
    absl::StrAppend(report, database.endpoint(), ", server ", database.server_version(), ", ",
                    database.connections_in_use(), " connections in use, ",
                    database.connections_idle(), " idle\n");
  }
  if (!database.failure().empty()) absl::StrAppend(report, "  ", database.failure(), "\n");
  for (const std::string& warning : database.warnings()) {
    absl::StrAppend(report, "  warning: ", warning, "\n");
  }
}

}  // namespace

std::string FormatStatus(const v1::GetStatusResponse& status, absl::Time now) {
  std::string report;
  AppendVerdict(status, &report);
  absl::StrAppend(&report, "holdfastd ", status.version(), ", writer ", status.writer_id(), ", up ",
                  FormatSeconds(now - absl::FromUnixSeconds(status.started_at().seconds())), ", ",
                  status.streams(), " streams\n");
  if (status.draining()) absl::StrAppend(&report, "DRAINING: it takes no new events\n");
  absl::StrAppend(&report, status.missing().empty() ? "Ready\n" : "NOT READY\n");
  // They are among the problems, where there are any.
  for (const std::string& missing : status.missing()) {
    if (status.problems().empty()) absl::StrAppend(&report, "  ", missing, "\n");
  }
  AppendBooks(status.books(), &report);
  AppendLanes(status, &report);
  AppendJournal(status.journal(), &report);
  AppendDatabase(status.database(), &report);
  return report;
}

}  // namespace holdfast::client
