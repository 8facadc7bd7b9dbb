// The one table of the tool's commands, in the order of the overview.

#include "client/cli/audit_command.h"
#include "client/cli/circuits_command.h"
#include "client/cli/command.h"
#include "client/cli/completion_command.h"
#include "client/cli/doctor_command.h"
#include "client/cli/drain_command.h"
#include "client/cli/health_command.h"
#include "client/cli/journal_command.h"
#include "client/cli/loglevel_command.h"
#include "client/cli/quarantine_command.h"
#include "client/cli/send_command.h"
#include "client/cli/status_command.h"
#include "client/cli/tail_command.h"

namespace holdfast::client {

const std::vector<const Command*>& Commands() {
  static const auto& commands = *new std::vector<const Command*>{
      // Events
      &SendCommand(),
      &TailCommand(),
      &JournalExportCommand(),
      // What the daemon is doing
      &StatusCommand(),
      &HealthCommand(),
      &DoctorCommand(),
      &AuditCommand(),
      &CircuitsLsCommand(),
      &QuarantineLsCommand(),
      &QuarantineShowCommand(),
      &JournalListCommand(),
      &JournalVerifyCommand(),
      // Mending and stopping
      &QuarantineReplayCommand(),
      &QuarantineDiscardCommand(),
      &CircuitsResetCommand(),
      &LogLevelCommand(),
      &DrainCommand(),
      // This tool
      &CompletionCommand(),
  };
  return commands;
}

}  // namespace holdfast::client
