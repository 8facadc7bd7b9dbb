"""Bars 6 and 7: how long one event takes, against what its parts take when they stand alone."""

from frame import audits, program, rounds

QUANTILES = ("p50", "p90", "p99", "max")


def _audited(stage, how, events, **more):
    """A run on the daemon of the stage; returns what was measured, once all is there."""
    accepted = stage.daemon.books()["accepted"]
    stage.empty()
    measured = program.measure(how, **stage.flags(events, **more))
    if how == "ack":
        audits.books(stage.daemon, accepted + events)
    audits.usage(stage.database, measured["expected"])
    return measured["microseconds"]


def _bare(stage, count, rate):
    """A block synced to the journal's disk and an empty call to the daemon."""
    return program.measure("sync-and-call", **stage.flags(count, rate=rate))


def _quantiles(number, way, summary):
    return {"round": number + 1, "way": way,
            **{f"{name}_microseconds": round(summary[name]) for name in QUANTILES}}


def _merged(summaries):
    """The histograms of all rounds as one: [[upper bound, samples], ...]."""
    counts = {}
    for summary in summaries:
        for bound, samples in summary["histogram"]:
            counts[bound] = counts.get(bound, 0) + samples
    return sorted([bound, samples] for bound, samples in counts.items())


def journaled(stage):
    """Bar 6. Beside it: the same with a daemon whose database is away, so that only the journal
    uses the disk."""
    sizes = stage.sizes
    count = int(sizes.rate * sizes.latency_seconds)
    alone = stage.make_daemon(database=False)
    alone.start_taking()

    def without_database():
        before = int(alone.status()["books"]["accepted"])
        measured = program.measure("ack", **stage.flags(
            count, rate=sizes.rate, ack="journaled", target=alone.target))
        found = int(alone.status()["books"]["accepted"])
        if found != before + count:
            raise program.Failed(f"the run is not right: accepted {found - before} of {count}")
        return measured["microseconds"]

    found = rounds.interleave(stage.rounds, {
        "sync and call": lambda: _bare(stage, count, sizes.rate)["both"],
        "journaled": lambda: _audited(stage, "ack", count, rate=sizes.rate, ack="journaled"),
        "journaled, database away": without_database})
    stage.drop(alone)
    bare = found["sync and call"]
    value, tail = (rounds.ratio(rounds.column(found["journaled"], name),
                                rounds.column(bare, name)) for name in ("p50", "p99"))
    runs = [_quantiles(number, way, summary) for way, all_of_it in found.items()
            for number, summary in enumerate(all_of_it)]
    stage.beside.setdefault("latency", {}).update(
        {way: _merged(all_of_it) for way, all_of_it in found.items()})
    away = found["journaled, database away"]
    return [rounds.bar(
        6, f"journaled ack at {sizes.rate} events/s, one a message, against fdatasync and an empty "
        "call", "p50 <= 1.3, p99 <= 2", value, value <= 1.3 and tail <= 2, runs,
        ratio_p99=round(tail, 4),
        ratio_database_away={name: round(rounds.ratio(rounds.column(away, name),
                                                      rounds.column(bare, name)), 4)
                             for name in ("p50", "p99")})]


def committed(stage):
    """Bar 7."""
    sizes = stage.sizes
    count = int(sizes.rate * sizes.latency_seconds) // 2
    found = rounds.interleave(stage.rounds, {
        "sync and call": lambda: _bare(stage, count, 0),
        "transaction": lambda: _audited(stage, "transaction", count),
        "committed": lambda: _audited(stage, "ack", count, ack="committed")})
    bare = [parts["sync"]["p50"] + parts["call"]["p50"] + transaction["p50"]
            for parts, transaction in zip(found["sync and call"], found["transaction"])]
    value = rounds.ratio(rounds.column(found["committed"], "p50"), bare)
    summaries = {"sync": rounds.column(found["sync and call"], "sync"),
                 "call": rounds.column(found["sync and call"], "call"),
                 "transaction": found["transaction"], "committed": found["committed"]}
    runs = [_quantiles(number, way, summary) for way, all_of_it in summaries.items()
            for number, summary in enumerate(all_of_it)]
    stage.beside.setdefault("latency", {}).update(
        {way: _merged(summaries[way]) for way in ("transaction", "committed")})
    return [rounds.bar(
        7, "committed ack, one event in flight, against a bare transaction, fdatasync and an empty "
        "call", "p50 <= 1.2", value, value <= 1.2, runs)]
