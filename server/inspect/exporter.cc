#include "server/inspect/exporter.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include <utility>

#include "absl/strings/str_cat.h"

#include "server/base/status_macros.h"
#include "server/inspect/looking_disk.h"
#include "server/journal/candidate.h"
#include "server/journal/recovery.h"

namespace holdfast::inspect {
namespace {

using google::protobuf::util::TimeUtil;

// Rows of holdfast_lanes are removed after 30 days without their writer; a day is left for clocks.
constexpr absl::Duration kLaneRowsKept = absl::Hours(29 * 24);

bool IsSelected(const EventWalk::Event& event, const Selection& selection) {
  return event.offset >= selection.from_offset && event.offset <= selection.to_offset &&
         (!selection.producer.has_value() || *selection.producer == event.producer) &&
         (!selection.kind.has_value() || *selection.kind == event::KindOfLane(event.lane));
}

bool IsSettled(const EventWalk::Event& event, const Context& context) {
  return context.positions.has_value() &&
         (*context.positions)[event.lane].value_or(0) >= event.ordinal;
}

// Only its producer and sequence keep such an event from counting twice, and only in the journal.
bool HasNoIdentity(const v1::Event& event) {
  return event.rate_limit().count_case() == v1::RateLimitEvent::kHits &&
         event.rate_limit().event_id().empty();
}

std::string ResendId(const EventWalk::Event& event, const Context& context) {
  const std::string name = event.producer.is_nil()
                               ? absl::StrCat("offset ", event.offset, " of journal ",
                                              event::FormatUuid(context.journal_id))
                               : absl::StrCat("sequence ", event.sequence, " of producer ",
                                              event::FormatUuid(event.producer));
  return event::FormatUuid(event::EventKey(name));
}

class Exporter final : public journal::Witness {
 public:
  Exporter(const Selection& selection, const Context& context,
           absl::FunctionRef<absl::Status(absl::string_view)> print, uint64_t bytes_all,
           Progress progress)
      : selection_(selection),
        context_(context),
        print_(print),
        bytes_all_(bytes_all),
        progress_(progress) {}

  void OnSegment(const journal::Candidate& candidate, uint64_t /*end*/) override {
    bytes_before_ += std::exchange(bytes_, candidate.size);
  }
  void OnFrame(const journal::FrameHeader& header, absl::string_view payload,
               uint64_t end) override {
    walk_.OnFrame(header, payload, [this](const EventWalk::Event& event) {
      if (failure_.ok() && IsSelected(event, selection_)) OnEvent(event);
    });
    progress_(bytes_before_ + end, bytes_all_);
  }
  void OnTorn(absl::string_view segment, const journal::ByteRange& bytes,
              absl::string_view reason) override {
    out_.torn.push_back({std::string(segment), bytes, std::string(reason)});
  }

  absl::StatusOr<Exported> Finish(const journal::Recovered& recovered) {
    progress_(bytes_all_, bytes_all_);
    if (!failure_.ok()) return failure_;
    for (const auto& [id, corruption] : recovered.corruptions) {
      out_.corruptions.push_back(corruption);
    }
    return std::move(out_);
  }

 private:
  void OnEvent(const EventWalk::Event& event);

  const Selection& selection_;
  const Context& context_;
  const absl::FunctionRef<absl::Status(absl::string_view)> print_;
  const uint64_t bytes_all_;
  Progress progress_;
  Exported out_;
  EventWalk walk_;
  uint64_t bytes_ = 0;         // Of the segment at hand,
  uint64_t bytes_before_ = 0;  // and of those before it.
  absl::Status failure_;       // Of `print`: nothing more is printed.
};

void Exporter::OnEvent(const EventWalk::Event& event) {
  // A daemon may write faster than this prints: it must come to an end.
  if (context_.in_use && event.accepted_at > context_.now) return;
  if (selection_.pending_only && IsSettled(event, context_)) return;
  v1::JournaledEvent line;
  if (!line.mutable_event()->ParseFromArray(event.bytes.data(),
                                            static_cast<int>(event.bytes.size()))) {
    ++out_.unreadable;
    return;
  }
  if (!event.producer.is_nil()) line.set_producer_id(event::FormatUuid(event.producer));
  line.set_sequence(event.sequence);
  line.set_offset(event.offset);
  line.set_lane(event::LaneName(event.lane));
  line.set_ordinal(event.ordinal);
  *line.mutable_accepted_at() =
      TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(event.accepted_at));
  line.set_delivery(DeliveryOf(event, context_));
  const bool anonymous = HasNoIdentity(line.event());
  if (anonymous) line.set_resend_id(ResendId(event, context_));
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(line, &json).ok()) {
    ++out_.unreadable;
    return;
  }
  json.push_back('\n');
  failure_ = print_(json);
  ++out_.events;
  const bool pending = line.delivery() == v1::DELIVERY_PENDING;
  if (anonymous) ++(pending ? out_.resent_ids : out_.held_back);
}

}  // namespace

v1::Delivery DeliveryOf(const EventWalk::Event& event, const Context& context) {
  if (!context.positions.has_value()) return v1::DELIVERY_UNSPECIFIED;
  if (IsSettled(event, context)) return v1::DELIVERY_DELIVERED;
  if (context.in_use) return v1::DELIVERY_UNSPECIFIED;
  const bool has_row = (*context.positions)[event.lane].has_value();
  const bool row_would_be_there = event.accepted_at > context.now - kLaneRowsKept;
  return has_row || row_would_be_there ? v1::DELIVERY_PENDING : v1::DELIVERY_UNSPECIFIED;
}

absl::StatusOr<event::Id> JournalIn(disk::Disk& disk) {
  LookingDisk looking(disk);
  HOLDFAST_ASSIGN_OR_RETURN(const journal::Found found, journal::FindCandidates(looking));
  if (found.journal_id.is_nil()) {
    return absl::NotFoundError(absl::StrCat("there is no journal in ", disk.path(),
                                            ": no file in it is a segment with a whole header"));
  }
  return found.journal_id;
}

absl::StatusOr<Exported> Export(disk::Disk& disk, const Selection& selection,
                                const Context& context,
                                absl::FunctionRef<absl::Status(absl::string_view line)> print,
                                Progress progress) {
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t bytes_all, SegmentBytes(disk));
  LookingDisk looking(disk);
  Exporter exporter(selection, context, print, bytes_all, progress);
  HOLDFAST_ASSIGN_OR_RETURN(const journal::Recovered recovered,
                            journal::Recover(looking, kProducersMax, &exporter));
  return exporter.Finish(recovered);
}

}  // namespace holdfast::inspect
