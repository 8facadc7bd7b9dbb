// The probe: an event that goes the whole way of a gateway's events, through the door, the journal
// and a lane into its table, and is then looked for there.

#pragma once

#include "absl/status/statusor.h"

#include "holdfast/v1/event.pb.h"
#include "server/diagnosis/findings.h"
#include "server/diagnosis/options.h"
#include "server/diagnosis/questions.h"

namespace holdfast::diagnosis {

// The same event each time, so that there is one row however often it is sent: a count of 1 that
// was observed on the first day of 2000, or, where rate limits are not taken, a message.
v1::Event Probe(bool take_rate_limits);

struct ProbeRow {
  uint64_t rows = 0;
  absl::Status removed;  // Why it was left where it is.
};

// Looks for the probe in its table, and removes it if the account may.
absl::StatusOr<ProbeRow> TakeProbe(Questions& questions, bool take_rate_limits);

void JudgeProbe(const absl::StatusOr<ProbeRow>& row, bool take_rate_limits, Findings* findings);

}  // namespace holdfast::diagnosis
