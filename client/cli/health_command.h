// `holdfast health`: the probe for those who cannot ask over HTTP, and for a hook before the stop.

#pragma once

#include "client/cli/command.h"

namespace holdfast::client {

const Command& HealthCommand();

}  // namespace holdfast::client
