// `holdfast drain`: the daemon's orderly end.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

#include "client/cli/command.h"
#include "holdfast/v1/admin.pb.h"

namespace holdfast::client {

const Command& DrainCommand();

// The status that a daemon's admin port shows, or nullopt if nobody answers there.
std::optional<v1::GetStatusResponse> ReadStatusPage(const std::string& host, uint32_t port);

// The host in a daemon's address, for its admin port: this machine's own for a Unix socket.
std::string HostOf(absl::string_view address);

}  // namespace holdfast::client
