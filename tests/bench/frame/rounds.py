"""Interleaved runs, and what they come to."""

import statistics


def interleave(rounds, ways):
    """Runs each of `ways` (name -> function) in every round, in turn: A B A B. Returns, by name,
    what they returned."""
    found = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            found[name].append(run())
    return found


def median(values):
    return statistics.median(values)


def ratio(ours, theirs):
    """The median of the rounds' ratios: what drifts from round to round cancels out."""
    return median([one / other for one, other in zip(ours, theirs, strict=True)])


def bar(number, name, limit, value, holds, runs, **more):
    """A bar as results.json has it. `limit` is what it must be, in words."""
    return {"bar": number, "name": name, "limit": limit, "ratio": round(value, 4),
            "holds": bool(holds), "runs": runs, **more}


def rates(found):
    """The events a second of each run, by way, as results.json lists them."""
    return [{"round": number + 1, "way": way,
             "events_per_second": round(run["events_per_second"])}
            for way, runs in found.items() for number, run in enumerate(runs)]


def column(runs, name):
    return [run[name] for run in runs]
