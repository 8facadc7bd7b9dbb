// A page of the quarantine, as the RPC and the admin port answer it.

#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "holdfast/v1/admin.pb.h"
#include "server/mysql/session.h"
#include "server/writer/quarantine_list.h"

namespace holdfast::admin {

// How long an operator waits for a connection from the pool.
inline constexpr absl::Duration kSessionWait = absl::Seconds(5);

// What has become of an event, from the word in its row; empty: it waits.
v1::QuarantineOutcome OutcomeOf(absl::string_view outcome);

// What `request` asks for. InvalidArgument names the field at fault.
absl::StatusOr<writer::QuarantineQuery> ReadQuery(const v1::ListQuarantineRequest& request);

// Asks the database. UNAVAILABLE, with the reason, whatever kept it from answering: an empty page
// means that there are no such events. `deadline` (steady clock): to wait for a session.
absl::StatusOr<v1::ListQuarantineResponse> ReadQuarantine(mysql::SessionSource& sessions,
                                                          absl::Time deadline,
                                                          const writer::QuarantineQuery& query);

}  // namespace holdfast::admin
