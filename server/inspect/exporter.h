// The events of a journal's folder as JSON lines (holdfast.v1.JournaledEvent), to be looked at or
// sent again.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "holdfast/v1/journal.pb.h"
#include "server/disk/disk.h"
#include "server/event/event_id.h"
#include "server/event/kind.h"
#include "server/inspect/positions.h"
#include "server/inspect/request.h"
#include "server/inspect/survey.h"

namespace holdfast::inspect {

struct Exported {
  uint64_t events = 0;      // Lines.
  uint64_t held_back = 0;   // Of these: hits that `holdfast send` will not send.
  uint64_t resent_ids = 0;  // Of these: pending hits that are sent under an id made for them.
  uint64_t unreadable = 0;  // Selected, and not an event. No daemon of ours accepted such bytes.
  std::vector<journal::Corruption> corruptions;  // What could not be exported.
  std::vector<Torn> torn;
};

// What is known of the folder and of the moment.
struct Context {
  event::Id journal_id;
  std::optional<Positions> positions;  // Where the database was asked.
  bool in_use = false;                 // A daemon is at work on the folder: what it accepts
  absl::Time now;                      // after `now` is left out.
};

// Known only with positions. Where the database has no row of the lane, an event counts as pending
// if it is younger than rows are kept. Never PENDING beside a daemon: it may be delivering it now.
v1::Delivery DeliveryOf(const EventWalk::Event& event, const Context& context);

// Whose journal is in the folder: reads headers alone. NOT_FOUND if there is none.
absl::StatusOr<event::Id> JournalIn(disk::Disk& disk);

// Prints a line for each event that is selected, in the order of their offsets. Fails if `print`
// does, or as journal::Recover. Memory: one frame and one line.
absl::StatusOr<Exported> Export(disk::Disk& disk, const Selection& selection,
                                const Context& context,
                                absl::FunctionRef<absl::Status(absl::string_view line)> print,
                                Progress progress);

}  // namespace holdfast::inspect
