#!/usr/bin/python3
"""The daemon is given two servers, a primary and its copy. Under load the primary becomes read-only, for
a moment neither takes writes, then the copy does, and the old primary follows it; and back again."""

import frame
import harness
from frame import servers

SETTINGS = {"DB_CONNECT_TIMEOUT": "1s", "DB_BREAKER_RECOVERY_TIMEOUT": "200ms",
            "HOLDFAST_BATCH_ROWS_MAX": 300}


def run(stage):
    pair = servers.Pair(stage)
    primary = pair.servers[0]
    primary.add_user()
    daemon = stage.daemon(primary, **servers.settings(*pair.servers, **SETTINGS))
    switches = stage.pick(2, 30)
    load = stage.load(daemon, events=stage.pick(60_000, 1_000_000), rate=2500, ack="committed")
    load.wait_fed(1000)
    for _ in range(switches):
        copy = pair.other(primary)
        primary.sql("SET GLOBAL read_only = 1", None)
        pair.catch_up(copy, primary)
        if stage.random.random() < 0.5:
            neither_takes_writes(daemon)
        pair.promote(copy)
        pair.follow(primary, copy)
        primary = daemon.database = copy
        written_to(daemon, primary)
        stage.pause(stage.random.uniform(0, 0.5))
    load.halt()
    stage.settle(load, patience=300)
    stage.count("switches", switches)
    pair.catch_up(pair.other(primary), primary)
    stage.check(daemon.metrics().sum("holdfast_lane_reseats_total") == 0, "a lane was set back")


def neither_takes_writes(daemon):
    harness.wait_for(lambda: "read-only" in daemon.status().get("database", {}).get("failure", ""),
                     "the daemon to say that it finds no server that can be written to")


def written_to(daemon, server):
    """Waits until the daemon's events arrive in this server."""
    before = server.number("SELECT SUM(position) FROM holdfast_lanes")
    harness.wait_for(lambda: server.number("SELECT SUM(position) FROM holdfast_lanes")
                     > before + 500, f"events in {server.host}")
    found = daemon.status()["database"]["endpoint"]
    if found != server.host:
        raise frame.Broken(f"the daemon says that it writes to {found}, not {server.host}")


if __name__ == "__main__":
    frame.main(run, "A primary that becomes read-only is left for the next server of the list, and "
               "nothing is lost or doubled on the way.")
