#!/usr/bin/python3
"""Two daemons write to different nodes of a three-node Galera cluster, to the same counters: commits
fail certification. Then the node of one of them is killed and comes back, and the cluster loses its
quorum and finds it again."""

import signal

import frame
import audit
import harness
from frame import servers

SETTINGS = {"DB_CONNECT_TIMEOUT": "1s", "DB_QUERY_TIMEOUT": "2s", "DB_LOCK_WAIT_TIMEOUT": "1s",
            "DB_BREAKER_RECOVERY_TIMEOUT": "200ms", "HOLDFAST_BATCH_ROWS_MAX": 200,
            "HOLDFAST_LANE_LOOK_EVERY": "2s"}
EVENTS = 400_000


def run(stage):
    cluster = servers.Cluster(stage)
    first, second, third = cluster.nodes
    first.add_user()
    daemons = [stage.daemon(node, **servers.settings(*hosts, **SETTINGS)) for node, hosts in
               ((first, (first, second, third)), (second, (second, third, first)))]
    loads = [stage.load(daemon, events=EVENTS, rate=stage.pick(600, 500)) for daemon in daemons]
    harness.wait_for(lambda: sum(daemon.summed("deadlocks") for daemon in daemons)
                     >= stage.pick(1, 100), "certification conflicts", 600)
    for _ in range(stage.pick(1, 4)):
        kill_a_node(stage, cluster, daemons)
        lose_quorum(stage, cluster, daemons)
    for load in loads:
        load.halt()
    settle(stage, cluster, daemons, loads)


def kill_a_node(stage, cluster, daemons):
    """The others go on at once; then it gets what it missed."""
    node = stage.random.choice(cluster.nodes[:2])
    stage.kill_database(node)
    moves(daemons)
    stage.count("nodes_killed")
    cluster.start(node)


def lose_quorum(stage, cluster, daemons):
    """Two nodes stand still: the third must not go on alone."""
    stopped = stage.random.sample(cluster.nodes, 2)
    left = next(node for node in cluster.nodes if node not in stopped)
    for node in stopped:
        node.process.send_signal(signal.SIGSTOP)
    try:
        harness.wait_for(lambda: cluster.said(left, "wsrep_cluster_status") == "non-Primary",
                         "the node that is left to notice")
        for daemon in daemons:
            harness.wait_for(lambda daemon=daemon: daemon.status()["database"].get("failure"),
                             "the daemon to say that no server can be written to")
        stage.pause(stage.random.uniform(0, 2))
    finally:
        for node in stopped:
            node.process.send_signal(signal.SIGCONT)
    for node in cluster.nodes:
        cluster.wait_synced(node)
    moves(daemons)
    stage.count("quorums_lost")


def moves(daemons):
    """Waits until each daemon commits."""
    for daemon in daemons:
        before = (daemon.books() or {}).get("committed", 0)
        harness.wait_for(lambda daemon=daemon, before=before:
                         (daemon.books() or {}).get("committed", 0) > before + 100,
                         f"commits: {daemon.log}")


def settle(stage, cluster, daemons, loads):
    """Both loads together are in every node, once."""
    expected = audit.Expectation()
    for load in loads:
        status = load.finish()
        stage.check(status == 0, f"holdfast send ended with {status}: {load.said()}")
        expected.read(load.file, load.fed)
    for daemon in daemons:
        harness.wait_for(lambda daemon=daemon: (daemon.books() or {}).get("pending") == 0,
                         f"everything to drain: {daemon.log}", 300)
    books = [daemon.books() for daemon in daemons]
    total = {name: sum(its[name] for its in books) for name in books[0]}
    for node in cluster.nodes:
        node.sql("SET GLOBAL wsrep_sync_wait = 15", None)  # Reads wait for what is on its way.
        stage.audit(expected, total, node)
    stage.count("events_accepted", total["accepted"])
    stage.count("events_committed", total["committed"])
    resent = sum(daemon.summed("resent") for daemon in daemons)
    stage.count("duplicates_sent", expected.duplicate + resent)
    stage.count("duplicates_suppressed", total["duplicate"] + resent)


if __name__ == "__main__":
    frame.main(run, "On a Galera cluster with certification conflicts, nodes killed and quorum lost and "
               "regained, every event of two daemons counts once in every node.")
