#include "tests/sim/faults.h"

#include <algorithm>

namespace holdfast::sim {
namespace {

using Kind = test::FakeCall::Kind;

constexpr unsigned kLinkLost[] = {2013, 2006, 1927, 1053, 1158};

test::FakeFault AnyFault(Kind kind, Random& random) {
  test::FakeFault fault;
  if (kind == Kind::kRent) {
    fault.error_number = random.OneIn(2) ? 2002 : 1040;
    return fault;
  }
  if (kind != Kind::kCommit && random.OneIn(2)) {
    constexpr unsigned kStatement[] = {1213, 1205, 1205, 1290, 1020};
    fault.error_number = kStatement[random.Below(std::size(kStatement))];
    return fault;
  }
  if (kind == Kind::kCommit && random.OneIn(5)) {
    fault.error_number = random.OneIn(2) ? 1213 : 1180;
    return fault;
  }
  fault.error_number = kLinkLost[random.Below(std::size(kLinkLost))];
  fault.took_effect = random.OneIn(2);
  fault.server_lives_on = !fault.took_effect && random.OneIn(2);
  return fault;
}

}  // namespace

Faults::Faults(test::FakeDatabase& database, Scheduler& clock, Report& report, uint64_t seed)
    : database_(database), clock_(clock), report_(report), random_(seed) {
  database_.SetFaults([this](const test::FakeCall& call) { return Strike(call); });
}

void Faults::Plan(Random random) {
  constexpr Kind kKinds[] = {Kind::kCommit,  Kind::kCommit,  Kind::kCommit, Kind::kExecute,
                             Kind::kExecute, Kind::kExecute, Kind::kQuery,  Kind::kBegin,
                             Kind::kRent,    Kind::kRollback};
  const Kind kind = kKinds[random.Below(std::size(kKinds))];
  planned_.push_back({kind, 1 + random.Below(4), AnyFault(kind, random)});
}

test::FakeFault Faults::Strike(const test::FakeCall& call) {
  database_.engine().set_conflict_is_deadlock(random_.OneIn(3));
  for (auto planned = planned_.begin(); planned != planned_.end(); ++planned) {
    if (planned->kind != call.kind || --planned->calls_left > 0) continue;
    const test::FakeFault fault = planned->fault;
    planned_.erase(planned);
    if (call.kind == Kind::kCommit && fault.error_number != 1213 && fault.error_number != 1180) {
      ++report_.commit_cuts;
      if (fault.took_effect) ++report_.commit_cuts_done;
      if (!fault.took_effect && !fault.server_lives_on) ++report_.commit_cuts_undone;
    }
    return fault;
  }
  return {};
}

void Faults::EndZombies(bool commit) {
  const size_t zombies = database_.zombies();
  const size_t told_to_commit = database_.EndZombies(commit);
  report_.zombies += zombies;
  (commit ? report_.commit_cuts_done : report_.commit_cuts_undone) += told_to_commit;
}

void Faults::FailOver(uint64_t commits) {
  ++report_.failovers;
  const uint64_t before = database_.commits();
  database_.FailOver(static_cast<size_t>(std::min(commits, before)));
  report_.commits_rolled_back += std::min(commits, before);
}

}  // namespace holdfast::sim
