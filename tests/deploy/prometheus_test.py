"""A real Prometheus scrapes a running daemon: every documented metric is there, each query of the
dashboard has an answer, and no alert fires while all is well. alerts_test.py has the bad times."""

import json
import unittest

import prometheus
from prometheus import ROOT, harness

from foreign_client import Stream, ingest_pb2, message, open_channel, rate_limit, usage

# Panels that rightly show nothing while all is well.
EMPTY_WHEN_WELL = {"Full in", "Last failed write", "Refused at the door, by reason"}


def queries_of(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def filled_in(expression):
    """A query as Grafana would send it: everything selected, over a time that a test can wait."""
    for variable, value in (("$__rate_interval", "10s"), ("[10m]", "[10s]"), ("$job", ".*"),
                            ("$instance", ".*")):
        expression = expression.replace(variable, value)
    return expression


class PrometheusTest(harness.DaemonTest):

    def setUp(self):
        super().setUp()
        self.daemon.start()
        self.prometheus = prometheus.Prometheus(self.folder, f"127.0.0.1:{self.daemon.port}")
        self.addCleanup(self.prometheus.stop)
        self.prometheus.start()

    def open_stream(self):
        channel = open_channel(self.daemon)
        self.addCleanup(channel.close)
        stream = Stream(channel, ack_level=ingest_pb2.ACK_LEVEL_JOURNALED)
        self.addCleanup(stream.cancel)
        stream.wait_welcome()
        return stream

    def test_a_well_daemon_shows_everything_and_alarms_nobody(self):
        stream = self.open_stream()
        stream.send(1, [usage(1), message(1), rate_limit(observed=3)])
        stream.wait_committed(3)
        see = self.prometheus
        harness.wait_for(lambda: (see.value("sum(holdfast_events_committed_total)") or 0) >= 3,
                         "the scrape that shows the events")
        # Two scrapes, or no rate has a value yet.
        harness.wait_for(lambda: see.query("rate(process_cpu_seconds_total[10s])"), "a rate")
        see.wait_quiet()
        for rule in see.rules():
            self.assertEqual(rule["health"], "ok", rule)
            self.assertEqual(rule.get("lastError", ""), "", rule)

        # A gateway's call that has not ended, and a lane without events, have no series.
        seen = prometheus.families_of(" ".join(see.names()))
        documented = set(prometheus.documented_metrics())
        self.assertEqual(seen - documented, set(), "exported, and not in deploy/METRICS.md")
        self.assertEqual(documented - seen, {"holdfast_requests_total"}, "documented only")

        with open(ROOT / "deploy/grafana/holdfast.json", encoding="utf-8") as file:
            dashboard = json.load(file)
        asked = 0
        for title, expression in queries_of(dashboard):
            with self.subTest(panel=title, query=expression):
                answer = see.query(filled_in(expression))
                asked += 1
                if title not in EMPTY_WHEN_WELL and "holdfast_requests_total" not in expression:
                    self.assertTrue(answer, "no data")
        self.assertGreater(asked, 50)


if __name__ == "__main__":
    unittest.main()
