"""What is measured beside the bars: an outage as it looks over time, the start on a full journal,
the C++ client's own cost, the hot pieces one by one."""

import time

import harness
from frame import audits, program, rounds

LOOK_SECONDS = 0.1
MIB = 1 << 20


def outage(stage):
    """A steady load; the database is killed and started again. Events journaled and committed, as
    they were over time."""
    quick = stage.sizes.quick
    rate, seconds = (500, 5) if quick else (5_000, 45)
    killed_at, back_at = (1, 2) if quick else (10, 20)
    daemon = stage.make_daemon()
    daemon.start()
    stage.empty()
    feed = program.Running("feed", **stage.flags(rate * seconds, rate=rate, ack="journaled",
                                                 target=daemon.target))
    samples, moments = [], {}
    try:
        begin = time.monotonic()
        while True:
            now = time.monotonic() - begin
            if "killed" not in moments and now > killed_at:
                stage.database.kill()
                moments["killed"] = round(time.monotonic() - begin, 2)
            if "started" not in moments and now > back_at:
                stage.database.start_without_waiting()
                moments["started"] = round(time.monotonic() - begin, 2)
            metrics = daemon.metrics()
            samples.append([round(now, 2),
                            int(metrics.sum("holdfast_events_accepted_total")),
                            int(metrics.sum("holdfast_events_committed_total"))])
            if feed.over() and samples[-1][2] >= rate * seconds:
                break
            if now > seconds + harness.PATIENCE:
                raise program.Failed(f"the backlog was not written: {samples[-1]}")
            time.sleep(LOOK_SECONDS)
        fed = feed.finish()
    finally:
        feed.close()
    harness.wait_for(lambda: stage.daemon.books(), "the daemon to be back at its database")
    audits.books(daemon, rate * seconds)
    audits.usage(stage.database, fed["expected"])
    stage.drop(daemon)
    stage.beside["outage"] = {"events_per_second": rate, "moments": moments, "samples": samples}


def start(stage):
    """The daemon is killed with a journal full of events that no database has taken, and started
    again: how long until it takes events, and in how much memory."""
    wanted = stage.sizes.start_journal_bytes
    daemon = stage.make_daemon(database=False,
                               HOLDFAST_JOURNAL_MAX_BYTES=f"{wanted // MIB + 512}MiB")
    daemon.start_taking()
    events = 0
    while True:
        # In pieces, until there is as much as is wanted.
        piece = 20_000 if stage.sizes.quick else 1_000_000
        program.measure("feed", **stage.flags(piece, target=daemon.target, ack="journaled"))
        events += piece
        used = daemon.metrics().sum("holdfast_journal_used_bytes")
        if used >= wanted - (64 * MIB if not stage.sizes.quick else 0):
            break
    daemon.kill()
    runs = []
    for _ in range(stage.rounds):
        begin = time.monotonic()
        daemon.start_taking()
        taken = time.monotonic() - begin
        accepted = int(daemon.status()["books"]["accepted"])
        if accepted != events:
            raise program.Failed(f"the run is not right: {accepted} of {events} events are left")
        runs.append({"seconds": round(taken, 3), "peak_mib": round(daemon.peak_bytes() / MIB, 1)})
        daemon.kill()
    stage.drop(daemon)
    stage.beside["start"] = {
        "journal_mib": round(used / MIB), "events": events,
        "seconds": rounds.median(rounds.column(runs, "seconds")),
        "peak_mib": rounds.median(rounds.column(runs, "peak_mib")), "runs": runs}


def client(stage):
    """The client against a daemon that does nothing, in a process of its own."""
    target = f"unix:{stage.folder}/nothing"
    server = program.Running("serve-nothing", target=target)
    try:
        if server.process.stdout.readline().strip() != "ready":
            raise program.Failed(f"the daemon that does nothing does not start at {target}")
        count = stage.sizes.events
        few = max(100, stage.sizes.rate)

        def batching():
            found = program.measure("client-batching", **stage.flags(
                count, target=target, ack="journaled"))
            return {"events_per_second": round(found["events_per_second"]),
                    "cpu_microseconds_per_event": round(found["cpu_seconds"] * 1e6 / count, 3)}

        def idle(how):
            found = program.measure(how, **stage.flags(few, target=target, ack="journaled"))
            return _microseconds(found["microseconds"])

        found = rounds.interleave(stage.rounds, {
            "batching": batching, "bare": lambda: idle("ack"),
            "client": lambda: idle("client-latency")})
    finally:
        server.close()
    stage.beside["client"] = {
        "threads": 8,
        **{name: rounds.median(rounds.column(found["batching"], name))
           for name in found["batching"][0]},
        **{f"{way}_{name}_microseconds": rounds.median(rounds.column(found[way], name))
           for way in ("bare", "client") for name in ("p50", "p99")}}


def _microseconds(summary):
    return {name: round(summary[name], 1) for name in ("p50", "p99")}


def micro(stage):
    found = program.micro(stage.sizes.quick)
    stage.beside["micro"] = [
        {"name": one["name"], "nanoseconds_per_event": round(1e9 / one["items_per_second"], 1),
         "allocations_per_event": round(one["allocations_per_event"], 3)}
        for one in found["benchmarks"]]
