"""A stream of events, fed to `holdfast send` at a pace, until told to stop."""

import itertools
import os
import subprocess
import threading
import time
import uuid

import audit
import harness

# The feeder looks so often whether more events are due.
TICK_SECONDS = 0.01


class Load:
    """Events from `holdfast-traffic` through the standard input of one `holdfast send`.

    `rate` is in events a second; None is as fast as they are taken. The sender goes on through
    restarts of the daemon by itself; its producer id stays the same.
    """

    def __init__(self, folder, name, seed, events, rate=None, duplicates=2, poison=0,
                 ack="journaled", window=None):
        self.file = folder / f"{name}.jsonl"
        self.log = folder / f"{name}.log"
        self.events, self.rate = events, rate
        self.producer = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{folder} {name}"))
        self.fed = 0
        self.failure = None
        self._arguments = ["--ack", ack, "--timeout", "15m", "--producer_id", self.producer]
        if window:
            self._arguments += ["--window", str(window)]
        self._process = None
        self._stop = threading.Event()
        self._feeder = threading.Thread(target=self._feed, daemon=True)
        # Made as they are needed: `file` holds what was fed, and a little more.
        self._source = subprocess.Popen(
            [harness.BIN / "holdfast-traffic", "--seed", str(seed), "--events", str(events),
             "--duplicates", str(duplicates), "--poison", str(poison)], stdout=subprocess.PIPE)

    def start(self, daemon):
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [harness.BIN / "holdfast", "send", "--to", daemon.target, *self._arguments, "-"],
                stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
                env=daemon.environment())
        self._feeder.start()
        return self

    def _feed(self):
        try:
            self._feed_lines()
        except BrokenPipeError:
            self.failure = "holdfast send ended early"
        finally:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                self.failure = "holdfast send ended early"

    def _feed_lines(self):
        pipe = self._process.stdin
        begin = time.monotonic()
        lines = self._source.stdout
        with open(self.file, "wb") as copy:
            while not self._stop.is_set():
                due = 1000
                if self.rate:
                    due = int((time.monotonic() - begin) * self.rate) - self.fed
                    if due <= 0:
                        self._stop.wait(TICK_SECONDS)
                        continue
                chunk = list(itertools.islice(lines, min(due, 1000)))
                if not chunk:
                    return
                copy.write(b"".join(chunk))
                copy.flush()
                pipe.write(b"".join(chunk))
                self.fed += len(chunk)
            pipe.flush()

    @property
    def over(self):
        """Whether everything has been fed, or the sender has ended."""
        return not self._feeder.is_alive() or self._process.poll() is not None

    def wait_fed(self, events, patience=None):
        """Waits until so many events have been handed to the sender."""
        harness.wait_for(lambda: self.fed >= events or self.over, f"{events} events to be fed",
                         patience, interval=0.005)

    def halt(self):
        """Feeds no more."""
        self._stop.set()

    def finish(self, patience=900):
        """Feeds all the rest, unless halted; waits for every acknowledgement, and returns the
        sender's status."""
        self._feeder.join(patience)
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            raise harness.Late("holdfast send did not come to an end: " + self.said()) from None

    def kill(self):
        """SIGKILL for the sender. How much was taken, `fed` no longer says."""
        self._stop.set()
        self._process.kill()
        self._process.wait()
        self._feeder.join()
        self.failure = None

    def said(self):
        return self.log.read_text(errors="replace")[-1500:]

    def expectation(self, lost=()):
        """What the events that were sent must have led to."""
        return audit.Expectation().read(self.file, self.fed, lost)

    def close(self):
        self._stop.set()
        harness.end_process(self._source)
        harness.end_process(self._process, patience=2)
        if self._feeder.is_alive():
            self._feeder.join(10)
        self._source.stdout.close()
        if os.environ.get("HOLDFAST_TEST_KEEP") is None:
            self.file.unlink(missing_ok=True)
