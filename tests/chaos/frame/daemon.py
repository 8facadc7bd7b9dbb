"""The daemon under faults: started through a tracer or with limits, watched in all its lives."""

import os
import re
import subprocess
import time
import urllib.error

import harness

# What each life's last page of metrics adds up to.
SUMMED = {
    "deadlocks": ("holdfast_deadlocks_total", {}),
    "lock_waits": ("holdfast_retries_total", {"errno": "1205"}),
    "resent": ("holdfast_events_resent_total", {}),
    "commits_unknown": ("holdfast_commits_unknown_total", {}),
}


class Daemon(harness.Daemon):
    """A daemon that may die at any moment.

    `prefix`: a command that holdfastd is handed to, as strace. `preload`: libraries put in front.
    `before`: called in the new process before it becomes holdfastd. All three hold for the next
    starts.
    """

    def __init__(self, folder, database, name="a", **settings):
        super().__init__(folder, database, name, **settings)
        self.prefix = []
        self.more_environment = {}
        self.before = None
        self.lives = 0
        self.peak_memory_bytes = 0
        self.worst_recovery_seconds = 0.0
        self._begun = 0.0
        self._past = dict.fromkeys(SUMMED, 0)
        self._present = dict.fromkeys(SUMMED, 0)

    def start_without_waiting(self):
        if self.running():
            raise AssertionError(f"it runs already: {self.log}")
        for name, value in self._present.items():
            self._past[name] += value
        self._present = dict.fromkeys(SUMMED, 0)
        self._begun = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, harness.BIN / "holdfastd"],
                env=self.environment(**self.more_environment), stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, preexec_fn=self.before)
        self.lives += 1

    def start(self, ready=False):
        """Starts it and waits until it takes events; `ready`: until every lane is at its seat."""
        self.start_without_waiting()
        self.wait_taking()
        if ready:
            self.wait_seated()
        return self

    def wait_taking(self, patience=None):
        """Waits until it takes events, and notes how long that took since its start."""
        harness.wait_for(lambda: self.page("/readyz")[0] == 200,
                         f"the daemon to take events: {self.log}", patience, interval=0.005)
        self.worst_recovery_seconds = max(self.worst_recovery_seconds,
                                          time.monotonic() - self._begun)

    def took_events(self):
        """Waits until it takes events or has ended; returns whether it took any."""
        try:
            self.wait_taking()
        except AssertionError:
            if self.running():
                raise
            return False
        return True

    def wait_seated(self, patience=None):
        harness.wait_for(lambda: self.books() is not None and not self.status().get("missing"),
                         f"the daemon to reach its database: {self.log}", patience)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def accepted(self):
        """Events in the journal; None if it cannot be asked."""
        try:
            return int(self.status().get("books", {}).get("accepted", 0))
        except (AssertionError, OSError, ValueError, urllib.error.URLError):
            return None

    def sample(self):
        """Notes memory and counters of this life, as far as they can be had."""
        if not self.running():
            return
        self.sample_memory()
        try:
            metrics = self.metrics()
        except (AssertionError, OSError, ValueError):
            return
        for name, (series, labels) in SUMMED.items():
            if metrics.has(series):
                self._present[name] = int(metrics.sum(series, **labels))

    def sample_memory(self):
        try:
            with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
                found = re.search(r"VmHWM:\s+(\d+) kB", status.read())
        except OSError:
            return
        if found:
            self.peak_memory_bytes = max(self.peak_memory_bytes, int(found[1]) * 1024)

    def summed(self, name):
        """A counter over all lives. What a life counted after it was last looked at is missing."""
        return self._past[name] + self._present[name]

    def wait_end(self, patience=60):
        """Waits until it has ended by itself; returns its status."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise harness.Late(f"the daemon did not end within {patience} s: "
                               + self.log_tail()) from None

    @property
    def journal(self):
        return self.folder / "journal" if "HOLDFAST_JOURNAL_DIR" not in self.settings else (
            type(self.folder)(self.settings["HOLDFAST_JOURNAL_DIR"]))

    def trace(self, *injections):
        """Runs its next lives under strace with these injections, as
        "fdatasync:error=EIO:when=3". The tracer is a grandchild: pid and status are the daemon's.
        `when` counts in each thread by itself (and not at all with --seccomp-bpf)."""
        if not injections:
            self.prefix = []
            return
        calls = ",".join(injection.split(":")[0] for injection in injections)
        self.prefix = ["strace", "-D", "-f", "-qqq", "-o",
                       str(self.folder / f"trace-{self.lives + 1}"), "-e", f"trace={calls}"]
        for injection in injections:
            self.prefix += ["-e", f"inject={injection}"]

    def trace_text(self):
        """What strace wrote of the present life."""
        path = self.folder / f"trace-{self.lives}"
        return path.read_text(errors="replace") if os.path.exists(path) else ""
