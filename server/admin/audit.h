// AdminService.Audit: what is asked, and the answer in the contract's words.

#pragma once

#include "absl/status/status.h"

#include "holdfast/v1/admin.pb.h"
#include "server/admin/daemon_view.h"
#include "server/inspect/audit.h"

namespace holdfast::admin {

// InvalidArgument names the field.
absl::Status ReadAudit(const v1::AuditRequest& request, inspect::AuditOptions* options);

// What the daemon has settled, of the lanes that know their place.
std::vector<inspect::LaneBooks> BooksOf(const pipeline::PipelineStatus& pipeline,
                                        const event::Id& journal_id);

void Describe(const inspect::AuditReport& report, v1::AuditResponse* response);

}  // namespace holdfast::admin
