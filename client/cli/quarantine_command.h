// `holdfast quarantine`: the events that the database refused.

#pragma once

#include "client/cli/command.h"

namespace holdfast::client {

const Command& QuarantineLsCommand();
const Command& QuarantineShowCommand();
const Command& QuarantineReplayCommand();
const Command& QuarantineDiscardCommand();

}  // namespace holdfast::client
