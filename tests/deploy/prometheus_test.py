"""A real Prometheus scrapes a running daemon through good and bad times: every documented metric is
there, the alerts fire and clear, and each query of the dashboard has an answer."""

import json
import unittest

import prometheus
from prometheus import ROOT, harness

from foreign_client import Stream, ingest_pb2, message, open_channel, rate_limit, usage

MEBIBYTE = 1 << 20

# Panels that rightly show nothing while all is well.
EMPTY_WHEN_WELL = {"Full in", "Refused at the door, by reason"}


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

    settings = {"HOLDFAST_JOURNAL_MAX_BYTES": 64 * MEBIBYTE,
                "HOLDFAST_JOURNAL_SEGMENT_BYTES": 8 * MEBIBYTE,
                "HOLDFAST_DRAIN_TIMEOUT": "2s", "DB_LOCK_WAIT_TIMEOUT": "1s"}

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

    def test_what_operators_see_through_good_and_bad_times(self):
        stream = self.open_stream()
        stream.send(1, [usage(1), message(1), rate_limit(observed=3)])
        stream.wait_committed(3)
        self.a_well_daemon()
        self.trouble_in_the_database(stream)
        self.an_outage()

    def a_well_daemon(self):
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

    def trouble_in_the_database(self, stream):
        """A table that is gone, an id with other content, a bad event, a lock, no sync at COMMIT."""
        database, see = self.database, self.prometheus
        lock = database.session()
        self.addCleanup(lock.close)
        lock.run("BEGIN")
        lock.run("SELECT * FROM usage_stats FOR UPDATE")
        database.sql("RENAME TABLE message TO message_away")
        database.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
        self.kill_sessions_but(lock)
        stream.send(4, [usage(1, cost_micros=999), usage(2), message(2),
                        usage(3, key="k" * 4000)])
        stream.wait_journaled(7)
        see.wait_firing("HoldfastLaneStopped", "HoldfastEventsRefused", "HoldfastLockWaits",
                        "HoldfastCommitsNotDurable")
        lock.run("ROLLBACK")
        see.wait_firing("HoldfastQuarantineGrowing")

        database.sql("RENAME TABLE message_away TO message")
        database.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
        self.kill_sessions_but(lock)
        self.daemon.wait_drained()

    def kill_sessions_but(self, kept):
        """New connections, so that the daemon sees the server as it is now."""
        mine = kept.run("SELECT CONNECTION_ID()")[0]
        for (number,) in self.database.sql(
                "SELECT id FROM information_schema.PROCESSLIST WHERE db = 'holdfast' "
                f"AND id NOT IN (CONNECTION_ID(), {mine})"):
            self.database.sql(f"KILL {number}")

    def an_outage(self):
        """The database is away until the journal is full; then the daemon is told to end."""
        see = self.prometheus
        self.database.stop()
        stream = self.open_stream()
        sent = 0
        while not stream.end:
            events = [message(100 + sent + n, conversation=n, raw_json="x" * (900 << 10))
                      for n in range(4)]
            stream.send(sent + 1, events)
            sent += len(events)
            harness.wait_for(lambda: stream.end or stream.journaled >= sent, "an answer")
        see.wait_firing("HoldfastBreakerOpen", "HoldfastOldestPendingEventTooOld",
                        "HoldfastJournalNearlyFull", "HoldfastJournalFull")
        self.assertEqual(self.daemon.terminate(), 75)
        see.wait_firing("HoldfastDown", "HoldfastDrainLeftEvents", "HoldfastNotScraped")

        self.database.start()
        self.daemon.start()
        self.daemon.wait_drained()
        see.wait_quiet()


if __name__ == "__main__":
    unittest.main()
