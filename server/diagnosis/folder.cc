#include "server/diagnosis/folder.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "server/diagnosis/within.h"

namespace holdfast::diagnosis {
namespace {

constexpr char kJournal[] = "journal";
constexpr char kSpace[] = "journal space";
constexpr char kSync[] = "journal sync";
constexpr char kLock[] = "journal lock";

constexpr int kSyncs = 8;

// An acknowledgement waits for a sync; above this gateways feel it.
constexpr absl::Duration kSlowSync = absl::Milliseconds(100);

// What a journal leaves free on its volume (JournalOptions::bytes_max).
constexpr uint64_t kSegmentsFree = 2;

std::string Mebibytes(uint64_t bytes) { return absl::StrCat(bytes >> 20, " MiB"); }

void JudgeKind(const disk::Survey& survey, const Options& options, uint32_t user_id,
               Findings* findings) {
  const disk::FileSystem& system = survey.file_system;
  const std::string found = absl::StrCat(options.journal_folder, " on ", system.name);
  bool is_sound = true;
  const auto warn = [&](absl::string_view what, absl::string_view meaning,
                        absl::string_view remedy) {
    is_sound = false;
    findings->Warn(kJournal, absl::StrCat(found, what), meaning, remedy);
  };
  if (system.persistence == disk::Persistence::kVolatile) {
    warn(", which does not outlive this machine or pod",
         "events that are only JOURNALED are gone with it",
         options.ack_when_journaled ? "mount a volume there, or let gateways wait for COMMITTED "
                                      "(RATE_LIMIT_MYSQL_ASYNC=false)"
                                    : "mount a volume there");
  }
  if (system.is_remote) {
    warn(", on another machine",
         "each acknowledgement waits for the network, and its lock may fail",
         "give the journal a local volume");
  }
  if ((survey.mode & 077) != 0) {
    warn(absl::StrFormat(", mode %04o", survey.mode),
         "other users of this machine may reach the events in it",
         absl::StrCat("chmod 700 ", options.journal_folder));
  }
  if (!survey.writable.ok()) {
    return findings->Problem(
        kJournal, std::string(survey.writable.message()),
        absl::StrCat("the daemon cannot journal as user ", user_id, "; the folder is of user ",
                     survey.owner),
        absl::StrCat("chown it to the daemon's user, or remount a volume that is read-only: ",
                     options.journal_folder));
  }
  if (is_sound) findings->Ok(kJournal, found);
}

void JudgeSpace(const disk::Survey& survey, const Options& options, Findings* findings) {
  const uint64_t left =
      options.journal_bytes_max - std::min(options.journal_bytes_max, survey.used_bytes);
  const std::string found =
      absl::StrCat(Mebibytes(survey.used_bytes), " of ", Mebibytes(options.journal_bytes_max),
                   " in use, ", Mebibytes(survey.free_bytes), " free on the volume");
  if (survey.free_bytes < kSegmentsFree * options.journal_segment_bytes) {
    return findings->Problem(kSpace, found,
                             "there is no room for the next segment: events are refused soon",
                             "free or add space on the journal's volume");
  }
  if (survey.free_bytes < left) {
    return findings->Warn(
        kSpace, found,
        "in a long outage the volume is full before the journal is, and events are refused sooner "
        "than HOLDFAST_JOURNAL_MAX_BYTES says",
        "give the volume more space, or lower HOLDFAST_JOURNAL_MAX_BYTES");
  }
  findings->Ok(kSpace, found);
}

void JudgeSyncs(const disk::Survey& survey, Findings* findings) {
  if (!survey.sync_failure.ok()) {
    return findings->Problem(kSync, std::string(survey.sync_failure.message()),
                             "nothing can be made durable there: no event is acknowledged",
                             "see the kernel's log (dmesg) for the disk's errors; free space");
  }
  if (survey.syncs.empty()) return findings->Skip(kSync, "needs a folder that can be written to");
  std::vector<absl::Duration> sorted = survey.syncs;
  std::sort(sorted.begin(), sorted.end());
  const absl::Duration median = sorted[sorted.size() / 2];
  const std::string found = absl::StrFormat(
      "%d writes with fdatasync: median %.1f ms, slowest %.1f ms", sorted.size(),
      absl::ToDoubleMilliseconds(median), absl::ToDoubleMilliseconds(sorted.back()));
  if (median <= kSlowSync) return findings->Ok(kSync, found);
  findings->Warn(kSync, found, "each acknowledgement of JOURNALED waits for one of these",
                 "put the journal on a faster disk, or find out who else keeps this one busy");
}

void JudgeLock(const disk::Survey& survey, const Options& options, int process_id,
               Findings* findings) {
  if (!survey.holder.ok()) {
    return findings->Skip(kLock, std::string(survey.holder.status().message()));
  }
  if (!survey.holder->has_value()) {
    if (!options.is_daemon)
      return findings->Ok(kLock, "nobody is seen to hold it: no daemon runs on this folder");
    return findings->Skip(kLock, "this system's list of locks does not show it");
  }
  const pid_t process = **survey.holder;
  const std::string holder =
      process == 0 ? "a process outside of this pid namespace" : absl::StrCat("process ", process);
  if (process == process_id) return findings->Ok(kLock, "held by the daemon itself");
  if (options.is_daemon) {
    // In a container the list may have the number that this process has outside.
    return findings->Ok(kLock, absl::StrCat("held, by ", holder));
  }
  findings->Warn(kLock, absl::StrCat("held by ", holder),
                 "a daemon runs on this folder and was not reached; a second one cannot start",
                 "see whether it listens elsewhere (HOLDFAST_LISTEN, --to), or hangs");
}

}  // namespace

std::optional<disk::Survey> SurveyJournal(const Options& options, absl::Duration timeout,
                                          base::Clock& clock) {
  return Within<disk::Survey>(timeout, clock, [folder = options.journal_folder, &clock] {
    return disk::SurveyFolder(folder, kSyncs, clock);
  });
}

void JudgeFolder(const std::optional<disk::Survey>& survey, const Options& options, int process_id,
                 uint32_t user_id, Findings* findings) {
  const auto skip_rest = [findings](absl::string_view why) {
    for (const char* check : {kSpace, kSync, kLock}) findings->Skip(check, why);
  };
  if (!survey.has_value()) {
    findings->Problem(kJournal, absl::StrCat(options.journal_folder, " does not answer"),
                      "the disk or the network behind it hangs: nothing can be made durable",
                      "see the kernel's log (dmesg), and the server of a network volume");
    return skip_rest("needs a disk that answers");
  }
  if (absl::IsNotFound(survey->found)) {
    findings->Warn(kJournal, absl::StrCat(options.journal_folder, " does not exist"),
                   "no daemon has run with it yet; it is made at the first start if its parent "
                   "allows it",
                   "start holdfastd, or correct HOLDFAST_JOURNAL_DIR");
    return skip_rest("needs the folder");
  }
  if (!survey->found.ok()) {
    findings->Problem(kJournal, std::string(survey->found.message()),
                      "the daemon cannot open its journal",
                      "let HOLDFAST_JOURNAL_DIR name a folder that this user may enter");
    return skip_rest("needs the folder");
  }
  JudgeKind(*survey, options, user_id, findings);
  JudgeSpace(*survey, options, findings);
  JudgeSyncs(*survey, findings);
  JudgeLock(*survey, options, process_id, findings);
}

}  // namespace holdfast::diagnosis
