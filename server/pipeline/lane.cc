#include "server/pipeline/lane.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/base/log.h"
#include "server/mysql/errors.h"

namespace holdfast::pipeline {
namespace {

using flow::Verdict;

// So many deadlocks in a row are the day's work: nothing is given up and nothing logged for them.
constexpr int kQuickRetries = 3;

bool IsQuick(Verdict verdict, int failures) {
  return (verdict == Verdict::kRetry && failures <= kQuickRetries) ||
         (verdict == Verdict::kUnknown && failures == 1);
}

// The sink quarantines bad data by itself. If it says so of anything else, such as the lane's own
// row, nothing will mend that but an operator. Nor an answer of the database that makes no sense,
// as from a table that is not ours.
Verdict VerdictOf(const absl::Status& failure) {
  if (absl::IsInternal(failure)) return Verdict::kOutage;
  const Verdict verdict = mysql::VerdictOf(failure);
  return verdict == Verdict::kReject ? Verdict::kOutage : verdict;
}

}  // namespace

Lane::Lane(event::Lane number, const PipelineOptions& options, std::unique_ptr<Sink> sink,
           std::unique_ptr<Feed> feed, base::Clock& clock, metrics::Metrics& metrics,
           LaneListener* listener)
    : number_(number),
      name_(event::LaneName(number)),
      writer_id_(options.writer.writer_id),
      slow_batch_(options.slow_batch),
      clock_(clock),
      stopped_gauge_(metrics.LaneStopped(name_)),
      listener_(listener),
      feed_(std::move(feed)),
      sink_(std::move(sink)),
      retry_(options.retry, std::hash<std::string>()(absl::StrCat(writer_id_, "/", name_))) {}

Lane::~Lane() {
  Stop();
  Join();
}

void Lane::Start() {
  thread_ = clock_.StartThread([this] { Run(); });
}

void Lane::Stop() {
  feed_->Stop();
  absl::MutexLock lock(&mu_);
  stopping_ = true;
}

void Lane::Join() { thread_.Join(); }

void Lane::Hurry() {
  absl::MutexLock lock(&mu_);
  hurry_ = true;
}

LaneReport Lane::Report() const {
  LaneReport report;
  report.lane = number_;
  report.head = feed_->head();
  absl::Time oldest = feed_->oldest();
  {
    absl::MutexLock lock(&mu_);
    report.state = state_;
    report.reason = reason_;
    report.seated = seated_;
    report.seat = seat_;
    oldest = std::min(oldest, cut_accepted_at_);
  }
  // Between two cuts it may be reading the journal.
  if (report.state == LaneState::kIdle && report.head > report.seat.position) {
    report.state = LaneState::kBusy;
  }
  if (oldest < absl::InfiniteFuture()) {
    report.oldest_age = std::max(clock_.Now() - oldest, absl::ZeroDuration());
  }
  return report;
}

void Lane::Run() {
  while (Open() && DeliverAll() == Then::kOpenAgain) {
  }
}

bool Lane::Open() {
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      if (stopping_) return false;
    }
    asked_at_ = clock_.Steady();
    const absl::Status opened = sink_->Open();
    if (opened.ok()) break;
    if (!FailAndWait(opened, "lane cannot take its place in the database")) return false;
  }
  Succeed();
  TakeSeat();
  return true;
}

Lane::Then Lane::DeliverAll() {
  while (true) {
    Enter(LaneState::kIdle, "");
    const absl::StatusOr<Feed::Outcome> outcome = feed_->Next(&cut_);
    if (!outcome.ok()) {
      if (!FailAndWait(outcome.status(), "lane cannot read its events from the journal")) {
        return Then::kEnd;
      }
      continue;
    }
    Succeed();
    if (*outcome == Feed::Outcome::kStopped) return Then::kEnd;
    if (*outcome == Feed::Outcome::kLost) {
      if (const Then then = PassOverLost(); then != Then::kGoOn) return then;
      continue;
    }
    const Then then = *outcome == Feed::Outcome::kLook ? Look() : DeliverCut();
    if (then != Then::kGoOn) return then;
  }
}

Lane::Then Lane::DeliverCut() {
  if (!offset_known_) {
    Settled before;
    before.position = cut_.front().ordinal - 1;
    before.offset = cut_.front().offset - 1;
    TellSettled(std::move(before));
  }
  while (!cut_.empty()) {
    {
      absl::MutexLock lock(&mu_);
      if (stopping_) return Then::kEnd;
      if (state_ == LaneState::kIdle) state_ = LaneState::kBusy;
      cut_accepted_at_ = cut_.front().accepted_at;
    }
    asked_at_ = clock_.Steady();
    bool durable = true;
    absl::Duration journal_took;
    const absl::StatusOr<writer::Written> written = sink_->Write(cut_, [&] {
      const absl::Time since = clock_.Steady();
      durable = feed_->AwaitDurable(cut_.back().ordinal);
      journal_took += clock_.Steady() - since;
      return durable;
    });
    if (!durable) {
      feed_->TakeBack(&cut_);
      continue;
    }
    if (!written.ok()) {
      if (!FailAndWait(written.status(), "lane cannot write its events")) return Then::kEnd;
      continue;
    }
    if (written->kind == writer::Written::Kind::kCommitted) LogBatch(*written, journal_took);
    Succeed();
    const Then then = Follow(*written);
    if (then != Then::kGoOn) return then;
  }
  return Then::kGoOn;
}

std::optional<writer::Written> Lane::Insist(
    absl::FunctionRef<absl::StatusOr<writer::Written>()> ask, absl::string_view what) {
  looking_ = true;
  asked_at_ = clock_.Steady();
  absl::StatusOr<writer::Written> answer = ask();
  while (!answer.ok()) {
    if (!FailAndWait(answer.status(), what)) return std::nullopt;
    asked_at_ = clock_.Steady();
    answer = ask();
  }
  looking_ = false;
  Succeed();
  return *std::move(answer);
}

Lane::Then Lane::Look() {
  const std::optional<writer::Written> found =
      Insist([this] { return sink_->Look(); }, "idle lane cannot look at its row");
  if (!found.has_value()) return Then::kEnd;
  if (found->kind != writer::Written::Kind::kCommitted) return Follow(*found);
  {
    // The books may have moved: what was replayed from quarantine is counted elsewhere now.
    absl::MutexLock lock(&mu_);
    seat_ = sink_->seat();
  }
  NoteSeen(asked_at_);
  return Then::kGoOn;
}

Lane::Then Lane::Follow(const writer::Written& written) {
  switch (written.kind) {
    case writer::Written::Kind::kCommitted:
      Accept(written);
      return Then::kGoOn;
    case writer::Written::Kind::kReseated:
      if (sink_->seat().position > feed_->head()) {
        base::LogError(
            "the database has more of a lane than the journal ever had; the lane is opened again. "
            "If this repeats, another process writes under the same writer id",
            {{"lane", name_}, {"writer_id", writer_id_}});
        return Then::kOpenAgain;
      }
      base::LogWarning(
          "a lane's row in the database is not as it was left: a failover has lost commits, the "
          "row was deleted, or another node of a cluster is behind; what comes after it is written "
          "again from the journal",
          {{"lane", name_},
           {"left_at", Report().seat.position},
           {"position", sink_->seat().position},
           {"head", feed_->head()}});
      TakeSeat();
      return Then::kGoOn;
    case writer::Written::Kind::kFenced:
      Fence();
      return Then::kEnd;
  }
  return Then::kGoOn;
}

void Lane::Accept(const writer::Written& written) {
  HOLDFAST_CHECK(written.done > 0 && written.done <= cut_.size());
  Settled settled;
  const auto end = cut_.begin() + static_cast<std::ptrdiff_t>(written.done);
  settled.position = (end - 1)->ordinal;
  settled.offset = end != cut_.end() ? end->offset - 1 : feed_->SettledThrough((end - 1)->offset);
  for (auto event = cut_.begin(); event != end; ++event) {
    if (settled.producers.empty() || settled.producers.back() != event->producer) {
      settled.producers.push_back(event->producer);
    }
  }
  settled.rejections = written.rejections;
  cut_.erase(cut_.begin(), end);
  SayWhatIsMissing(Report().seat, sink_->seat());
  {
    absl::MutexLock lock(&mu_);
    seat_ = sink_->seat();
    cut_accepted_at_ = cut_.empty() ? absl::InfiniteFuture() : cut_.front().accepted_at;
  }
  TellSettled(std::move(settled));
  NoteSeen(asked_at_);
}

// What the journal has lost at the end of the lane: no batch will come to move the row past it.
Lane::Then Lane::PassOverLost() {
  Settled settled;
  settled.position = feed_->handed_through();
  const std::optional<writer::Written> passed =
      Insist([this, &settled] { return sink_->PassOver(settled.position); },
             "lane cannot pass over what the journal has lost");
  if (!passed.has_value()) return Then::kEnd;
  if (passed->kind != writer::Written::Kind::kCommitted) return Follow(*passed);
  SayWhatIsMissing(Report().seat, sink_->seat());
  {
    absl::MutexLock lock(&mu_);
    seat_ = sink_->seat();
  }
  // The offset that the listener has stays true; at the head it needs none.
  TellSettled(std::move(settled));
  NoteSeen(asked_at_);
  return Then::kGoOn;
}

// The journal reports damage where it sees it. That its oldest segment is gone it cannot see: only
// the lane's position in the database tells.
void Lane::SayWhatIsMissing(const writer::Seat& before, const writer::Seat& after) const {
  if (after.adjusted <= before.adjusted) return;
  base::LogError(
      "events of a lane are missing in the journal and are passed over; its folder was damaged, or "
      "a "
      "part of it removed",
      {{"lane", name_},
       {"events", after.adjusted - before.adjusted},
       {"after_ordinal", before.position},
       {"through_ordinal", after.position}});
}

void Lane::TellSettled(Settled settled) {
  settled.lane = number_;
  offset_known_ = true;
  listener_->OnSettled(settled);
}

void Lane::TakeSeat() {
  const writer::Seat seat = sink_->seat();
  cut_.clear();
  gave_up_ = false;
  offset_known_ = false;
  feed_->SeatAt(seat.position);
  {
    absl::MutexLock lock(&mu_);
    seated_ = true;
    seat_ = seat;
    cut_accepted_at_ = absl::InfiniteFuture();
  }
  listener_->OnSeated(number_, seat.position);
  NoteSeen(asked_at_);
}

absl::Time Lane::seen_at() const {
  absl::MutexLock lock(&mu_);
  return state_ == LaneState::kFenced ? absl::InfiniteFuture() : seen_at_;
}

// After the listener was told: it must not take what the lane stood at before for what was seen.
void Lane::NoteSeen(absl::Time at) {
  absl::MutexLock lock(&mu_);
  seen_at_ = at;
}

void Lane::Fence() {
  const std::string reason = absl::StrCat(
      "another process took over lane ", name_, " of writer id ", writer_id_,
      ": give every daemon a writer id and a journal folder of its own, then start this one again; "
      "what it has not delivered waits in its journal");
  cut_.clear();
  feed_->GiveUp(&cut_);
  {
    absl::MutexLock lock(&mu_);
    cut_accepted_at_ = absl::InfiniteFuture();
  }
  Enter(LaneState::kFenced, reason);
  base::LogError("lane is fenced and writes no more", {{"lane", name_}, {"reason", reason}});
  listener_->OnFenced(number_);
}

// Returns false if the thread must end.
bool Lane::FailAndWait(const absl::Status& failure, absl::string_view what) {
  const Verdict verdict = VerdictOf(failure);
  const absl::Duration wait = retry_.NextWait(verdict);
  if (!IsQuick(verdict, retry_.failures())) {
    Log(verdict, failure, what);
    if (!gave_up_) {
      feed_->GiveUp(&cut_);
      gave_up_ = true;
    }
  }
  Enter(verdict == Verdict::kOutage ? LaneState::kStopped : LaneState::kRetrying,
        absl::StrCat(what, ": ", failure.message()));
  absl::MutexLock lock(&mu_);
  clock_.AwaitWithTimeout(mu_, absl::Condition(this, &Lane::Interrupted), wait);
  hurry_ = false;
  return !stopping_;
}

void Lane::Succeed() {
  if (retry_.failures() == 0) return;
  const bool recovered = logged_.has_value();
  if (recovered) {
    base::LogInfo("lane moves again", {{"lane", name_}, {"failures", retry_.failures()}});
  }
  retry_.Reset();
  logged_.reset();
  if (gave_up_) {
    gave_up_ = false;
    feed_->Resume();
  }
  Enter(LaneState::kBusy, "");
  if (recovered) listener_->OnRecovered(number_);
}

void Lane::Enter(LaneState state, std::string reason) {
  absl::MutexLock lock(&mu_);
  state_ = state;
  reason_ = std::move(reason);
  const bool stopped = state == LaneState::kStopped || state == LaneState::kFenced;
  stopped_gauge_.Set(stopped ? 1 : 0);
}

}  // namespace holdfast::pipeline
