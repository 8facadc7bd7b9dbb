#!/usr/bin/python3
"""System calls of the journal that fail, do half of what they were asked for, or take their time:
each life of the daemon has one kind of trouble, under one load that goes on through all of them."""

import resource
import subprocess

import frame
from frame import segments

JOURNAL_FAILED = 74
SETTINGS = {"HOLDFAST_JOURNAL_SEGMENT_BYTES": "1MiB", "HOLDFAST_JOURNAL_MAX_BYTES": "256MiB",
            "HOLDFAST_JOURNAL_RETENTION": "0s", "HOLDFAST_PRODUCERS_MAX": "1000"}


def run(stage):
    database = stage.database()
    daemon = stage.daemon(database, **SETTINGS)
    load = stage.load(daemon, events=stage.pick(300_000, 3_000_000), rate=8000)
    load.wait_fed(1000)
    for trouble in (interrupted, written_in_parts, slow, without_descriptors, without_space):
        for _ in range(stage.pick(1, 4)):
            daemon.terminate()
            trouble(stage, daemon)
            stage.say(trouble.__name__)
            stage.check(not load.over, f"the load ended early: {load.said()}")
            daemon.trace()
            daemon.more_environment = {}
            if not daemon.running():
                daemon.start()
    load.halt()
    stage.settle(load)
    status = daemon.terminate()
    stage.check(status == 0, f"ended with {status}: {daemon.log_tail()}")


def takes_events(stage, daemon, count):
    """Waits until so many more events are in the journal."""
    before = daemon.accepted() or 0
    reached = stage.wait_until(lambda: (daemon.accepted() or 0) >= before + count, 60)
    stage.check(reached, f"took no {count} events within a minute: {daemon.log_tail()}")


def interrupted(stage, daemon):
    """A signal comes between, again and again: that is no failure."""
    daemon.trace("fdatasync:error=EINTR:when=1+3", "fsync:error=EINTR:when=1+2",
                 "pwrite64:error=EINTR:when=2+3", "openat:error=EINTR:when=70+5")
    daemon.start()
    takes_events(stage, daemon, stage.pick(2000, 20000))
    stage.check("INJECTED" in daemon.trace_text(), "nothing was interrupted")


def written_in_parts(stage, daemon):
    library = stage.folder / "short_writes.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library,
                    frame.HERE / "short_writes.c", "-ldl"], check=True)
    daemon.more_environment = {"LD_PRELOAD": library}
    daemon.start()
    takes_events(stage, daemon, stage.pick(8000, 40000))


def slow(stage, daemon):
    """Each sync takes long: what comes meanwhile waits, within bounds, for the next group."""
    micros = stage.pick(60_000, 1_000_000)
    daemon.trace(f"fdatasync:delay_enter={micros}")
    daemon.start()
    takes_events(stage, daemon, stage.pick(1000, 50000))
    stage.check(daemon.metrics().sum("holdfast_journal_sync_seconds_sum") >= micros / 1e6,
                "no sync was slow")


def without_descriptors(stage, daemon):
    """No file can be opened any more: what is open goes on until its segment is full; then events
    wait until there are descriptors again."""
    daemon.start(ready=True)
    takes_events(stage, daemon, 500)
    limits = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    before = set(segments.paths(daemon.journal))
    refused = stage.wait_until(lambda: "Too many open files" in daemon.log_tail(), 30)
    stage.pause(stage.random.uniform(0, 0.5))
    stage.check(daemon.running(), f"it ended: {daemon.log_tail()}")
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, limits)
    stage.check(refused, f"nobody missed a descriptor, of {len(before)} segments")
    takes_events(stage, daemon, stage.pick(8000, 40000))


def without_space(stage, daemon):
    """The volume has no room for one write, of whichever thread: refused and tried again where
    nothing was promised, the end with 74 where a group was under way."""
    daemon.trace(f"pwrite64:error=ENOSPC:when={stage.random.randrange(1, 40)}")
    daemon.start_without_waiting()
    stage.check(stage.wait_until(lambda: "INJECTED" in daemon.trace_text(), 30), "no write failed")
    if daemon.took_events():
        stage.wait_until(lambda: not daemon.running(), 1)
    if daemon.running():
        takes_events(stage, daemon, 500)
        stage.kill(daemon)
    else:
        status = daemon.wait_end()
        stage.check(status == JOURNAL_FAILED, f"ended with {status}: {daemon.log_tail()}")


if __name__ == "__main__":
    frame.main(run, "Interrupted, partial, slow and refused system calls of the journal hold "
                    "events up at most: nothing is lost, and nothing is counted twice.")
