// The status in a few words, for whoever sees it for the first time: "is my data safe?" and "does
// it flow?".

#pragma once

#include <vector>

#include "holdfast/v1/admin.pb.h"
#include "server/admin/daemon_view.h"
#include "server/admin/problems.h"

namespace holdfast::admin {

// `problems`: those of the same moment, as ProblemsOf has them.
v1::Summary SummaryOf(const std::vector<Problem>& problems, const DaemonFacts& facts,
                      const pipeline::PipelineStatus& pipeline,
                      const mysql::DatabaseStatus& database);

}  // namespace holdfast::admin
