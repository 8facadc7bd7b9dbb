#!/usr/bin/python3
"""A connection is cut as its COMMIT sets out, but its session lives on in the server and holds the
lane's row. Later it commits, or rolls back, or the server ends it; meanwhile the daemon is back. Often
its KILL does not reach the server either."""

import threading
import time

import frame
import harness
from frame.gate import COMMIT, DROP, Gate, Outcomes

# How long a zombie lives: across one or two lock waits of the daemon, or hardly.
LIFE_SECONDS = (0.0, 2.5)
SETTINGS = {"DB_LOCK_WAIT_TIMEOUT": "1s", "DB_IDLE_TIMEOUT": "4s", "HOLDFAST_BATCH_ROWS_MAX": 200}
ROLLBACK = b"\x03ROLLBACK"
ENDS = ("commits", "commits", "rolls back", "ended by the server")


class Zombies:
    """Makes them, one at a time for each lane."""

    def __init__(self, stage, outcomes, limit):
        self.stage, self.outcomes, self.limit = stage, outcomes, limit
        self.made = 0
        self.ends = dict.fromkeys(ENDS, 0)
        self.seen_alive = 0
        self.failures = []
        self._living = {}
        self._lock = threading.Lock()

    @property
    def over(self):
        with self._lock:
            return self.made >= self.limit and not self._living

    def at_commit(self, link):
        with self._lock:
            if (self.made >= self.limit or link.lane is None or link.lane in self._living
                    or self.stage.random.random() < 0.3):
                return False
            self.made += 1
            self._living[link.lane] = link
            end = ENDS[self.made % len(ENDS)]
            life = self.stage.random.uniform(*LIFE_SECONDS)
            link.gate.swallow_kills = self.stage.random.random() < 0.8
        # The daemon's side ends; the server hears nothing of it.
        link.set(up=DROP, down=DROP)
        link.close_client(reset=self.stage.random.random() < 0.5)
        threading.Thread(target=self._live, args=(link, end, life), daemon=True).start()
        return True

    def _live(self, link, end, life):
        try:
            time.sleep(life)
            with self._lock:
                self.seen_alive += self.outcomes.alive(link.thread_id)
            if end != "ended by the server":
                statement = COMMIT if end == "commits" else ROLLBACK
                try:
                    link.send_up(len(statement).to_bytes(3, "little") + b"\0" + statement)
                except OSError:
                    pass  # The daemon's KILL came through.
                link.close_server()
            # DB_IDLE_TIMEOUT: the server must not keep it for hours.
            harness.wait_for(lambda: self._is_gone(link), f"the server to end {link.thread_id}", 30)
            link.cut()
        except (AssertionError, OSError) as error:
            self.failures.append(str(error))
        with self._lock:
            self.ends[end] += 1
            del self._living[link.lane]

    def _is_gone(self, link):
        with self._lock:
            return not self.outcomes.alive(link.thread_id)


def run(stage):
    database = stage.database()
    gate = Gate(database)
    stage.cleanup(gate.close)
    daemon = stage.daemon(database, **SETTINGS, **gate.settings())
    load = stage.load(daemon, events=stage.pick(60_000, 1_500_000), rate=2500)
    outcomes = Outcomes(database)
    stage.cleanup(outcomes.close)
    zombies = Zombies(stage, outcomes, stage.pick(8, 300))
    gate.on_commit = zombies.at_commit
    harness.wait_for(lambda: zombies.over or zombies.failures or load.over, "the zombies", 900)
    gate.heal()
    load.halt()
    stage.settle(load)
    stage.say(f"zombies: {zombies.ends}, alive at their end: {zombies.seen_alive}; "
              f"{gate.kills_swallowed} KILLs swallowed")
    stage.count("zombies", zombies.made)
    stage.check(zombies.over and not zombies.failures, f"zombies: {zombies.failures[:3]}")
    stage.check(zombies.seen_alive > 0, "no zombie outlived its connection")
    stage.check(gate.kills_swallowed > 0 and daemon.summed("lock_waits") > 0,
                "no zombie made the daemon wait for a lock")


if __name__ == "__main__":
    frame.main(run, "A transaction whose connection is gone lives on in the server and commits or rolls "
               "back later: its events count once.")
