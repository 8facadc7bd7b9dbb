// `holdfast circuits`: the circuit breakers towards the database.

#pragma once

#include "client/cli/command.h"

namespace holdfast::client {

const Command& CircuitsLsCommand();
const Command& CircuitsResetCommand();

}  // namespace holdfast::client
