// `holdfast doctor`: what is wrong, and what to do about it.

#pragma once

#include "client/cli/command.h"

namespace holdfast::client {

const Command& DoctorCommand();

}  // namespace holdfast::client
