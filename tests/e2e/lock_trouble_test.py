"""Another session's locks: a deadlock and a lock wait show as retries in the metrics, and nowhere
else."""

import unittest

import harness
from foreign_client import Stream, open_channel, usage

SETTLED = {"holdfast_events_quarantined_total", "holdfast_events_refused_total",
           "holdfast_commits_unknown_total", "holdfast_lane_stopped", "holdfast_breaker_state",
           "holdfast_journal_poisoned", "holdfast_pool_timeouts_total"}


class LockTroubleTest(harness.DaemonTest):

    def setUp(self):
        super().setUp()
        self.daemon.start()
        channel = open_channel(self.daemon)
        self.addCleanup(channel.close)
        self.stream = Stream(channel)
        self.addCleanup(self.stream.cancel)
        self.stream.wait_welcome()
        self.stream.send(1, [usage(1)])  # Makes the counter's row and the lane's.
        self.stream.wait_committed(1)
        self.other = self.database.session()
        self.addCleanup(self.other.close)

    def lane_waits_for_a_lock(self):
        return self.database.number("SELECT COUNT(*) FROM information_schema.innodb_trx "
                                    "WHERE trx_state = 'LOCK WAIT'")

    def retries(self, error_number):
        return self.daemon.metrics().sum("holdfast_retries_total", errno=str(error_number))

    def assert_nothing_else_is_seen(self, errno):
        self.stream.wait_committed(101)
        self.assertEqual(self.stream.errors, {})
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM usage_records"), 101)
        self.assertEqual(self.database.sql("SELECT requests, input_tokens FROM usage_stats"),
                         [("101", "1010")])
        self.assert_books(self.daemon, accepted=101, committed=101, quarantined=0, duplicate=0)
        metrics = self.daemon.metrics()
        for name in SETTLED:
            self.assertEqual(metrics.sum(name), 0, name)
        # On a slow machine a deadlock's locks are held long enough for a lock wait too.
        self.assertGreaterEqual(metrics.sum("holdfast_retries_total", errno=str(errno)), 1)
        self.assertEqual(metrics.sum("holdfast_retries_total"),
                         sum(metrics.sum("holdfast_retries_total", errno=number)
                             for number in ("1205", "1213")))
        self.assertEqual(self.daemon.log_lines("error"), [])
        self.assertEqual(self.daemon.page("/readyz")[0], 200)

    def test_a_lock_wait_is_a_retry_and_nothing_else(self):
        self.other.run("BEGIN")
        self.other.run("SELECT requests FROM usage_stats FOR UPDATE")
        self.stream.send(2, [usage(number) for number in range(2, 102)])
        harness.wait_for(lambda: self.retries(1205) >= 1, "a retry for 1205")
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM usage_records"), 1)
        self.other.run("ROLLBACK")
        self.assert_nothing_else_is_seen(1205)

    def test_a_deadlock_is_a_retry_and_nothing_else(self):
        # Many changed rows make this session the heavier one, so that the server ends the other.
        self.database.sql("CREATE TABLE ballast (id INT PRIMARY KEY)")
        self.other.run("BEGIN")
        self.other.run("INSERT INTO ballast SELECT seq FROM seq_1_to_20000")
        self.other.run("SELECT requests FROM usage_stats FOR UPDATE")
        self.stream.send(2, [usage(number) for number in range(2, 102)])
        # That table is not refreshed for anyone who looks more often than every 100 ms.
        harness.wait_for(self.lane_waits_for_a_lock, "the lane to wait for the counter's row",
                         interval=0.3)
        self.other.run("SELECT COUNT(*) FROM (SELECT * FROM holdfast_lanes FOR UPDATE) held")
        harness.wait_for(lambda: self.retries(1213) >= 1, "a retry for 1213")
        self.other.run("ROLLBACK")
        self.assertGreaterEqual(self.daemon.metrics().sum("holdfast_deadlocks_total"), 1)
        self.assert_nothing_else_is_seen(1213)


if __name__ == "__main__":
    unittest.main()
