"""The servers of one bench run, and the sizes of its work."""

import os
import re
import shutil
import subprocess
import sys

import harness
from frame import audits, program, servers

# On these a sync costs nothing.
VOLATILE = ("tmpfs", "ramfs", "overlayfs")


class Sizes:
    """How much work each part is. `quick` proves that everything works; its times say nothing."""

    def __init__(self, quick):
        self.quick = quick
        self.events = 4_000 if quick else 300_000
        self.slow_events = 1_000 if quick else 60_000  # For what takes ten times as long.
        self.rate = 200 if quick else 1000
        self.latency_seconds = 0.5 if quick else 4
        self.backlog_events = 20_000 if quick else 3_600_000
        self.keys = 100 if quick else 1000
        self.daemons = 3 if quick else 8
        self.start_journal_bytes = (8 << 20) if quick else (2 << 30)


class Stage:
    """One database, one daemon that is always there, and what a part starts for itself."""

    def __init__(self, quick, rounds):
        self.sizes = Sizes(quick)
        self.rounds = rounds
        self.beside = {}  # What is measured beside the bars, by name.
        self._next_event = 0
        self._daemons = []
        self._numbered = 0
        self._folder = harness.Folder()
        self.folder = self._folder.path
        self.file_system = subprocess.run(
            ["stat", "-f", "-c", "%T", self.folder], capture_output=True, text=True,
            check=True).stdout.strip()
        if self.file_system in VOLATILE:
            print(f"{self.folder} is on {self.file_system}, where a sync costs nothing: set TMPDIR "
                  "to a folder on a disk", file=sys.stderr)
        self.database = servers.Database(self.folder, quick)
        self.database.start()
        self.daemon = self.make_daemon()
        self.daemon.migrate()
        self.daemon.start()
        # Rivals get as many connections and rows in a transaction as the daemon has by default.
        shown = self.daemon.run("--check_config").stdout
        self.lanes, self.rows = (int(re.search(rf"{name} +(\d+)", shown)[1]) for name in
                                 ("HOLDFAST_LANES_PER_KIND", "HOLDFAST_BATCH_ROWS_MAX"))

    def make_daemon(self, database=True, **settings):
        """A daemon with a journal of its own and, but for `settings`, as it is by default; closed
        with the stage, or by `drop`."""
        self._numbered += 1
        daemon = servers.Daemon(self.folder, self.database if database else None,
                                str(self._numbered), **settings)
        self._daemons.append(daemon)
        return daemon

    def drop(self, daemon):
        """Ends a daemon and removes its journal."""
        daemon.stop()
        self._daemons.remove(daemon)
        if not os.environ.get("HOLDFAST_TEST_KEEP"):
            shutil.rmtree(daemon.folder, ignore_errors=True)

    def take(self, events):
        """Numbers for so many events that no other run has; returns the first."""
        first = self._next_event
        self._next_event += events
        return first

    def empty(self, schema="holdfast"):
        """Empties the events' tables; nothing may be pending."""
        for table in ("message", "usage_records", "usage_stats"):
            self.database.sql(f"TRUNCATE TABLE {table}", schema)

    def flags(self, events, kind="usage", **more):
        """What every call of holdfast-bench is told."""
        return {"kind": kind, "events": events, "first": self.take(events),
                "keys": self.sizes.keys, "connections": self.lanes, "rows": self.rows,
                "socket": self.database.socket, "folder": self.folder,
                "target": self.daemon.target, **more}

    def write(self, how, events, kind="usage", **more):
        """Empties the tables, brings events into them in one of the ways, audits what is there.
        Returns what was measured, with the processors' time of daemon and database."""
        self.empty()
        accepted = self.daemon.books()["accepted"]
        daemon_cpu, database_cpu = self.daemon.cpu_seconds(), self.database.cpu_seconds()
        measured = program.measure(how, **self.flags(events, kind, **more))
        measured["daemon_cpu_seconds"] = self.daemon.cpu_seconds() - daemon_cpu
        measured["database_cpu_seconds"] = self.database.cpu_seconds() - database_cpu
        audits.rows(self.database, kind, measured["expected"])
        if how in ("end-to-end", "in-process") and kind == "usage":
            audits.counters(self.database, measured["expected"])
        if how == "end-to-end":
            audits.books(self.daemon, accepted + events)
        return measured

    def running_cpu_seconds(self):
        """What the servers that run now have taken since their start."""
        return sum(servers.cpu_seconds(one.process.pid) for one in [self.database, *self._daemons]
                   if one.process and one.process.poll() is None)

    def close(self):
        for daemon in self._daemons:
            daemon.stop()
        self.database.stop()
        self._folder.remove()
