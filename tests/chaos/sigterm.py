#!/usr/bin/python3
"""SIGTERM at each kind of moment, under one load that goes on from daemon to daemon."""

import signal

import frame

DRAINED, EVENTS_LEFT = 0, 75
SETTINGS = {"HOLDFAST_JOURNAL_SEGMENT_BYTES": "1MiB", "HOLDFAST_JOURNAL_MAX_BYTES": "64MiB",
            "HOLDFAST_JOURNAL_RETENTION_BYTES": "0", "HOLDFAST_PRODUCERS_MAX": "1000"}


def run(stage):
    database = stage.database()
    daemon = stage.daemon(database, **SETTINGS)
    ends(stage, daemon, "idle", DRAINED)
    load = stage.load(daemon, events=stage.pick(400_000, 3_000_000), start=False, rate=15000)
    daemon.start(ready=True)
    load.start(daemon)
    moments = [full_load, while_starting, database_away, during_drain]
    # A sender that was turned away by a full journal comes back after ten seconds.
    for moment in stage.pick(moments, [*moments, journal_full] * 6):
        moment(stage, daemon, database)
        stage.check(not load.over, f"the load ended early: {load.said()}")
        if database.process.poll() is not None:
            database.start()
        daemon.start(ready=True)
    load.halt()
    stage.settle(load)
    ends(stage, daemon, "at the end", DRAINED)


def ends(stage, daemon, when, *allowed):
    status = daemon.terminate(patience=40)
    stage.say(f"{when}: {status}")
    stage.check(status in allowed, f"{when}: ended with {status}: {daemon.log_tail()}")


def full_load(stage, daemon, database):
    del database
    before = daemon.accepted() or 0
    stage.wait_until(lambda: (daemon.accepted() or 0) > before + 1000, 30)
    ends(stage, daemon, "under full load", DRAINED)


def while_starting(stage, daemon, database):
    """At any moment of a start; before main it ends like any process."""
    del database
    for _ in range(stage.pick(3, 12)):
        if daemon.running():
            daemon.terminate()
        daemon.start_without_waiting()
        stage.pause(stage.random.uniform(0, 0.15))
        ends(stage, daemon, "while it starts", DRAINED, EVENTS_LEFT, -signal.SIGTERM)


def database_away(stage, daemon, database):
    stage.kill_database(database)
    before = daemon.accepted() or 0
    stage.wait_until(lambda: (daemon.accepted() or 0) > before, 10)
    daemon.settings["HOLDFAST_DRAIN_TIMEOUT"] = "1"
    ends(stage, restarted(stage, daemon), "with the database away", EVENTS_LEFT)
    daemon.settings["HOLDFAST_DRAIN_TIMEOUT"] = "25"


def restarted(stage, daemon):
    """With what stands in its settings now, and events that it could not deliver yet."""
    stage.kill(daemon)
    daemon.start_without_waiting()
    stage.wait_until(lambda: daemon.page("/livez")[0] == 200, 60)
    before = daemon.accepted() or 0
    stage.wait_until(lambda: (daemon.accepted() or 0) > before, 10)
    return daemon


def during_drain(stage, daemon, database):
    """The second signal, while it still hopes for the database."""
    stage.kill_database(database)
    before = daemon.accepted() or 0
    stage.wait_until(lambda: (daemon.accepted() or 0) > before, 10)
    daemon.process.send_signal(signal.SIGTERM)
    stage.wait_until(lambda: daemon.metrics().sum("holdfast_draining") == 1, 10)
    ends(stage, daemon, "during a drain", EVENTS_LEFT)


def journal_full(stage, daemon, database):
    stage.kill_database(database)
    daemon.settings["HOLDFAST_JOURNAL_MAX_BYTES"] = "4MiB"
    restarted(stage, daemon)
    full = stage.wait_until(lambda: daemon.metrics().sum("holdfast_journal_full") == 1, 120)
    stage.check(full, f"the journal does not become full: {daemon.log_tail()}")
    daemon.process.send_signal(signal.SIGTERM)
    stage.pause(0.05)
    ends(stage, daemon, "with a full journal", EVENTS_LEFT)
    daemon.settings["HOLDFAST_JOURNAL_MAX_BYTES"] = "64MiB"


if __name__ == "__main__":
    frame.main(run, "SIGTERM at any moment ends the daemon in time with a status that says what is "
               "left, and loses nothing.")
