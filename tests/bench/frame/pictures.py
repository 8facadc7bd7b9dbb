"""The pictures of the results page."""

from frame.chart import Chart

BUCKET_GROWTH = 1.1  # As holdfast-bench's histograms.
WINDOW_SECONDS = 0.5
WAYS = {"sync and call": ("a", "fdatasync and an empty call"), "journaled": ("b", "journaled ack"),
        "transaction": ("c", "bare transaction"), "committed": ("d", "committed ack")}


def _median(histogram):
    total, seen = sum(samples for _, samples in histogram), 0
    for bound, samples in histogram:
        seen += samples
        if seen * 2 >= total:
            return bound
    return 0


def latency(histograms, path):
    """A panel for each acknowledgement level and what it is compared with."""
    shown = [way for way in WAYS if way in histograms]
    bounds = [bound for way in shown for bound, _ in histograms[way]]
    chart = Chart("How long one event takes", len(shown), 84,
                  (max(10, min(bounds) / BUCKET_GROWTH), max(bounds)), "microseconds", True)
    for way in shown:
        kind, label = WAYS[way]
        histogram = histograms[way]
        total = sum(samples for _, samples in histogram)
        shares = [(bound / BUCKET_GROWTH, bound, 100 * samples / total)
                  for bound, samples in histogram]
        panel = chart.panel((0, max(share for _, _, share in shares) * 1.15),
                            f"{label}, % of {total} events")
        panel.columns(kind, shares)
        panel.mark(kind, _median(histogram), f"p50 {_median(histogram):.0f}")
    chart.write(path)


def _rates(samples, column):
    """Events a second over windows: [(time, rate), ...]."""
    points, begin = [], samples[0]
    for sample in samples[1:]:
        if sample[0] - begin[0] >= WINDOW_SECONDS:
            points.append(((sample[0] + begin[0]) / 2,
                           (sample[column] - begin[column]) / (sample[0] - begin[0])))
            begin = sample
    return points


def outage(found, path):
    """Throughput and what is pending, while the database is killed and comes back."""
    samples, moments = found["samples"], found["moments"]
    journaled, committed = (_rates(samples, column) for column in (1, 2))
    chart = Chart("The database is killed and started again", 2, 150, (0, samples[-1][0]),
                  "seconds")
    chart.legend({"a": "journaled", "b": "committed"})
    highest = max(rate for _, rate in journaled + committed)
    rates = chart.panel((100, max(highest * 1.3, 1000)), "events a second (at the bottom: none)",
                        True)
    pending = [(now, accepted - done) for now, accepted, done in samples]
    below = chart.panel((0, max(count for _, count in pending) * 1.1 + 1), "events pending")
    for panel in (rates, below):
        panel.band(moments["killed"], moments["started"])
    rates.line("a", journaled)
    rates.line("b", committed)
    below.line("c", pending)
    chart.write(path)


def growth(curve, path):
    """What an event costs as the table grows, in both ways."""
    chart = Chart("Cost of an event as the table grows", 1, 240, (0, curve[-1][0]),
                  "events in the table")
    chart.legend({"a": "in-process writer", "b": "through the daemon"})
    highest = max(max(costs) for _, *costs in curve)
    panel = chart.panel((0, highest * 1.1), "microseconds for each event")
    panel.line("a", [(events, cost) for events, cost, _ in curve])
    panel.line("b", [(events, cost) for events, _, cost in curve])
    chart.write(path)


def draw(beside, folder):
    """All that there is data for; returns their names and captions."""
    drawn = []
    for name, draw_one, caption in (
            ("latency", latency, "Latency of one event, over all rounds"),
            ("outage", outage, "Throughput through an outage"),
            ("growth", growth, "Cost of an event as the work grows")):
        if beside.get(name):
            draw_one(beside[name], folder / f"{name}.svg")
            drawn.append((f"{name}.svg", caption))
    return drawn
