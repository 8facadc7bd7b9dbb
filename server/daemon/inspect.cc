#include "server/daemon/inspect.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/disk/lock_holder.h"
#include "server/disk/look.h"
#include "server/inspect/exporter.h"
#include "server/inspect/positions.h"
#include "server/inspect/report.h"
#include "server/inspect/survey.h"
#include "server/metrics/metrics.h"
#include "server/mysql/pool.h"

namespace holdfast::daemon {
namespace {

// A smaller folder is done before anybody wonders.
constexpr uint64_t kProgressFrom = uint64_t{64} << 20;
constexpr absl::Duration kProgressEvery = absl::Milliseconds(200);

// Draws how far it is, if somebody watches.
class ProgressBar final {
 public:
  explicit ProgressBar(base::Clock& clock) : clock_(clock), draws_(isatty(STDERR_FILENO) == 1) {}
  ~ProgressBar() {
    if (drawn_ > absl::InfinitePast()) std::fputs("\r\x1b[K", stderr);
  }

  void Show(uint64_t done, uint64_t all) {
    if (!draws_ || all < kProgressFrom || clock_.Steady() - drawn_ < kProgressEvery) return;
    drawn_ = clock_.Steady();
    const uint64_t hashes = done * 40 / all;
    std::fputs(
        absl::StrFormat("\r[%-40s] %d of %d MiB", std::string(hashes, '#'), done >> 20, all >> 20)
            .c_str(),
        stderr);
  }

 private:
  base::Clock& clock_;
  const bool draws_;
  absl::Time drawn_ = absl::InfinitePast();
};

void Say(absl::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fputc('\n', stderr);
}

absl::Status Print(absl::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("cannot write the answer: ", std::strerror(errno)));
}

ExitCode CodeOf(inspect::Finding finding) {
  switch (finding) {
    case inspect::Finding::kWhole:
      return kExitDrained;
    case inspect::Finding::kTorn:
      return kExitTornTail;
    case inspect::Finding::kCorrupt:
      return kExitCorrupt;
  }
  return kExitCorrupt;
}

// One look, with what it takes.
class Inspection final {
 public:
  explicit Inspection(const Reading& reading)
      : request_(reading.inspection),
        config_(reading.config),
        clock_(base::SystemClock()),
        bar_(clock_) {}

  absl::StatusOr<ExitCode> Run() {
    HOLDFAST_ASSIGN_OR_RETURN(disk_, disk::OpenPosixDiskToLook(config_.journal_dir));
    was_in_use_ = IsInUse().value_or(true);  // Not to know is as good as yes.
    HOLDFAST_RETURN_IF_ERROR(ReadPositions());
    return request_.what == inspect::Request::What::kExport ? Export() : Look();
  }

 private:
  absl::StatusOr<bool> IsInUse() const {
    HOLDFAST_ASSIGN_OR_RETURN(const auto holder, disk::LockHolder(config_.journal_dir));
    return holder.has_value();
  }
  absl::Status ReadPositions();
  absl::StatusOr<inspect::Survey> Survey();
  absl::StatusOr<ExitCode> Look();
  absl::StatusOr<ExitCode> Export();
  void SayWhatWasExported(const inspect::Exported& exported, bool in_use) const;

  const inspect::Request& request_;
  const Config& config_;
  base::Clock& clock_;
  ProgressBar bar_;
  std::unique_ptr<disk::Disk> disk_;
  bool was_in_use_ = false;
  std::optional<inspect::Positions> positions_;
};

absl::Status Inspection::ReadPositions() {
  if (!request_.ask_database) return absl::OkStatus();
  HOLDFAST_ASSIGN_OR_RETURN(const event::Id journal_id, inspect::JournalIn(*disk_));
  metrics::Metrics metrics("inspect");  // For the pool; nobody scrapes it.
  mysql::Pool pool(config_.database, clock_, metrics);
  absl::StatusOr<inspect::Positions> positions = inspect::ReadPositions(
      pool, clock_.Steady() + config_.database.pool_timeout, journal_id, was_in_use_);
  if (!positions.ok()) {
    return absl::UnavailableError(absl::StrCat(
        "how far the lanes have come is in the database (holdfast_lanes), which cannot be asked: ",
        positions.status().message(),
        "; it needs the daemon's own MYSQL_* settings. Without the database the whole folder can "
        "be shown, not what of it is pending"));
  }
  positions_ = *positions;
  return absl::OkStatus();
}

absl::StatusOr<inspect::Survey> Inspection::Survey() {
  return inspect::Look(
      *disk_, [this] { return IsInUse(); },
      [this](uint64_t done, uint64_t all) { bar_.Show(done, all); });
}

absl::StatusOr<ExitCode> Inspection::Look() {
  HOLDFAST_ASSIGN_OR_RETURN(const inspect::Survey survey, Survey());
  const bool lists = request_.what == inspect::Request::What::kList;
  HOLDFAST_RETURN_IF_ERROR(Print(lists
                                     ? inspect::ListReport(config_.journal_dir, survey, positions_)
                                     : inspect::VerifyReport(config_.journal_dir, survey)));
  const ExitCode code = CodeOf(survey.finding());
  // What a daemon is writing is no torn tail, and to list a folder is no verdict on it.
  return lists || (survey.in_use && code == kExitTornTail) ? kExitDrained : code;
}

absl::StatusOr<ExitCode> Inspection::Export() {
  inspect::Context context;
  HOLDFAST_ASSIGN_OR_RETURN(context.journal_id, inspect::JournalIn(*disk_));
  context.positions = positions_;
  context.in_use = was_in_use_ || IsInUse().value_or(true);
  context.now = clock_.Now();
  HOLDFAST_ASSIGN_OR_RETURN(
      inspect::Exported exported,
      inspect::Export(*disk_, request_.selection, context, Print,
                      [this](uint64_t done, uint64_t all) { bar_.Show(done, all); }));
  if (context.in_use && !exported.corruptions.empty()) {
    // What was being written just then is no damage: looked at again, it is whole.
    HOLDFAST_ASSIGN_OR_RETURN(inspect::Survey survey, Survey());
    exported.corruptions = std::move(survey.corruptions);
  }
  SayWhatWasExported(exported, context.in_use);
  return exported.corruptions.empty() && exported.unreadable == 0 ? kExitDrained : kExitCorrupt;
}

void Inspection::SayWhatWasExported(const inspect::Exported& exported, bool in_use) const {
  Say(absl::StrCat("exported ", exported.events, " events"));
  if (in_use) {
    Say("A daemon is at work on the folder: its last group may be in flight, and it goes on "
        "delivering these events itself.");
  }
  for (const journal::Corruption& one : exported.corruptions) {
    Say(absl::StrCat("CORRUPT ", one.segment, " bytes ", one.first_byte, " to ", one.end_byte, ": ",
                     one.reason,
                     "; what it held is not exported. `holdfast journal verify` tells "
                     "more"));
  }
  if (exported.unreadable > 0) {
    Say(absl::StrCat(exported.unreadable,
                     " events have no JSON form or are none; they are not exported"));
  }
  if (exported.held_back > 0) {
    Say(absl::StrCat(
        exported.held_back,
        " of them are hits without an event_id that may be in the database already: `holdfast "
        "send` holds these back. --pending_only, with the daemon stopped, tells which are not"));
  }
  if (exported.resent_ids > 0) {
    Say(absl::StrCat(
        exported.resent_ids,
        " of them are hits without an event_id, sent again under a resend_id: once they are sent, "
        "start no daemon on this folder any more, it would count them a second time"));
  }
}

}  // namespace

ExitCode InspectJournal(const Reading& reading) {
  base::SetLogLevel(base::LogLevel::kError);  // What recovery would log is in the answer.
  absl::StatusOr<ExitCode> code = Inspection(reading).Run();
  if (code.ok() && std::fflush(stdout) != 0) {
    code = absl::AbortedError(absl::StrCat("cannot write the answer: ", std::strerror(errno)));
  }
  if (code.ok()) return *code;
  Say(absl::StrCat("the journal in ", reading.config.journal_dir,
                   " cannot be shown: ", code.status().message()));
  return reading.inspection.ask_database && absl::IsUnavailable(code.status()) ? kExitNoDatabase
                                                                               : kExitJournal;
}

}  // namespace holdfast::daemon
