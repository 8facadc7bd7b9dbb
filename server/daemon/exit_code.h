// How the process ends, after sysexits.h.

#pragma once

namespace holdfast::daemon {

enum ExitCode : int {
  kExitDrained = 0,
  kExitTornTail = 1,        // --inspect_journal: the last write was cut off, nothing is lost.
  kExitCorrupt = 2,         // --inspect_journal: something that was acknowledged is damaged.
  kExitUsage = 64,          // A flag that does not exist.
  kExitNoDatabase = 69,     // The database is needed (--migrate, --inspect_journal) and absent.
  kExitJournal = 74,        // The journal cannot be read or written.
  kExitEventsLeft = 75,     // Stopped with events left in the journal: start again.
  kExitConfiguration = 78,  // A setting will not do, or an address cannot be had.
};

}  // namespace holdfast::daemon
