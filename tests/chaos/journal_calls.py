#!/usr/bin/python3
"""The daemon is killed as it enters the n-th system call of one kind that the journal makes, for
each kind and many n: small n hit recovery and the first segment, larger ones the groups, the next
segments and their deletion. `when` counts in each thread by itself."""

import frame

CALLS = ("pwrite64", "fdatasync", "fsync", "renameat", "unlinkat")
SETTINGS = {
    "HOLDFAST_JOURNAL_SEGMENT_BYTES": "1MiB", "HOLDFAST_JOURNAL_MAX_BYTES": "64MiB",
    "HOLDFAST_JOURNAL_RETENTION": "0s", "HOLDFAST_JOURNAL_RETENTION_BYTES": "0",
    "HOLDFAST_PRODUCERS_MAX": "1000",
}
# A life in which the call is not reached ends by a plain kill after so long.
LIFE_SECONDS = 5


def run(stage):
    database = stage.database()
    daemon = stage.daemon(database, **SETTINGS)
    load = stage.load(daemon, events=stage.pick(400_000, 8_000_000), rate=stage.pick(16000, 8000))
    load.wait_fed(1000)
    stage.kill(daemon)
    reached = dict.fromkeys(CALLS, 0)
    for call, when in plan(stage):
        daemon.trace(f"{call}:signal=KILL:when={when}")
        daemon.start_without_waiting()
        reached[call] += ended_by_itself(stage, daemon)
        stage.check(not load.over, f"the load ended early: {load.said()}")
    daemon.trace()
    load.halt()
    daemon.start()
    stage.settle(load)
    stage.say(f"killed inside {reached}")
    for call, count in reached.items():
        stage.check(count > 0, f"no life came to its {call}")


def plan(stage):
    """Which call is the last one, life after life."""
    if stage.full:
        lives = [(call, when) for call in CALLS for when in range(1, 31)]
        lives += [(call, stage.random.randrange(31, 400)) for call in ("pwrite64", "fdatasync")
                  for _ in range(25)]
    else:
        lives = [(call, stage.random.randrange(1, 3)) for call in CALLS] + [
            ("pwrite64", stage.random.randrange(9, 30)),
            ("fdatasync", stage.random.randrange(3, 20))]
    stage.random.shuffle(lives)
    return lives


def ended_by_itself(stage, daemon):
    """Whether the life ended inside the call; if not, it is ended."""
    by_itself = stage.wait_until(lambda: not daemon.running(), LIFE_SECONDS)
    if not by_itself:
        stage.kill(daemon)
        return False
    stage.check(daemon.wait_end() == -9, f"ended with {daemon.process.returncode} instead of by "
                f"SIGKILL: {daemon.log_tail()}")
    stage.count("daemon_kills")
    return True


if __name__ == "__main__":
    frame.main(run, "A crash inside any system call that the journal makes, those of recovery "
               "included, loses nothing and counts nothing twice.")
