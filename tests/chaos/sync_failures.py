#!/usr/bin/python3
"""One fdatasync fails with EIO, and every later one would succeed: the page cache lies. A witness
sends one batch at a time and goes on sending after the failure; another client sends as fast as it
can."""

import re

import frame
from frame import segments
from frame.witness import Witness

JOURNAL_FAILED = 74
SETTINGS = {"HOLDFAST_JOURNAL_SEGMENT_BYTES": "1MiB", "HOLDFAST_JOURNAL_MAX_BYTES": "256MiB",
            "HOLDFAST_PRODUCERS_MAX": "1000"}


def run(stage):
    database = stage.database()
    daemon = stage.daemon(database, **SETTINGS)
    witness = Witness()
    stage.cleanup(witness.close)
    load = stage.load(daemon, events=stage.pick(100_000, 2_000_000), rate=stage.pick(4000, 3000))
    witness.open(daemon)
    witness.send()
    load.wait_fed(1000)
    stage.kill(daemon)
    lives = stage.pick([2, stage.random.randrange(3, 20)],
                       [*range(1, 25), *(stage.random.randrange(25, 300) for _ in range(12))])
    failures = copied = 0
    for when in lives:
        daemon.trace(f"fdatasync:error=EIO:when={when}")
        daemon.start_without_waiting()
        acknowledged_after = live_until_it_ends(daemon, witness)
        status = daemon.wait_end()
        stage.check(status == JOURNAL_FAILED, f"ended with {status} after an fdatasync that failed:"
                    f" {daemon.log_tail()}")
        stage.check(not acknowledged_after, "acknowledged after an fdatasync had failed: "
                    f"{acknowledged_after}")
        failures += len(re.findall(r"INJECTED", daemon.trace_text()))
        daemon.trace()
        copied += next_start_copies_the_tail(stage, daemon)
        after = witness.open(daemon)
        stage.check(after is not None and after >= witness.acknowledged,
                    f"{witness.acknowledged} were acknowledged, {after} are known")
        stage.check(witness.resend(after), "the daemon ended without a fault")
        stage.kill(daemon)
    load.halt()
    daemon.start()
    stage.settle(load, witness=witness)
    stage.say(f"{failures} calls failed, {copied} tails were copied")
    stage.check(copied > 0, "no start had a tail to copy")


def live_until_it_ends(daemon, witness):
    """Sends until the daemon ends; returns what was acknowledged after a stream had ended with the
    failure."""
    if not daemon.took_events() or witness.open(daemon) is None:
        return []
    while witness.send():
        pass
    # What was not acknowledged must not be later either, on any stream of this life.
    acknowledged_after = []
    while daemon.running():
        if witness.open(daemon) is not None and witness.send():
            acknowledged_after.append(len(witness.lines))
    return acknowledged_after


def next_start_copies_the_tail(stage, daemon):
    """Starts again, and looks whether the group that was never acknowledged stands in the new
    segment too, if it was there to be found."""
    old = segments.paths(daemon.journal)
    daemon.start()
    new = [path for path in segments.paths(daemon.journal) if path not in old][0]
    stage.check(old, "the journal is gone")
    last = segments.frames(old[-1])[-1]
    if last.kind != "GROUP" or last.position < segments.born_bytes(old[-1]):
        return 0  # It is proven: by a marker, or by the segment's name.
    stage.check(segments.unproven_byte(new) == last.position,
                f"{last} is proven by nothing and was not copied")
    copy = segments.frames(new)[1:2]
    stage.check(copy and copy[0].kind == "GROUP" and copy[0].offsets == last.offsets,
                f"{last} was not copied into the new segment, which has {copy}")
    return 1


if __name__ == "__main__":
    frame.main(run, "After an fdatasync that failed the daemon acknowledges nothing more, ends "
                    "with 74, and its next start copies the tail; nothing acknowledged is lost.")
