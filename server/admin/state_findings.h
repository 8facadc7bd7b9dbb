// What the daemon knows of its own state, as findings of a diagnosis.

#pragma once

#include "holdfast/v1/admin.pb.h"
#include "server/admin/daemon_view.h"

namespace holdfast::admin {

// Adds whether it takes events, its balance, lanes, breaker and pool.
void AddState(const DaemonView& daemon, v1::DiagnoseResponse* response);

}  // namespace holdfast::admin
