// How the process ends, after sysexits.h.

#pragma once

namespace holdfast::daemon {

enum ExitCode : int {
  kExitDrained = 0,
  kExitUsage = 64,          // A flag that does not exist.
  kExitNoDatabase = 69,     // The database is needed (--migrate) and absent.
  kExitJournal = 74,        // The journal cannot be read or written.
  kExitEventsLeft = 75,     // Stopped with events left in the journal: start again.
  kExitConfiguration = 78,  // A setting will not do, or an address cannot be had.
};

}  // namespace holdfast::daemon
