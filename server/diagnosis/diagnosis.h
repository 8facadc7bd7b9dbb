// Looks into all that a daemon depends on and says what is wrong, what it means and what to do.
// Each check ends in time, and one that cannot be made says what it needs. Tables are written to
// only in a transaction that is rolled back.

#pragma once

#include "absl/time/time.h"

#include "holdfast/v1/admin.pb.h"
#include "server/base/clock.h"
#include "server/diagnosis/options.h"

namespace holdfast::diagnosis {

// All checks, in order. After `deadline` (steady clock) none is begun, so that it ends at most a
// question's time-out, a few seconds, later. Blocks; uses connections of its own.
v1::DiagnoseResponse Diagnose(const Options& options, absl::Time deadline, base::Clock& clock);

// Only what became of the probe that was sent as an event.
v1::DiagnoseResponse DiagnoseProbe(const Options& options, absl::Time deadline, base::Clock& clock);

// For settings that do not make a configuration: a problem for each line of `faults`.
v1::DiagnoseResponse DiagnoseNothing(const absl::Status& faults);

}  // namespace holdfast::diagnosis
