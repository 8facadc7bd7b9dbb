#!/usr/bin/python3
"""Others use the same database, and an operator kills: sessions that lock counters in the wrong order
(1213, the daemon is the victim), that hold locks for too long (1205), KILL CONNECTION and KILL QUERY at
any moment, and no connection left for the daemon (1040)."""

import threading
import time

import frame
import harness
from frame import servers

SETTINGS = {"DB_LOCK_WAIT_TIMEOUT": "1s", "DB_QUERY_TIMEOUT": "5s", "HOLDFAST_BATCH_ROWS_MAX": 200,
            "DB_BREAKER_RECOVERY_TIMEOUT": "200ms"}
# A deadlock's victim is the transaction that has changed less: this is more than a batch does.
BALLAST = "INSERT INTO ballast SELECT seq FROM seq_1_to_4000"
OURS = f"FROM information_schema.processlist WHERE user = '{servers.USER}'"


class Rival(threading.Thread):
    """Does one thing again and again until told to stop."""

    def __init__(self, stage, database, act):
        super().__init__(daemon=True)
        self.random = type(stage.random)(stage.random.random())
        self.session = database.session()
        self.act, self.acts, self.failure = act, 0, None
        self._over = threading.Event()

    def run(self):
        try:
            while not self._over.is_set():
                self.act(self)
                self.acts += 1
        except AssertionError as error:
            self.failure = str(error)
        self.session.close()

    def rest(self, seconds):
        self._over.wait(seconds)

    def tries(self, statement):
        """Runs a statement that may fail."""
        try:
            return self.session.run(statement)
        except AssertionError as error:
            if "ERROR" not in str(error):
                raise
            return None

    def stop(self):
        self._over.set()
        self.join(60)


def lock_in_the_wrong_order(rival):
    """A batch locks its counters by rising key: this has the upper half, and wants the lower."""
    rival.session.run("BEGIN")
    rival.tries(BALLAST)
    middle = rival.tries("SELECT QUOTE(api_key_id) FROM usage_stats ORDER BY RAND() LIMIT 1")
    if middle and rival.tries(
            f"SELECT COUNT(*) FROM usage_stats WHERE api_key_id > {middle[0]} FOR UPDATE"):
        rival.rest(rival.random.uniform(0, 0.1))
        rival.tries(f"SELECT COUNT(*) FROM usage_stats WHERE api_key_id < {middle[0]} FOR UPDATE")
    rival.tries("ROLLBACK")
    rival.rest(rival.random.uniform(0, 0.3))


def hold_too_long(rival):
    """A lane's own row, or a whole table's."""
    what = rival.random.choice(("holdfast_lanes WHERE lane = 'usage-0'",
                                "holdfast_lanes WHERE lane = 'message-1'",
                                "usage_stats", "rate_limit_records"))
    rival.session.run("BEGIN")
    # A deadlock, and this is the victim: the lock was not given.
    if rival.tries(f"SELECT COUNT(*) FROM {what} FOR UPDATE") is not None:
        rival.rest(rival.random.uniform(0, 1.5))
    rival.tries("ROLLBACK")
    rival.rest(rival.random.uniform(0.5, 1.0))


def kill_something(rival):
    ids = rival.session.run(f"SELECT id {OURS}")
    if ids:
        how = rival.random.choice(("CONNECTION", "QUERY", "HARD CONNECTION", "SOFT QUERY"))
        rival.tries(f"KILL {how} {rival.random.choice(ids)}")
    rival.rest(rival.random.uniform(0, 0.2))


def end(operator, number):
    """Ends a connection, unless it has ended meanwhile."""
    try:
        operator.run(f"KILL CONNECTION {number}")
    except AssertionError as failure:
        if "1094" not in str(failure):
            raise


def no_connection_left(stage, database, daemon):
    """Others have them all, and the daemon has to reconnect."""
    operator, held = database.session(), []
    operator.run("SET GLOBAL max_connections = 10")

    def refused():
        # The daemon's go, and whoever waits takes their places.
        for number in operator.run(f"SELECT id {OURS}"):
            end(operator, number)
        if len(held) < 30:
            held.append(database.session())
        return "1040" in daemon.status().get("database", {}).get("failure", "")
    try:
        harness.wait_for(refused, "the daemon to be refused", interval=0.05)
        stage.count("connections_exhausted")
    finally:
        operator.run("SET GLOBAL max_connections = 100")
        for session in (operator, *held):
            session.close()


def run(stage):
    database = servers.Server(stage.folder / "db", 1)
    stage.databases.append(database)
    database.start()
    database.add_user()
    daemon = stage.daemon(database, **servers.settings(database, **SETTINGS))
    database.sql("CREATE TABLE ballast (number INT PRIMARY KEY) ENGINE=InnoDB")
    load = stage.load(daemon, events=stage.pick(100_000, 2_000_000), rate=2500, poison=20)
    load.wait_fed(1000)
    rivals = [Rival(stage, database, act)
              for act in (lock_in_the_wrong_order, hold_too_long, kill_something)]
    for rival in rivals:
        stage.cleanup(rival.stop)
        rival.start()
    started = time.monotonic()
    harness.wait_for(lambda: load.over or any(rival.failure for rival in rivals) or (
        daemon.summed("deadlocks") >= stage.pick(3, 200)
        and daemon.summed("lock_waits") >= stage.pick(1, 40)
        and rivals[2].acts >= stage.pick(40, 800)), "deadlocks, lock waits and kills", 900)
    stage.say(f"{time.monotonic() - started:.0f} s of rivals")
    stage.check(not load.over, "the load ended before it had met enough")
    for rival in rivals:
        rival.stop()
        stage.check(not rival.failure, f"a rival failed: {rival.failure}")
    stage.count("kills_by_an_operator", rivals[2].acts)
    for _ in range(stage.pick(1, 5)):
        no_connection_left(stage, database, daemon)
    load.halt()
    stage.settle(load, ended=(0, 1))


if __name__ == "__main__":
    frame.main(run, "Deadlocks and lock waits forced by others, KILL at any moment, and no connection "
               "left: everything is tried again, and counts once.")
