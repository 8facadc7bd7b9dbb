#!/usr/bin/python3
"""The daemon, its database, or both are killed with SIGKILL at random moments under load, again and
again, and started again at once."""

import frame


def run(stage):
    database = stage.database()
    daemon = stage.daemon(database)
    plan = (["daemon"] * stage.pick(6, 180) + ["database"] * stage.pick(1, 30)
            + ["both"] * stage.pick(1, 30))
    stage.random.shuffle(plan)
    load = stage.load(daemon, events=stage.pick(300_000, 4_000_000), rate=stage.pick(8000, 4000),
                      poison=20)
    load.wait_fed(500)
    for victim in plan:
        wait_for_a_moment(stage, daemon)
        stage.check(not load.over, f"the load ended before the kills: {load.said()}")
        if victim in ("daemon", "both"):
            stage.kill(daemon)
        if victim in ("database", "both"):
            stage.kill_database(database)
            database.start_without_waiting()
        if victim in ("daemon", "both"):
            daemon.start_without_waiting()
    load.halt()
    database.start()
    daemon.wait_taking()
    stage.settle(load, ended=(0, 1))
    restart_finds_nothing_to_do(stage, daemon, load)


def wait_for_a_moment(stage, daemon):
    """Any moment of a life: while it recovers, while it takes its seats, in full run. Mostly the
    last: a sender that was turned away often waits for up to two seconds."""
    if stage.random.random() < 0.75:
        daemon.wait_taking()
        before = daemon.accepted() or 0
        stage.wait_until(lambda: (daemon.accepted() or 0) > before, 10)
    stage.pause(stage.random.uniform(0, 0.4))


def restart_finds_nothing_to_do(stage, daemon, load):
    """What was settled has to stay so."""
    stage.kill(daemon)
    daemon.start()
    expected = load.expectation()
    stage.audit(expected, daemon.wait_drained(expected.accepted), daemon.database)
    status = daemon.terminate()
    stage.check(status == 0, f"the daemon ended with {status}: {daemon.log_tail()}")


if __name__ == "__main__":
    frame.main(run, "SIGKILL of the daemon, of the database and of both, at random moments under "
               "load, loses nothing and counts nothing twice.")
