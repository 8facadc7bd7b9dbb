#include "server/journal/keeper.h"

#include <algorithm>
#include <utility>

#include "server/base/log.h"
#include "server/base/status_macros.h"

namespace holdfast::journal {
namespace {

// After the volume refused, it is asked again so often.
constexpr absl::Duration kTryAgainAfter = absl::Seconds(1);

}  // namespace

Keeper::Keeper(const JournalOptions& options, uint64_t next_segment_id, disk::Disk& disk,
               base::Clock& clock, Catalog& catalog, metrics::Metrics& metrics)
    : options_(options),
      disk_(disk),
      clock_(clock),
      catalog_(catalog),
      metrics_(metrics),
      next_segment_id_(next_segment_id),
      next_bytes_(options.segment_bytes) {}

void Keeper::Start() {
  thread_ = clock_.StartThread([this] { Loop(); });
}

void Keeper::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.Join();
}

absl::StatusOr<Blank> Keeper::MakeFirst(uint64_t file_bytes) {
  uint64_t id = 0;
  {
    absl::MutexLock lock(&mu_);
    id = next_segment_id_;
  }
  const uint64_t in_files = catalog_.AllBytes();
  absl::StatusOr<Blank> blank =
      in_files + file_bytes <= options_.bytes_max
          ? MakeBlank(disk_, id, file_bytes)
          : absl::ResourceExhaustedError("the journal's segments have reached their limit");
  absl::MutexLock lock(&mu_);
  if (blank.ok()) {
    ++next_segment_id_;
  } else if (absl::IsResourceExhausted(blank.status())) {
    full_ = true;
    next_bytes_ = std::max(next_bytes_, file_bytes);
    closed_by_limit_ = in_files + file_bytes > options_.bytes_max;
    closed_at_bytes_ = in_files;
    metrics_.journal_full->Set(1);
    base::LogWarning("no room for a journal segment; new events are refused until there is",
                     {{"folder", disk_.path()}, {"error", blank.status()}});
  }
  return blank;
}

std::optional<Blank> Keeper::Take() {
  absl::MutexLock lock(&mu_);
  clock_.Await(mu_, absl::Condition(this, &Keeper::CanAnswer));
  std::optional<Blank> taken = std::move(blank_);
  blank_.reset();
  if (taken.has_value()) taken_bytes_ = taken->file_bytes;
  next_bytes_ = options_.segment_bytes;
  return taken;
}

void Keeper::TakenIsInUse() {
  absl::MutexLock lock(&mu_);
  taken_bytes_ = 0;
  woken_ = true;
}

void Keeper::GiveUp() {
  absl::MutexLock lock(&mu_);
  giving_up_ = true;
}

void Keeper::Wake() {
  absl::MutexLock lock(&mu_);
  woken_ = true;
}

bool Keeper::full() const {
  absl::ReaderMutexLock lock(&mu_);
  return full_;
}

void Keeper::Loop() {
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      if (stopping_) return;
      woken_ = false;
    }
    while (DeleteOne()) {
    }
    PrepareBlank();
    Judge();
    Rest();
  }
}

void Keeper::Rest() {
  const absl::Time expiry = catalog_.NextExpiry(options_, clock_.Steady());
  absl::MutexLock lock(&mu_);
  absl::Duration rest = expiry == absl::InfiniteFuture()
                            ? absl::InfiniteDuration()
                            : std::max(absl::ZeroDuration(), expiry - clock_.Steady());
  if (cannot_prepare_) rest = std::min(rest, kTryAgainAfter);
  if (cannot_delete_) rest = kTryAgainAfter;
  const absl::Condition woken(this, &Keeper::Woken);
  if (rest == absl::InfiniteDuration()) {
    clock_.Await(mu_, woken);
  } else {
    clock_.AwaitWithTimeout(mu_, woken, rest);
  }
}

// One at a time, the oldest first, and each for good before the next: a power cut must not leave a
// hole.
bool Keeper::DeleteOne() {
  bool room_needed = false;
  {
    absl::MutexLock lock(&mu_);
    room_needed = !blank_.has_value() && (volume_is_full_ || !RoomForOne());
  }
  const std::optional<Segment> oldest = catalog_.Condemn(options_, clock_.Steady(), room_needed);
  if (!oldest.has_value()) return false;
  absl::Status status = disk_.Remove(oldest->name);
  if (status.ok() || absl::IsNotFound(status)) status = disk_.SyncFolder();
  if (status.ok()) catalog_.Remove(oldest->id);
  absl::MutexLock lock(&mu_);
  if (!status.ok() && !cannot_delete_) {
    base::LogError("cannot delete a delivered journal segment; trying again every second",
                   {{"segment", oldest->name}, {"error", status}});
  }
  cannot_delete_ = !status.ok();
  return status.ok();
}

bool Keeper::RoomForOne() const {
  return catalog_.AllBytes() + taken_bytes_ + next_bytes_ <= options_.bytes_max;
}

void Keeper::PrepareBlank() {
  uint64_t id = 0;
  uint64_t file_bytes = 0;
  {
    absl::MutexLock lock(&mu_);
    if (blank_.has_value() || !RoomForOne()) return;
    id = next_segment_id_;
    file_bytes = next_bytes_;
  }
  absl::StatusOr<Blank> blank = MakeBlank(disk_, id, file_bytes);
  absl::MutexLock lock(&mu_);
  if (blank.ok()) {
    ++next_segment_id_;
    blank_ = *std::move(blank);
  } else if (!cannot_prepare_) {
    base::LogWarning("cannot prepare a journal segment; trying again every second",
                     {{"folder", disk_.path()}, {"error", blank.status()}});
  }
  cannot_prepare_ = !blank_.has_value();
  volume_is_full_ = absl::IsResourceExhausted(blank.status());
}

// Closes when no segment is ready and there is no room for one; reopens a tenth lower, so that it
// does not flutter.
void Keeper::Judge() {
  const uint64_t used = catalog_.UnreleasedBytes();
  absl::MutexLock lock(&mu_);
  const bool over_limit = used + taken_bytes_ + next_bytes_ > options_.bytes_max;
  if (!full_ && !blank_.has_value() && (over_limit || cannot_prepare_)) {
    full_ = true;
    closed_by_limit_ = over_limit;
    closed_at_bytes_ = used;
    base::LogWarning("the journal is full; new events are refused until delivery has made room",
                     {{"used_bytes", used},
                      {"limit_bytes", options_.bytes_max},
                      {"volume_is_full", volume_is_full_}});
  } else if (full_ && blank_.has_value() &&
             (!closed_by_limit_ || used <= closed_at_bytes_ / 10 * 9)) {
    full_ = false;
    base::LogInfo("the journal takes events again", {{"used_bytes", used}});
  }
  metrics_.journal_full->Set(full_ ? 1 : 0);
}

}  // namespace holdfast::journal
