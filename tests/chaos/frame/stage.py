"""Where a scenario plays: its servers, its counts, the audit at the end, and the clearing up."""

import random
import shutil
import threading
import time

import audit
import harness

from frame.daemon import Daemon
from frame.load import Load

SAMPLE_SECONDS = 0.25


class Broken(AssertionError):
    """What the scenario claims does not hold."""


class NotPossible(Exception):
    """This machine does not let the scenario do what it is about."""


class Stage:
    """Owns all servers, loads and counts of one scenario. Its methods are for one thread, unless
    they say otherwise."""

    def __init__(self, name, scale="small", seed=1, spoil=None):
        self.name, self.scale, self.seed = name, scale, seed
        self.full = scale == "full"
        self.random = random.Random(seed)
        self._folder = harness.Folder()
        self.folder = self._folder.path
        self.audits = 0
        self.databases, self.daemons, self.loads = [], [], []
        self._counts = {}
        self._counts_lock = threading.Lock()
        self._spoil = spoil
        self._cleanups, self._last = [], []
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    def pick(self, small, full):
        return full if self.full else small

    def say(self, text):
        print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)

    def count(self, name, more=1):
        """Adds to a count of the result. From any thread."""
        with self._counts_lock:
            self._counts[name] = self._counts.get(name, 0) + more

    def counted(self, name):
        with self._counts_lock:
            return self._counts.get(name, 0)

    def pause(self, seconds):
        """To come to a random moment; never to let something happen."""
        time.sleep(seconds)

    def wait_until(self, condition, seconds):
        """Waits for a condition that need not come true; returns whether it did."""
        try:
            return bool(harness.wait_for(condition, "", seconds, interval=0.005))
        except harness.Late:
            return False

    def check(self, condition, text):
        if not condition:
            raise Broken(text)

    def cleanup(self, function, *arguments):
        """Called at the end, last in first out, whatever happens."""
        self._cleanups.append((function, arguments))

    def after_servers(self, function, *arguments):
        """Called at the very end, when all servers have ended."""
        self._last.append((function, arguments))

    # --- servers ----------------------------------------------------------------------------------

    def database(self, start=True):
        database = harness.Database(self.folder / f"db{len(self.databases)}")
        self.databases.append(database)
        if start:
            database.start()
        return database

    def daemon(self, database, name=None, start=True, **settings):
        """A daemon on its own journal. The schema is made if the database runs."""
        name = name or "abcdefghijklmnop"[len(self.daemons)]
        daemon = Daemon(self.folder, database, name, **settings)
        self.daemons.append(daemon)
        if database is not None and database.process and database.process.poll() is None:
            daemon.migrate()
        if start:
            daemon.start(ready=True)
        return daemon

    def retire(self, daemon):
        """Gives back the room of a daemon that has ended and its loads."""
        self.check(not daemon.running(), "it runs")
        shutil.rmtree(daemon.journal, ignore_errors=True)
        for load in self.loads:
            load.close()

    def load(self, daemon, events, start=True, **how):
        load = Load(self.folder, f"events{len(self.loads)}", self.random.randrange(1 << 31), events,
                    **how)
        self.loads.append(load)
        return load.start(daemon) if start else load

    def kill(self, daemon):
        """SIGKILL, counted."""
        daemon.sample_memory()
        daemon.kill()
        self.count("daemon_kills")

    def kill_database(self, database):
        database.kill()
        self.count("database_kills")

    # --- the end ----------------------------------------------------------------------------------

    def settle(self, load, daemon=None, lost=(), patience=900, ended=(0,), witness=None):
        """Lets the sender finish (with a status in `ended`), all drain, and audits. `lost`: numbers
        of the lines whose loss was reported. `witness`: sent to the same daemon. Returns the
        books."""
        daemon = daemon or self.daemons[0]
        status = load.finish(patience)
        daemon.sample()
        if load.failure or status not in ended:
            raise Broken(f"holdfast send ended with {status}: {load.failure or ''} {load.said()}")
        expected = load.expectation(lost)
        if witness:
            witness.add_to(expected)
        books = daemon.wait_drained(expected.accepted, patience)
        self.audit(expected, books, daemon.database)
        self.count("events_accepted", books["accepted"])
        self.count("events_committed", books["committed"])
        self.count("events_quarantined", books["quarantined"])
        resent = daemon.summed("resent")
        self.count("duplicates_sent", expected.duplicate + resent)
        self.count("duplicates_suppressed", books["duplicate"] + resent)
        return books

    def audit(self, expected, books, database):
        """Compares every row, every counter and the books; raises Broken for any difference."""
        words = []
        for check in (lambda: audit.compare_books(expected, books),
                      lambda: audit.compare_lane_rows(books, database)):
            try:
                check()
            except audit.Difference as difference:
                words.append(str(difference))
        self.audit_tables(expected, database, words)
        self.say(f"audit: {expected.events} events exactly as sent; {books}")

    def audit_tables(self, expected, database, words=()):
        """Compares every row and every counter; raises Broken for any difference, or if there are
        `words` already."""
        self.audits += 1
        self._spoil_tables(database)
        findings = audit.differences(expected, database)
        for name in ("lost", "doubled", "phantom"):
            self.count(name, getattr(findings, name))
        if findings.words or words:
            raise Broken("; ".join([*findings.words, *words]))

    def _spoil_tables(self, database):
        """Does what must never happen, so that one can see it noticed."""
        statements = {
            "delete": "DELETE FROM usage_records LIMIT 1",
            "double": "UPDATE usage_stats SET requests = requests + 1, "
                      "cost_micros = cost_micros + 1 LIMIT 1",
            "alter": "UPDATE usage_records SET cost_micros = cost_micros + 1 LIMIT 1"}
        if self._spoil:
            database.sql(statements[self._spoil])

    def result(self, claim, holds, seconds):
        for daemon in self.daemons:
            for name in ("deadlocks", "lock_waits"):
                self.count(name, daemon.summed(name))
        if self.audits:
            for name in ("lost", "doubled", "phantom"):
                self.count(name, 0)
        return {
            "scenario": self.name, "scale": self.scale, "seed": self.seed, "claim": claim,
            "holds": holds, "counts": dict(sorted(self._counts.items())),
            "worst_recovery_seconds": round(max(
                [daemon.worst_recovery_seconds for daemon in self.daemons], default=0), 3),
            "peak_memory_bytes": max(
                [daemon.peak_memory_bytes for daemon in self.daemons], default=0),
            "seconds": seconds}

    def _sample(self):
        while not self._over.wait(SAMPLE_SECONDS):
            for daemon in list(self.daemons):
                daemon.sample()

    def close(self, remove):
        """Ends all that was started here, by its pid; removes its folder if asked to."""
        self._over.set()
        self._sampler.join(15)
        for function, arguments in reversed(self._cleanups):
            function(*arguments)
        for load in self.loads:
            load.close()
        for daemon in self.daemons:
            daemon.stop()
        for database in self.databases:
            # Nobody needs what is in it any more.
            harness.end_process(database.process, 9)
        for function, arguments in reversed(self._last):
            function(*arguments)
        if remove:
            self._folder.remove()
