// Recovery of a whole folder. Whatever is in it comes out as delivered, as a torn tail that was
// never acknowledged, or as damage that is reported; nothing is deleted, and to recover what was
// recovered changes nothing. Who only looks finds the same, accounts for every byte, and changes
// nothing.

#include "server/journal/recovery.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/inspect/survey.h"
#include "server/journal/journal.h"
#include "tests/fuzz/folder.h"
#include "tests/fuzz/targets.h"
#include "tests/support/fake_clock.h"

namespace holdfast::fuzz {
namespace {

using namespace holdfast::journal;

constexpr size_t kProducersMax = 16;
// Above this, numbers come to the end of what the format can say: only a forger gets there.
constexpr uint64_t kNumberPlausible = kNumberMax / 2;

metrics::Metrics& FuzzMetrics() {
  static metrics::Metrics* const metrics = new metrics::Metrics("fuzz");
  return *metrics;
}

JournalOptions Options() {
  JournalOptions options;
  options.segment_bytes = 64 << 10;
  options.bytes_max = uint64_t{1} << 30;
  options.group_bytes_max = 8 << 10;
  options.queue_bytes_max = 32 << 10;
  options.producers_max = kProducersMax;
  return options;
}

// Every file is still there under its name, or set aside under one of its own. Blanks may go.
void NothingIsDeleted(const std::map<std::string, std::string>& before, test::ForgetfulDisk& disk) {
  std::map<std::string, int> now;  // How often such bytes are there.
  const std::vector<std::string> names = *disk.List();
  for (const std::string& name : names) ++now[disk.Contents(name)];
  for (const auto& file : before) {
    const std::string& name = file.first;
    if (absl::EndsWith(name, ".tmp")) continue;
    HOLDFAST_CHECK(--now[file.second] >= 0);
    const std::string aside = absl::StrCat(name.substr(0, name.find('.')), ".corrupt");
    HOLDFAST_CHECK(std::any_of(names.begin(), names.end(), [&](const std::string& one) {
      return one == name || absl::StartsWith(one, aside);
    }));
  }
}

// What one who looks says is what recovery then says.
void LookingAgrees(const absl::StatusOr<inspect::Survey>& survey,
                   const absl::StatusOr<Recovered>& recovered, const Folder& folder) {
  HOLDFAST_CHECK(survey.ok() == recovered.ok());
  if (!survey.ok()) return;
  HOLDFAST_CHECK(survey->journal_id == recovered->journal_id);
  HOLDFAST_CHECK(survey->corruptions.size() == recovered->corruptions.size());
  for (size_t i = 0; i < survey->corruptions.size(); ++i) {
    const Corruption& one = survey->corruptions[i];
    const Corruption& other = recovered->corruptions[i].second;
    HOLDFAST_CHECK(one.segment == other.segment && one.first_byte == other.first_byte &&
                   one.end_byte == other.end_byte && one.first_offset == other.first_offset &&
                   one.end_offset == other.end_offset && one.reason == other.reason);
  }
  for (const inspect::SegmentSurvey& segment : survey->segments) {
    HOLDFAST_CHECK(segment.bytes == folder.files().at(segment.name).size());
    uint64_t sum = 0;
    for (const uint64_t part : {segment.header_bytes, segment.frame_bytes, segment.corrupt_bytes,
                                segment.torn_bytes, segment.unused_bytes}) {
      HOLDFAST_CHECK(part <= segment.bytes);
      sum += part;
    }
    HOLDFAST_CHECK(sum == segment.bytes);
  }
}

void NothingIsChanged(const std::map<std::string, std::string>& before, test::ForgetfulDisk& disk) {
  const std::vector<std::string> names = *disk.List();
  HOLDFAST_CHECK(names.size() == before.size());
  for (const std::string& name : names) HOLDFAST_CHECK(disk.Contents(name) == before.at(name));
}

bool IsPlausible(const Recovered& recovered) {
  return recovered.end_offset < kNumberPlausible &&
         *std::max_element(recovered.heads.begin(), recovered.heads.end()) < kNumberPlausible;
}

void IsTheSame(const Recovered& a, const Recovered& b) {
  // The number of a blank that was never used may be given again.
  HOLDFAST_CHECK(a.journal_id == b.journal_id && a.next_segment_id >= b.next_segment_id);
  HOLDFAST_CHECK(a.end_offset == b.end_offset && a.heads == b.heads);
  HOLDFAST_CHECK(a.segments.size() == b.segments.size());
  HOLDFAST_CHECK(a.tail.present == b.tail.present && a.tail.payload == b.tail.payload);
  HOLDFAST_CHECK(a.producers.size() == b.producers.size());
  for (size_t i = 0; i < a.producers.size(); ++i) {
    HOLDFAST_CHECK(a.producers[i].producer == b.producers[i].producer &&
                   a.producers[i].last_sequence == b.producers[i].last_sequence);
  }
}

// Ordinal by lane: the offset and the bytes.
using Delivered = std::map<std::pair<event::Lane, uint64_t>, std::pair<uint64_t, std::string>>;

Delivered ReadEverything(Journal& journal) {
  Delivered delivered;
  for (event::Lane lane = 0; lane < event::kLaneCount; ++lane) {
    if (journal.recovered_heads()[lane] == 0) continue;
    const std::unique_ptr<Reader> reader = journal.Read(lane, 0);
    uint64_t last = 0;
    while (true) {
      const absl::StatusOr<std::vector<Reader::Record>> records = reader->Next(4096);
      HOLDFAST_CHECK(records.ok());
      if (records->empty()) break;
      for (const Reader::Record& record : *records) {
        HOLDFAST_CHECK(record.ordinal > last);
        last = record.ordinal;
        delivered[{lane, record.ordinal}] = {record.offset, std::string(record.bytes)};
      }
    }
    HOLDFAST_CHECK(last <= journal.recovered_heads()[lane]);
  }
  return delivered;
}

bool IsReported(const std::vector<Corruption>& corruptions, const Folder::Frame& frame,
                uint64_t offset) {
  return std::any_of(corruptions.begin(), corruptions.end(), [&](const Corruption& one) {
    const bool by_offset = one.first_offset <= offset && offset < one.end_offset;
    const bool by_byte =
        one.segment == frame.file && one.first_byte < frame.end && frame.begin < one.end_byte;
    // With nothing whole before it, nobody knows what a file held that is no more than its name.
    const bool by_name = one.segment == frame.file && one.end_offset == 0;
    return by_offset || by_byte || by_name;
  });
}

// Of honest files: what is whole is delivered, what is proven and not whole is reported, and
// nothing comes out that never went in.
void NothingIsPassedOver(const Folder& folder, const Delivered& delivered,
                         const std::vector<Corruption>& corruptions) {
  const uint64_t proven = folder.ProvenOffset();
  size_t whole = 0;
  for (const Folder::Frame& frame : folder.frames()) {
    const bool intact = folder.IsIntact(frame.file, frame.begin, frame.end);
    for (const Folder::Event& event : frame.events) {
      const auto found = delivered.find({event.lane, event.ordinal});
      if (found != delivered.end()) {
        HOLDFAST_CHECK(found->second == std::make_pair(event.offset, event.bytes));
        ++whole;
      } else {
        HOLDFAST_CHECK(!intact);
        HOLDFAST_CHECK(event.offset > proven || IsReported(corruptions, frame, event.offset));
      }
    }
  }
  HOLDFAST_CHECK(whole == delivered.size());
}

}  // namespace

void Recovery(absl::string_view input) {
  Folder folder(input);
  test::ForgetfulDisk& disk = folder.disk();
  const absl::StatusOr<inspect::Survey> survey = inspect::Look(
      disk, [] { return absl::StatusOr<bool>(false); }, [](uint64_t, uint64_t) {});
  NothingIsChanged(folder.files(), disk);
  absl::StatusOr<Recovered> first = Recover(disk, kProducersMax);
  LookingAgrees(survey, first, folder);
  NothingIsDeleted(folder.files(), disk);
  if (!first.ok()) {
    // A newer version wrote it, or a number is at its end: only a forger does that.
    HOLDFAST_CHECK(!folder.honest() && absl::IsFailedPrecondition(first.status()));
    return;
  }
  const absl::StatusOr<Recovered> second = Recover(disk, kProducersMax);
  HOLDFAST_CHECK(second.ok());
  IsTheSame(*first, *second);
  if (!IsPlausible(*first)) return;

  test::FakeClock clock;
  absl::StatusOr<std::unique_ptr<Journal>> journal =
      Journal::Open(Options(), disk, clock, FuzzMetrics());
  HOLDFAST_CHECK(journal.ok());
  const Delivered delivered = ReadEverything(**journal);
  if (folder.honest()) {
    // Of files that were set aside only the first recovery knows.
    std::vector<Corruption> corruptions = (*journal)->Status().corruptions;
    for (const auto& [id, corruption] : first->corruptions) corruptions.push_back(corruption);
    NothingIsPassedOver(folder, delivered, corruptions);
  }
  const LanePositions heads = (*journal)->recovered_heads();
  *journal = nullptr;
  // Blanks go; what else was there before is still there.
  disk.PowerOff();
  disk.PowerOn(test::ForgetfulDisk::End::kPowerCut);
  NothingIsDeleted(folder.files(), disk);
  journal = Journal::Open(Options(), disk, clock, FuzzMetrics());
  HOLDFAST_CHECK(journal.ok());
  HOLDFAST_CHECK((*journal)->recovered_heads() == heads);
  HOLDFAST_CHECK(ReadEverything(**journal) == delivered);
}

}  // namespace holdfast::fuzz
