"""Bars 1 to 5: events a second, and what they cost, against everything else that brings the same
events into the same table."""

from frame import rounds
from frame.rsyslog import Rsyslog


def messages(stage):
    """Bar 1."""
    size = stage.sizes.events
    found = rounds.interleave(stage.rounds, {
        way: lambda way=way: stage.write(way, size, "message")
        for way in ("bare-bulk", "load-data", "end-to-end")})
    fastest = [max(pair) for pair in zip(rounds.column(found["bare-bulk"], "events_per_second"),
                                         rounds.column(found["load-data"], "events_per_second"))]
    value = rounds.ratio(rounds.column(found["end-to-end"], "events_per_second"), fastest)
    return [rounds.bar(
        1, "messages, end to end, against the fastest bare writer of the same rows", ">= 0.80",
        value, value >= 0.80, rounds.rates(found))]


def usage(stage):
    """Bars 2 to 5, all from the same runs."""
    sizes = stage.sizes
    with Rsyslog(stage) as rsyslog:
        found = rounds.interleave(stage.rounds, {
            "in-process": lambda: stage.write("in-process", sizes.events),
            "end-to-end": lambda: stage.write("end-to-end", sizes.events),
            "rsyslog": lambda: stage.write("syslog", sizes.slow_events, target=rsyslog.port),
            "autocommit": lambda: stage.write("autocommit", sizes.slow_events, connections=8),
        })
    rate = {way: rounds.column(runs, "events_per_second") for way, runs in found.items()}
    ours = rate["end-to-end"]
    runs = rounds.rates(found)
    against = {way: rounds.ratio(ours, rate[way]) for way in rate}
    return [
        rounds.bar(2, "usage with counters, end to end, against an in-process writer", ">= 0.90",
                   against["in-process"], against["in-process"] >= 0.90, _only(
                       runs, "in-process")),
        rounds.bar(3, "usage, end to end, against rsyslog with ommysql", ">= 5",
                   against["rsyslog"], against["rsyslog"] >= 5, _only(runs, "rsyslog")),
        rounds.bar(4, "usage, end to end, against a row for each autocommit on 8 connections",
                   ">= 10", against["autocommit"], against["autocommit"] >= 10,
                   _only(runs, "autocommit")),
        _cpu(found["end-to-end"])]


def _only(runs, rival):
    return [run for run in runs if run["way"] in (rival, "end-to-end")]


def _cpu(ours):
    daemon = rounds.column(ours, "daemon_cpu_seconds")
    # In tiny runs a tick may be all there is.
    database = [max(value, 0.01) for value in rounds.column(ours, "database_cpu_seconds")]
    value = rounds.ratio(daemon, database)
    runs = [{"round": number + 1,
             "daemon_microseconds_per_event": round(run["daemon_cpu_seconds"] * 1e6
                                                    / run["events"], 3),
             "database_microseconds_per_event": round(run["database_cpu_seconds"] * 1e6
                                                      / run["events"], 3)}
            for number, run in enumerate(ours)]
    return rounds.bar(5, "processor time for each event: daemon against database", "<= 0.20",
                      value, value <= 0.20, runs)
