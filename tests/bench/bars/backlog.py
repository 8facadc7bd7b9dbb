"""Bars 8 and 9: memory at rest, at full load and with the database away, and how fast what has
piled up is written afterwards."""

import time

import harness
from frame import audits, program, rounds

MIB = 1 << 20
LOOK_SECONDS = 0.05


def _full_load(stage):
    """As bar 2's run, through a daemon of its own."""
    daemon = stage.make_daemon()
    daemon.start()
    found = {"rest": daemon.peak_bytes()}
    stage.empty()
    events = stage.sizes.events
    measured = program.measure("end-to-end", **stage.flags(events, target=daemon.target))
    found["full"] = daemon.peak_bytes()
    audits.books(daemon, events)
    audits.usage(stage.database, measured["expected"])
    stage.drop(daemon)
    return {**found, "events_per_second": measured["events_per_second"]}


def _watch_draining(daemon):
    """Events a second from the first that is written to the last."""
    begun, last = None, (time.monotonic(), 0)
    while True:
        books, now = daemon.books(), time.monotonic()
        if books and books["committed"] > last[1]:
            last = (now, books["committed"])
            begun = begun or last
        if books and books["pending"] == 0:
            if begun is None or last[0] == begun[0]:
                raise program.Failed("the backlog was gone before it could be watched")
            return (last[1] - begun[1]) / (last[0] - begun[0])
        if now - last[0] > harness.PATIENCE:
            raise program.Failed(f"nothing of the backlog is written any more: {books}")
        time.sleep(LOOK_SECONDS)


def _backlog(stage):
    """An hour's worth of events while the database is down, then the database comes back."""
    daemon = stage.make_daemon()
    daemon.start()
    stage.empty()
    events = stage.sizes.backlog_events
    stage.database.stop()
    fed = program.measure("feed", **stage.flags(events, target=daemon.target, ack="journaled"))
    found = {"away": daemon.peak_bytes(),
             "journaled_per_second": fed["events_per_second"]}
    stage.database.start_without_waiting()
    found["events_per_second"] = _watch_draining(daemon)
    found["drained"] = daemon.peak_bytes()
    harness.wait_for(lambda: stage.daemon.books(), "the daemon to be back at its database")
    audits.books(daemon, events)
    audits.usage(stage.database, fed["expected"])
    stage.drop(daemon)
    return found


def memory_and_draining(stage):
    found = rounds.interleave(stage.rounds, {"full load": lambda: _full_load(stage),
                                             "backlog": lambda: _backlog(stage)})
    full, backlog = found["full load"], found["backlog"]
    rest_bytes, full_bytes, away_bytes = (
        rounds.median(rounds.column(runs, name))
        for runs, name in ((full, "rest"), (full, "full"), (backlog, "away")))
    peaks = [{"round": number + 1, "rest_mib": round(one["rest"] / MIB, 1),
              "full_load_mib": round(one["full"] / MIB, 1),
              "database_away_mib": round(other["away"] / MIB, 1),
              "drained_mib": round(other["drained"] / MIB, 1)}
             for number, (one, other) in enumerate(zip(full, backlog))]
    memory = rounds.bar(
        8, f"memory at rest, at full load, and after {stage.sizes.backlog_events} events with the "
        "database away", "<= 32 MiB, <= 96 MiB, <= full load", away_bytes / full_bytes,
        rest_bytes <= 32 * MIB and full_bytes <= 96 * MIB and away_bytes <= full_bytes, peaks,
        rest_mib=round(rest_bytes / MIB, 1), full_load_mib=round(full_bytes / MIB, 1),
        database_away_mib=round(away_bytes / MIB, 1))
    value = rounds.ratio(rounds.column(backlog, "events_per_second"),
                         rounds.column(full, "events_per_second"))
    draining = rounds.bar(9, "draining that backlog, against the rate of bar 2", ">= 0.9", value,
                          value >= 0.9, rounds.rates(found))
    stage.beside["journaled_while_away"] = {
        "events_per_second": round(rounds.median(rounds.column(backlog,
                                                               "journaled_per_second")))}
    return [memory, draining]
