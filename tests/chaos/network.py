#!/usr/bin/python3
"""What a network does between a daemon and its database: silence, bytes that vanish in one direction
or in both, a byte now and then, resets, delays, and all connections at once. Nobody tells the daemon:
its own deadlines have to act, and the server's."""

import threading
import time

import frame
import harness
from frame.gate import DROP, HOLD, PASS, TRICKLE, Gate, Outcomes

# A call into the database ends after DB_QUERY_TIMEOUT and 2 s.
SETTINGS = {"DB_QUERY_TIMEOUT": "1s", "DB_CONNECT_TIMEOUT": "1s", "DB_IDLE_TIMEOUT": "4s",
            "DB_LOCK_WAIT_TIMEOUT": "1s", "HOLDFAST_BATCH_ROWS_MAX": 500}
# Of each packet of a transaction, by chance, so that every step of it is met.
CHANCE = 0.02
FAULTS = {
    "silence": lambda link: link.set(up=HOLD, down=HOLD),
    "half-open": lambda link: link.set(up=DROP, down=DROP),
    "deaf server": lambda link: link.set(up=DROP),
    "deaf daemon": lambda link: link.set(down=DROP),
    "trickle up": lambda link: link.set(up=TRICKLE),
    "trickle down": lambda link: link.set(down=TRICKLE),
    "reset": lambda link: link.cut(reset=True),
    "closed": lambda link: link.cut(),
    "server closed": lambda link: link.close_server(),
    "short delay": lambda link: time.sleep(link.gate.random.uniform(0.1, 1)),
    "long delay": lambda link: time.sleep(4),
}
# These leave nothing to wait for: no fault remains on the link.
TELLS = ("reset", "closed", "server closed", "short delay")


class Weather:
    """Does one fault after the other, each to a link of its own."""

    def __init__(self, stage, gate, rounds):
        self.stage, self.gate = stage, gate
        self.todo = [name for _ in range(rounds) for name in FAULTS]
        stage.random.shuffle(self.todo)
        self.done = dict.fromkeys(FAULTS, 0)
        self.harmed = []     # (fault, link) that the daemon has to give up by itself.
        self._lock = threading.Lock()

    def at_packet(self, link):
        with self._lock:
            if not self.todo or link.lane is None or self.gate.random.random() > CHANCE:
                return False
            fault = self.todo.pop()
            self.done[fault] += 1
            if fault not in TELLS:
                self.harmed.append((fault, link))
        FAULTS[fault](link)
        return False

    def noticed(self):
        """Whether the daemon, or the server, has ended every link that went bad."""
        return not self.todo and all(link.client_is_gone() for _, link in self.harmed)


def run(stage):
    database = stage.database()
    # For what sits in the middle of a packet; an idle session has DB_IDLE_TIMEOUT.
    database.sql("SET GLOBAL net_read_timeout = 3; SET GLOBAL net_write_timeout = 3", None)
    gate = Gate(database)
    gate.random = stage.random
    stage.cleanup(gate.close)
    daemon = stage.daemon(database, **SETTINGS, **gate.settings())
    load = stage.load(daemon, events=stage.pick(100_000, 2_000_000), rate=3000)
    outcomes = Outcomes(database)
    stage.cleanup(outcomes.close)
    weather = Weather(stage, gate, stage.pick(1, 12))
    gate.on_packet = gate.on_commit = weather.at_packet
    harness.wait_for(lambda: weather.noticed() or load.over, "all faults to be met", 900)
    stage.check(weather.noticed(), f"the load ended before the faults: left {weather.todo}")
    for _ in range(stage.pick(1, 5)):
        everything_silent(stage, gate, daemon)
    sessions_end(outcomes, weather)
    load.halt()
    stage.settle(load)
    stage.say(f"faults: {weather.done}")
    stage.count("network_faults", sum(weather.done.values()))


def everything_silent(stage, gate, daemon):
    """A partition: no byte passes on any connection, new ones included; nothing is refused."""
    for link in gate.links():
        link.set(up=HOLD, down=HOLD)
    gate.on_open = lambda link: link.set(up=HOLD, down=HOLD)
    harness.wait_for(lambda: daemon.status().get("database", {}).get("failure"),
                     "the daemon to notice that nothing is answered")
    stage.pause(stage.random.uniform(0, 1))
    gate.on_open = None
    before = daemon.books()["committed"]
    # A held link stays held, as what was sent on it may arrive much later.
    harness.wait_for(lambda: (daemon.books() or {}).get("committed", 0) > before,
                     "the daemon to come back")
    for link in gate.links():
        link.set(up=PASS, down=PASS)


def sessions_end(outcomes, weather):
    """The server's own timeouts: no session of a harmed link is left, with its locks."""
    for _, link in weather.harmed:
        outcomes.wait_gone(link.thread_id)


if __name__ == "__main__":
    frame.main(run, "Silence, half-open and trickling connections, resets and partitions: the daemon "
               "gives up by its own deadlines, the server by its own, and nothing counts twice.")
