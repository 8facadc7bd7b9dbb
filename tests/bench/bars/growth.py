"""Bar 11: what an event costs as the work grows, beyond what the table's own growth costs a writer
without the daemon.

Two databases grow side by side, slice by slice: one by the in-process writer, one through the
daemon. What is compared is the ratio of their costs, at each size of the table.
"""

import time

from frame import audits, program, rounds

LARGE_SECONDS_MAX = 600  # Beyond it the table stays as large as it is, and the bar does not hold.
WAYS = ("in-process", "end-to-end")


class _Grower:
    """The two databases, and how many events each has."""

    def __init__(self, stage):
        self.stage = stage
        self.daemon = stage.make_daemon()
        # The daemon writes to `holdfast`, as always; the other one's tables are made the same way.
        self.other = stage.make_daemon(schema="growth")
        self.other.migrate()
        self.daemon.start()
        self.expected = {}
        self.accepted = 0

    def clear(self):
        self.stage.empty()
        self.stage.empty("growth")
        self.expected = {}

    def slice(self, events, keys):
        """The same events into both; returns seconds for each event, by way."""
        stage, costs = self.stage, {}
        flags = stage.flags(events, keys=keys, target=self.daemon.target)
        for way in WAYS:
            schema = "growth" if way == "in-process" else "holdfast"
            measured = program.measure(way, **flags, database=schema)
            costs[way] = measured["seconds"] / events
        self.expected = audits.add(self.expected, measured["expected"])
        self.accepted += events
        return costs

    def audit(self):
        audits.books(self.daemon, self.accepted)
        for schema in ("holdfast", "growth"):
            audits.usage(self.stage.database, self.expected, schema)

    def close(self):
        self.stage.drop(self.daemon)
        self.stage.drop(self.other)


def _point(name, costs, runs):
    """What an event costs in each way at one size, and the ratio of both."""
    for number, cost in enumerate(costs):
        runs.append({"point": name, "round": number + 1,
                     **{f"{way}_microseconds_per_event": round(cost[way] * 1e6, 3)
                        for way in WAYS}})
    return {"point": name,
            **{way: round(rounds.median(rounds.column(costs, way)) * 1e6, 3) for way in WAYS},
            "ratio": rounds.ratio(*(rounds.column(costs, way) for way in reversed(WAYS)))}


def _sizes(stage, grower, runs):
    """Points at 10^5, 10^6 and 10^7 events: at each the last slices before it; and whether the
    largest was reached in time."""
    small, middle, large = (4_000, 12_000, 24_000) if stage.sizes.quick else (10**5, 10**6, 10**7)
    keys = stage.sizes.keys
    costs = []
    for _ in range(stage.rounds):
        grower.clear()
        costs.append(grower.slice(small, keys))
        grower.audit()
    points = [_point(f"{small} events", costs, runs)]
    curve = [[small, points[0]["in-process"], points[0]["end-to-end"]]]
    deadline = time.monotonic() + LARGE_SECONDS_MAX
    done = small
    for until, step in ((middle, small), (large, max(small, large // 40))):
        costs = []
        while done < until and time.monotonic() < deadline:
            events = min(step, until - done)
            costs.append(grower.slice(events, keys))
            done += events
            curve.append([done, *(round(costs[-1][way] * 1e6, 3) for way in WAYS)])
        grower.audit()
        if costs:
            points.append(_point(f"{done} events", costs[-stage.rounds:], runs))
    stage.beside["growth"] = curve
    return points, done == large


def _keys(stage, grower, runs):
    """Points at 10, 10^3 and 10^5 keys, each on empty tables."""
    size = stage.sizes.events
    spreads = (10, 10**3, 10**5)
    costs = {keys: [] for keys in spreads}
    for _ in range(stage.rounds):
        for keys in spreads:
            grower.clear()
            costs[keys].append(grower.slice(size, keys))
            grower.audit()
    return [_point(f"{keys} keys", costs[keys], runs) for keys in spreads]


def growth(stage):
    grower = _Grower(stage)
    runs = []
    spreads = _keys(stage, grower, runs)
    sizes, reached = _sizes(stage, grower, runs)
    grower.close()
    series = (spreads, sizes)
    # Against the smallest: how much dearer the daemon's own part has become.
    worst = max(point["ratio"] / points[0]["ratio"] for points in series for point in points)
    points = [{**point, "ratio": round(point["ratio"], 4)} for all_of_it in series
              for point in all_of_it]
    return [rounds.bar(
        11, "cost of an event as events and keys grow, beyond what the in-process writer's grows",
        "<= 1.3", worst, worst <= 1.3 and reached, runs, largest_table=sizes[-1]["point"],
        points=points)]
