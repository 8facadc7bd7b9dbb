#include "server/admin/summary.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace holdfast::admin {
namespace {

// An answer, and what it makes of the headline.
struct Finding {
  v1::Grade grade;
  absl::string_view answer;
  std::string because;
  std::string headline;

  v1::Answer ToAnswer() const {
    v1::Answer made;
    made.set_grade(grade);
    made.set_answer(std::string(answer));
    made.set_because(because);
    return made;
  }
};

// What the questions are decided by.
struct Moment {
  size_t halted = 0;        // Lanes that have stopped.
  bool seated = true;       // Whether every lane knows its position.
  bool waits = false;       // Whether any event is on its way.
  bool waits_long = false;  // Whether one has been for too long.
};

Moment MomentOf(const pipeline::PipelineStatus& pipeline) {
  Moment moment;
  for (const pipeline::LaneReport& lane : pipeline.lanes) {
    if (lane.state == pipeline::LaneState::kStopped || lane.state == pipeline::LaneState::kFenced) {
      ++moment.halted;
    }
    moment.seated = moment.seated && lane.seated;
    moment.waits = moment.waits || lane.head > lane.seat.position;
    moment.waits_long = moment.waits_long || lane.oldest_age > kWaitsLong;
  }
  return moment;
}

Finding IsItSafe(const std::vector<Problem>& problems, const DaemonFacts& facts,
                 const journal::JournalStatus& journal, const Moment& moment) {
  if (!journal.failure.ok()) {
    return {v1::GRADE_BAD, "At risk", "What was acknowledged is on the disk, and the disk fails.",
            "The journal has failed."};
  }
  if (!journal.corruptions.empty()) {
    return {v1::GRADE_BAD, "Not all of it",
            "What could be read back is delivered; the log names what could not.",
            "The journal on the disk was damaged."};
  }
  const auto danger = std::find_if(problems.begin(), problems.end(), [](const Problem& problem) {
    return problem.effect == Effect::kEndangering;
  });
  if (danger != problems.end()) {
    return {v1::GRADE_WARNING,
            facts.journal_is_volatile ? "Only while this machine lives" : "With a reservation",
            danger->cause, "It flows, and the data is less safe than it could be."};
  }
  return {v1::GRADE_GOOD, "Yes",
          !moment.seated || moment.waits
              ? "Every accepted event is in the database or on this disk."
              : "Every accepted event has reached the database.",
          "All is well."};
}

Finding DoesItFlow(const DaemonFacts& facts, const pipeline::PipelineStatus& pipeline,
                   const mysql::DatabaseStatus& database, const Moment& moment) {
  if (!pipeline.journal.failure.ok()) {
    return {v1::GRADE_BAD, "No", "New events are refused, and nothing more is acknowledged.",
            "The journal has failed."};
  }
  if (facts.draining) {
    return {v1::GRADE_BAD, "Ending", "New events are refused; what is held is being delivered.",
            "The daemon is ending."};
  }
  if (pipeline.journal.full) {
    return {v1::GRADE_BAD, "No", "New events are refused until the database takes what waits.",
            "The journal is full."};
  }
  if (!database.failure.ok()) {
    return {v1::GRADE_WARNING, "Held up", "Events are taken, and wait in the journal.",
            "The database is away."};
  }
  if (moment.halted > 0) {
    return {v1::GRADE_WARNING, "In part", "What is stopped waits in the journal; the rest goes on.",
            absl::StrCat(moment.halted, " of ", pipeline.lanes.size(), " lanes to the database ",
                         moment.halted == 1 ? "has" : "have", " stopped.")};
  }
  if (!moment.seated) {
    return {v1::GRADE_WARNING, "Not yet",
            "Lanes are still asking the database how far they had come.",
            "The daemon is starting."};
  }
  if (moment.waits_long) {
    return {v1::GRADE_WARNING, "Slowly", "Some have waited for longer than a minute.",
            "Events reach the database slowly."};
  }
  return {v1::GRADE_GOOD, "Yes", "Events are taken and reach the database.", "All is well."};
}

// The worse of both speaks; of equals, what stops the flow is felt first.
std::string HeadlineOf(const Finding& safe, const Finding& flows, bool has_problems) {
  if (flows.grade == v1::GRADE_GOOD && safe.grade == v1::GRADE_GOOD && has_problems) {
    return "It flows, and something needs a look.";
  }
  return flows.grade >= safe.grade ? flows.headline : safe.headline;
}

}  // namespace

v1::Summary SummaryOf(const std::vector<Problem>& problems, const DaemonFacts& facts,
                      const pipeline::PipelineStatus& pipeline,
                      const mysql::DatabaseStatus& database) {
  const Moment moment = MomentOf(pipeline);
  const Finding safe = IsItSafe(problems, facts, pipeline.journal, moment);
  const Finding flows = DoesItFlow(facts, pipeline, database, moment);
  v1::Summary summary;
  *summary.mutable_safe() = safe.ToAnswer();
  *summary.mutable_flows() = flows.ToAnswer();
  summary.set_headline(HeadlineOf(safe, flows, !problems.empty()));
  const v1::Grade at_least = problems.empty() ? v1::GRADE_GOOD : v1::GRADE_WARNING;
  summary.set_grade(std::max({at_least, safe.grade, flows.grade}));
  return summary;
}

}  // namespace holdfast::admin
