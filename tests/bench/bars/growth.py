"""Bar 11: what an event costs as the work grows, beyond what the table's own growth costs a writer
without the daemon.

At the points that begin on empty tables there are two databases, one for the in-process writer and
one for the daemon. Between them, as the table grows to its largest, both write to the same table in
turns, slice by slice, so that both meet it at the same size and in the same state, and it has to be
filled only once. What is compared is the ratio of their costs, at each point.
"""

import time

from frame import audits, program, rounds

LARGE_SECONDS_MAX = 600  # Beyond it the table stays as large as it is, and the bar does not hold.
WAYS = ("in-process", "end-to-end")


class _Grower:
    """The two databases, and what each has."""

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
        for schema in ("holdfast", "growth"):
            self.stage.empty(schema)
            self.expected[schema] = {}

    def _write(self, way, schema, flags):
        """Returns seconds for each event."""
        measured = program.measure(way, **flags, database=schema)
        self.expected[schema] = audits.add(self.expected[schema], measured["expected"])
        if way == "end-to-end":
            self.accepted += flags["events"]
        return measured["seconds"] / flags["events"]

    def apart(self, events, keys):
        """The same events into both databases; returns seconds for each event, by way."""
        flags = self.stage.flags(events, keys=keys, target=self.daemon.target)
        return {way: self._write(way, schema, flags)
                for way, schema in zip(WAYS, ("growth", "holdfast"), strict=True)}

    def together(self, events, keys, turned):
        """Half of so many events by each way into one table, the daemon first if `turned`."""
        return {way: self._write(way, "holdfast", self.stage.flags(
                    events // 2, keys=keys, target=self.daemon.target))
                for way in (reversed(WAYS) if turned else WAYS)}

    def audit(self):
        audits.books(self.daemon, self.accepted)
        for schema, expected in self.expected.items():
            audits.usage(self.stage.database, expected, schema)

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
        costs.append(grower.apart(small, keys))
        grower.audit()
    points = [_point(f"{small} events", costs, runs)]
    curve = [[small, points[0]["in-process"], points[0]["end-to-end"]]]
    deadline = time.monotonic() + LARGE_SECONDS_MAX
    done = small
    for until, step in ((middle, small), (large, max(small, large // 40))):
        costs = []
        while done < until and time.monotonic() < deadline:
            events = min(step, until - done)
            costs.append(grower.together(events, keys, turned=len(costs) % 2 == 1))
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
            costs[keys].append(grower.apart(size, keys))
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
