"""Every alert fires and clears in a real Prometheus that scrapes running daemons: for each the
cause is brought about in a real database, disk, process or gateway, and taken away again.

The rules are those of deploy/prometheus/alerts.yaml, with every duration divided
(prometheus.scaled). Scenarios run side by side, each with a daemon and tables of its own. ALERTS
says for each alert what makes it fire and what makes it clear.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import re
import resource
import signal
import sys
import threading
import time
import unittest

import yaml

import prometheus
from prometheus import ROOT, RULES, harness

from foreign_client import Stream, ingest_pb2, message, open_channel, usage

sys.path += [str(ROOT / "tests/chaos"), str(ROOT / "tests/hostile")]
import raw_http2  # noqa: E402  pylint: disable=wrong-import-position
from frame import segments  # noqa: E402  pylint: disable=wrong-import-position
from frame.daemon import Daemon  # noqa: E402  pylint: disable=wrong-import-position

# At a time; more would only wait for the processors.
SCENARIOS_AT_A_TIME = 6
SMALL_JOURNAL = {"HOLDFAST_JOURNAL_MAX_BYTES": "8MiB", "HOLDFAST_JOURNAL_SEGMENT_BYTES": "1MiB",
                 "HOLDFAST_PRODUCERS_MAX": "1000"}
JOURNAL_FAILED, EVENTS_LEFT = 74, 75

# Alert: the scenario, what makes it fire, what makes it clear.
ALERTS = {
    "HoldfastNotScraped": (
        "nothing_to_scrape", "Prometheus finds no target", "it finds one"),
    "HoldfastDown": (
        "ends_and_comes_back", "the daemon is killed", "it is started again"),
    "HoldfastRestarting": (
        "ends_and_comes_back", "it is killed and started again and again", "it stays"),
    "HoldfastCommitsNotDurable": (
        "outage", "innodb_flush_log_at_trx_commit is 2", "it is 1"),
    "HoldfastBreakerOpen": (
        "outage", "the database is stopped", "it is started"),
    "HoldfastOldestPendingEventTooOld": (
        "outage", "the database is stopped", "it is started"),
    "HoldfastJournalNearlyFull": (
        "outage", "events come while the database is stopped", "it is started"),
    "HoldfastJournalFull": (
        "outage", "they come until HOLDFAST_JOURNAL_MAX_BYTES", "the database is started"),
    "HoldfastDrainLeftEvents": (
        "outage", "SIGTERM while the database is stopped", "both are started"),
    "HoldfastLaneStopped": (
        "wrong_tables", "a table is renamed", "it is renamed back"),
    "HoldfastLaneReseated": (
        "restored_backup", "the tables are as they were before some commits", "none is lost again"),
    "HoldfastEventsRefused": (
        "wrong_gateways", "a gateway sends a key that is too long", "it sends no other"),
    "HoldfastQuarantineGrowing": (
        "wrong_gateways", "a gateway uses an id twice, with other content", "it does not again"),
    "HoldfastConnectionsRefused": (
        "wrong_gateways", "a gateway opens more than HOLDFAST_PEER_CONNECTIONS_MAX",
        "it opens no more"),
    "HoldfastStreamsStalled": (
        "slow_disk", "gateways send more than a slow disk syncs", "they end"),
    "HoldfastJournalSlow": (
        "slow_disk", "every fdatasync takes 0.15 s longer", "it is as fast as the disk again"),
    "HoldfastJournalPoisoned": (
        "failing_disk", "an fdatasync fails with EIO, and no scrape sees the process after that",
        "it was a quarter of an hour ago"),
    "HoldfastJournalDamaged": (
        "damaged_journal", "a bit of a segment flips while the daemon is away",
        "its next start without that segment"),
    "HoldfastPoolExhausted": (
        "held_lock", "the only connection waits for a lock", "the lock is given up"),
    "HoldfastLockWaits": (
        "held_lock", "another session holds rows of ours", "it gives them up"),
    "HoldfastDeadlocks": (
        "rival", "another session takes our rows in the other order, all the time", "it ends"),
    "HoldfastSlowStatements": (
        "slow_table", "a trigger sleeps in every insert", "it is dropped"),
    "HoldfastFilesRunningOut": (
        "many_connections", "gateways' connections take nearly all descriptors", "they are closed"),
}
# Alert: why no running daemon can be brought to it. alerts_test.yaml, for promtool, has all alerts.
PROMTOOL_ONLY = {}


def rules():
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


class Seen:
    """What one scenario sees of its alerts, and when."""

    def __init__(self, see, daemon, log):
        self._see = see
        self._instance = f"127.0.0.1:{daemon.port}" if daemon else None
        self._log = log

    def quiet(self, *names):
        """None of these fires before its cause."""
        if self._instance:
            harness.wait_for(lambda: self._see.value(f'up{{instance="{self._instance}"}}') == 1,
                             f"a scrape of {self._instance}")
        early = self._see.alerts(self._instance).keys() & set(names)
        if early:
            raise AssertionError(f"before there was a cause: {sorted(early)}")
        self._note("quiet", names)

    def firing(self, *names):
        harness.wait_for(lambda: set(names) <= self._see.alerts(self._instance).keys(),
                         f"{sorted(names)} of {self._instance} to fire; see {self._see.folder}",
                         interval=0.2)
        self._note("firing", names)
        for name in names:
            alert = self._see.alerts(self._instance).get(name)
            words = alert["annotations"]["summary"] + alert["annotations"]["description"] \
                if alert else ""
            for wrong in ("<error", "<no value>", "%!", "{{"):
                if wrong in words:
                    raise AssertionError(f"{name} says: {words}")

    def cleared(self, *names):
        harness.wait_for(lambda: not set(names) & self._see.alerts(self._instance).keys(),
                         f"{sorted(names)} of {self._instance} to clear; see {self._see.folder}",
                         interval=0.2)
        self._note("cleared", names)

    def _note(self, what, names):
        for name in names:
            self._log.setdefault(name, {}).setdefault(what, time.monotonic())


class Feed(threading.Thread):
    """A gateway that sends, a batch at a time, until it is halted. `ahead`: so many batches are on
    their way to the journal, or, if 0, the next one waits for the last one's COMMIT."""

    def __init__(self, stack, daemon, make, ahead=8):
        super().__init__(daemon=True)
        channel = open_channel(daemon)
        stack.callback(channel.close)
        self.stream = Stream(channel, ack_level=ingest_pb2.ACK_LEVEL_JOURNALED)
        stack.callback(self.stream.cancel)
        self.stream.wait_welcome()
        self._make = make
        self._ahead = ahead
        self._halted = threading.Event()
        stack.callback(self.halt)
        self.start()

    def run(self):
        sent, number, ends = 0, 0, []
        while not self._halted.is_set() and not self.stream.end:
            if ends and self._reached() < ends[-1 - min(self._ahead, len(ends) - 1)]:
                self._halted.wait(0.005)
                continue
            events = self._make(number)
            self.stream.send(sent + 1, events)
            sent, number = sent + len(events), number + 1
            ends.append(sent)

    def _reached(self):
        return self.stream.journaled if self._ahead else self.stream.committed

    def halt(self):
        self._halted.set()
        self.join()


class AlertsTest(unittest.TestCase):

    def test_every_alert_has_its_place_in_the_table(self):
        self.assertEqual(sorted([*ALERTS, *PROMTOOL_ONLY]), sorted(rules()))
        for name, (scenario, cause, end) in ALERTS.items():
            self.assertTrue(callable(getattr(Scenarios, scenario)), name)
            self.assertTrue(cause and end, name)

    def test_the_scaled_rules_differ_in_their_durations_alone(self):
        text = prometheus.scaled(RULES.read_text())
        groups = yaml.safe_load(text)["groups"]
        durations = rf"\[\w+\]|{prometheus.AGE}"
        for new in (rule for group in groups for rule in group["rules"]):
            old = rules()[new["alert"]]
            with self.subTest(alert=new["alert"]):
                self.assertEqual({**new, "expr": "", "for": ""}, {**old, "expr": "", "for": ""})
                self.assertEqual(re.sub(durations, "", new["expr"]),
                                 re.sub(durations, "", old["expr"]))
                def spoken_of(rule):
                    return [prometheus.milliseconds(duration) for duration in (
                        *re.findall(r"\[(\w+)\]", rule["expr"]), rule.get("for", "0s"),
                        *(f"{age}s" for age in re.findall(prometheus.AGE, rule["expr"])))]
                self.assertEqual(spoken_of(old),
                                 [prometheus.FACTOR * duration for duration in spoken_of(new)])

    def test_each_fires_for_its_cause_and_clears_without_it(self):
        with Scenarios() as scenarios:
            failures = scenarios.run_all()
            log = scenarios.log
        for name, (scenario, cause, end) in ALERTS.items():
            with self.subTest(alert=name, fires=cause, clears=end):
                if scenario in failures:
                    raise failures[scenario]
                times = log.get(name, {})
                self.assertEqual(list(times), ["quiet", "firing", "cleared"])
                print(f"{name}: fired after {times['firing'] - times['quiet']:.0f} s ({cause}), "
                      f"cleared after {times['cleared'] - times['firing']:.0f} s ({end})")


class Scenarios(contextlib.ExitStack):
    """The servers that all share, and what is done to each daemon."""

    def __init__(self):
        super().__init__()
        folder = harness.Folder()
        self.callback(folder.remove)
        self.folder = folder.path
        self.see = prometheus.Prometheus(self.folder)
        self.callback(self.see.stop)
        # One that nothing general is done to, and one for all to be without.
        self.database = harness.Database(self.folder)
        (self.folder / "other").mkdir()
        self.other_database = harness.Database(self.folder / "other")
        self.log = {}

    def run_all(self):
        """Runs every scenario; returns what was raised, by the scenario's name."""
        names = list(dict.fromkeys(scenario for scenario, _, _ in ALERTS.values()))
        # It is first, and without any other: its target is that of the next.
        names.remove("nothing_to_scrape")
        failures = {}
        for database in (self.database, self.other_database):
            self.callback(database.stop)
            database.start_without_waiting()
        self.see.start()
        with concurrent.futures.ThreadPoolExecutor(SCENARIOS_AT_A_TIME) as pool:
            try:
                waits_for_targets = self.nothing_to_scrape()
                for database in (self.database, self.other_database):
                    database.start()
                # The longest first.
                names.sort(key=["outage", "slow_disk", "rival", "slow_table"].__contains__,
                           reverse=True)
                runs = {name: pool.submit(self.run_one, name) for name in names}
                waits_for_targets()
            except AssertionError as error:
                return {"nothing_to_scrape": error}
            for name, run in runs.items():
                if run.exception():
                    failures[name] = run.exception()
        return failures

    def run_one(self, name):
        with contextlib.ExitStack() as stack:
            getattr(self, name)(stack)

    def daemon(self, stack, name, database=None, before=None, **settings):
        """A daemon that is ready and scraped, what its alerts do."""
        daemon = Daemon(self.folder, database or self.database, name, schema=name,
                        **{"HOLDFAST_LANES_PER_KIND": 1, **settings})
        daemon.before = before
        stack.callback(daemon.stop)
        daemon.migrate()
        daemon.start(ready=True)
        target = f"127.0.0.1:{daemon.port}"
        self.see.scrape(target)
        stack.callback(self.see.forget, target)
        return daemon, Seen(self.see, daemon, self.log)

    @staticmethod
    def stream(stack, daemon):
        channel = open_channel(daemon)
        stack.callback(channel.close)
        stream = Stream(channel, ack_level=ingest_pb2.ACK_LEVEL_JOURNALED)
        stack.callback(stream.cancel)
        stream.wait_welcome()
        return stream

    # --- is it there ------------------------------------------------------------------------------

    def nothing_to_scrape(self):
        """Returns what waits until there is something."""
        seen = Seen(self.see, None, self.log)
        seen.quiet("HoldfastNotScraped")
        seen.firing("HoldfastNotScraped")
        return lambda: seen.cleared("HoldfastNotScraped")

    def ends_and_comes_back(self, stack):
        daemon, seen = self.daemon(stack, "ends")
        seen.quiet("HoldfastDown", "HoldfastRestarting")
        daemon.kill()
        seen.firing("HoldfastDown")
        daemon.start()
        seen.cleared("HoldfastDown")

        started = f'process_start_time_seconds{{instance="127.0.0.1:{daemon.port}"}}'
        while "HoldfastRestarting" not in self.see.alerts(f"127.0.0.1:{daemon.port}"):
            before = self.see.value(started)
            daemon.kill()
            daemon.start()
            harness.wait_for(lambda: self.see.value(started) not in (None, before),
                             "a scrape after the restart")
        seen.firing("HoldfastRestarting")
        seen.cleared("HoldfastRestarting")

    # --- the database -----------------------------------------------------------------------------

    def outage(self, stack):
        """Its commits are not durable for a time; then it is away until the journal is full, and
        once more while the daemon is told to end."""
        database = self.other_database
        daemon, seen = self.daemon(stack, "outage", database, HOLDFAST_DRAIN_TIMEOUT="3s",
                                   **SMALL_JOURNAL)
        seen.quiet("HoldfastCommitsNotDurable")
        self.sync_at_commit(database, 2)
        seen.firing("HoldfastCommitsNotDurable")
        self.sync_at_commit(database, 1)
        seen.cleared("HoldfastCommitsNotDurable")

        away = ("HoldfastBreakerOpen", "HoldfastOldestPendingEventTooOld",
                "HoldfastJournalNearlyFull", "HoldfastJournalFull")
        seen.quiet(*away)
        database.stop()
        self.fill_journal(stack, daemon)
        seen.firing(*away)
        database.start()
        seen.cleared(*away)
        daemon.wait_drained()

        seen.quiet("HoldfastDrainLeftEvents")
        database.stop()
        stream = self.stream(stack, daemon)
        stream.send(1, [message(1), message(2)])
        stream.wait_journaled(2)
        status = daemon.terminate()
        if status != EVENTS_LEFT:
            raise AssertionError(f"ended with {status}: {daemon.log_tail()}")
        seen.firing("HoldfastDrainLeftEvents")
        database.start()
        daemon.start(ready=True)
        seen.cleared("HoldfastDrainLeftEvents")
        daemon.wait_drained()

    @staticmethod
    def sync_at_commit(database, value):
        """The daemon sees it on its next connections."""
        database.sql(f"SET GLOBAL innodb_flush_log_at_trx_commit = {value}", None)
        for (number,) in database.sql("SELECT id FROM information_schema.PROCESSLIST "
                                      "WHERE db = 'outage'", None):
            database.sql(f"KILL {number}", None)

    def fill_journal(self, stack, daemon):
        stream = self.stream(stack, daemon)
        sent = 0
        while not stream.end:
            stream.send(sent + 1, [message(100 + sent, conversation=sent,
                                           raw_json="x" * (200 << 10))])
            sent += 1
            harness.wait_for(lambda: stream.end or stream.journaled >= sent, "an answer")

    def wrong_tables(self, stack):
        daemon, seen = self.daemon(stack, "tables")
        seen.quiet("HoldfastLaneStopped")
        self.database.sql("RENAME TABLE message TO message_away", "tables")
        stream = self.stream(stack, daemon)
        stream.send(1, [message(1)])
        stream.wait_journaled(1)
        seen.firing("HoldfastLaneStopped")
        self.database.sql("RENAME TABLE message_away TO message", "tables")
        seen.cleared("HoldfastLaneStopped")
        stream.wait_committed(1)

    def restored_backup(self, stack):
        daemon, seen = self.daemon(stack, "restored", HOLDFAST_LANE_LOOK_EVERY="1s")
        stream = self.stream(stack, daemon)
        stream.send(1, [usage(1)])
        stream.wait_committed(1)
        for table in ("holdfast_lanes", "usage_records", "usage_stats"):
            self.database.sql(f"CREATE TABLE then_{table} AS SELECT * FROM {table}", "restored")
        stream.send(2, [usage(2), usage(3)])
        stream.wait_committed(3)
        seen.quiet("HoldfastLaneReseated")
        self.database.sql("START TRANSACTION;" + "".join(
            f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM then_{table};"
            for table in ("holdfast_lanes", "usage_records", "usage_stats")) + "COMMIT",
                          "restored")
        seen.firing("HoldfastLaneReseated")
        harness.wait_for(
            lambda: self.database.number("SELECT COUNT(*) FROM usage_records", "restored") == 3,
            "the journal to repeat what was lost")
        seen.cleared("HoldfastLaneReseated")

    def held_lock(self, stack):
        """Somebody holds rows of ours, and there is one connection for all lanes."""
        daemon, seen = self.daemon(stack, "locked", DB_POOL_SIZE=1, DB_MAX_OVERFLOW=0,
                                   DB_POOL_TIMEOUT="500ms", DB_LOCK_WAIT_TIMEOUT="1s")
        Feed(stack, daemon, lambda number: [usage(number), message(number)], ahead=0)
        harness.wait_for(lambda: self.database.number("SELECT COUNT(*) FROM usage_stats", "locked"),
                         "a row to lock")
        seen.quiet("HoldfastPoolExhausted", "HoldfastLockWaits")
        other = self.database.session("locked")
        stack.callback(other.close)
        other.run("BEGIN")
        other.run("SELECT * FROM usage_stats FOR UPDATE")
        seen.firing("HoldfastPoolExhausted", "HoldfastLockWaits")
        other.run("ROLLBACK")
        seen.cleared("HoldfastPoolExhausted", "HoldfastLockWaits")

    def rival(self, stack):
        """Another session takes the counters' rows and then the lanes', the other way round than
        the daemon; having changed more rows, it is never the one to be rolled back."""
        daemon, seen = self.daemon(stack, "rival", HOLDFAST_LANES_PER_KIND=4)
        self.database.sql("CREATE TABLE ballast (id INT PRIMARY KEY)", "rival")
        Feed(stack, daemon, lambda number: [usage(f"{number} {key}", key=f"key-{key}")
                                            for key in range(16)], ahead=4)
        seen.quiet("HoldfastDeadlocks")
        ended = threading.Event()
        other = self.database.session("rival")
        stack.callback(other.close)
        rival = threading.Thread(target=self.lock_and_lock, args=(other, ended), daemon=True)
        rival.start()
        stack.callback(rival.join)
        stack.callback(ended.set)
        seen.firing("HoldfastDeadlocks")
        ended.set()
        seen.cleared("HoldfastDeadlocks")

    @staticmethod
    def lock_and_lock(other, ended):
        while not ended.is_set():
            other.run("BEGIN")
            other.run("INSERT INTO ballast SELECT seq FROM seq_1_to_2000")
            other.run("SELECT COUNT(*) FROM (SELECT * FROM usage_stats FOR UPDATE) held")
            # Long enough for a transaction of each lane to come to its rows there.
            other.run("DO SLEEP(0.05)")
            other.run("SELECT COUNT(*) FROM (SELECT * FROM holdfast_lanes FOR UPDATE) held")
            other.run("ROLLBACK")
            # And for one to succeed: the more failures in a row, the later the next attempt.
            other.run("DO SLEEP(0.03)")

    def slow_table(self, stack):
        daemon, seen = self.daemon(stack, "slow", DB_SLOW_STATEMENT="200ms")
        Feed(stack, daemon, lambda number: [message(number)], ahead=0)
        seen.quiet("HoldfastSlowStatements")
        self.database.sql("CREATE TRIGGER slow BEFORE INSERT ON message FOR EACH ROW DO SLEEP(0.3)",
                          "slow")
        seen.firing("HoldfastSlowStatements")
        self.database.sql("DROP TRIGGER slow", "slow")
        seen.cleared("HoldfastSlowStatements")

    # --- gateways ---------------------------------------------------------------------------------

    def wrong_gateways(self, stack):
        alerts = ("HoldfastEventsRefused", "HoldfastQuarantineGrowing",
                  "HoldfastConnectionsRefused")
        daemon, seen = self.daemon(stack, "gateways", HOLDFAST_PEER_CONNECTIONS_MAX=8)
        stream = self.stream(stack, daemon)
        stream.send(1, [usage(1)])
        stream.wait_committed(1)
        seen.quiet(*alerts)
        stream.send(2, [usage(2, key="k" * 4000), usage(1, cost_micros=999)])
        for _ in range(12):
            peer = raw_http2.connect(daemon.target)
            stack.callback(peer.close)
        seen.firing(*alerts)
        seen.cleared(*alerts)

    def many_connections(self, stack):
        def few_files():
            resource.setrlimit(resource.RLIMIT_NOFILE, (600, 600))
        daemon, seen = self.daemon(stack, "files", before=few_files, HOLDFAST_CONNECTIONS_MAX=1000,
                                   HOLDFAST_PEER_CONNECTIONS_MAX=1000)
        seen.quiet("HoldfastFilesRunningOut")
        with contextlib.ExitStack() as gateways:
            while (metrics := daemon.metrics()).sum("process_open_fds") < 500:
                for _ in range(10):
                    gateways.callback(raw_http2.Connection(daemon.target).close)
                if metrics.sum("holdfast_connections_refused_total"):
                    raise AssertionError(f"refused with {metrics.sum('process_open_fds'):.0f} open")
            seen.firing("HoldfastFilesRunningOut")
        seen.cleared("HoldfastFilesRunningOut")

    # --- the disk ---------------------------------------------------------------------------------

    def slow_disk(self, stack):
        daemon, seen = self.daemon(stack, "disk")
        seen.quiet("HoldfastJournalSlow", "HoldfastStreamsStalled")
        daemon.terminate()
        daemon.trace("fdatasync:delay_enter=150000")
        daemon.prefix.append("-I2")  # The tracer may be ended.
        daemon.start(ready=True)
        # More than the daemon lets wait for the journal.
        feeds = [Feed(stack, daemon, lambda number, key=key: [usage(f"{key} {number}")], ahead=200)
                 for key in range(2)]
        seen.firing("HoldfastJournalSlow", "HoldfastStreamsStalled")
        self.detach_tracer(daemon)
        seen.cleared("HoldfastJournalSlow")
        for feed in feeds:
            feed.halt()
        seen.cleared("HoldfastStreamsStalled")

    @staticmethod
    def detach_tracer(daemon):
        """The daemon goes on, and its system calls are its own again."""
        def tracer():
            with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as status:
                return int(next(line for line in status if line.startswith("TracerPid")).split()[1])
        os.kill(tracer(), signal.SIGTERM)
        harness.wait_for(lambda: tracer() == 0, "the tracer to let go")

    def failing_disk(self, stack):
        daemon, seen = self.daemon(stack, "failing")
        seen.quiet("HoldfastJournalPoisoned")
        daemon.terminate()
        # Counted in each thread by itself: a start makes fewer.
        daemon.trace("fdatasync:error=EIO:when=30")
        daemon.start(ready=True)
        # Seldom does a scrape fall into the second that is left then.
        target = f"127.0.0.1:{daemon.port}"
        self.see.forget(target)
        harness.wait_for(lambda: not self.see.query(f'up{{instance="{target}"}}'), "no more scrape")
        Feed(stack, daemon, lambda number: [usage(number)], ahead=0)
        status = daemon.wait_end()
        if status != JOURNAL_FAILED:
            raise AssertionError(f"ended with {status}: {daemon.log_tail()}")
        daemon.trace()
        daemon.start_without_waiting()
        self.see.scrape(target)
        seen.firing("HoldfastJournalPoisoned")
        daemon.wait_drained()
        seen.cleared("HoldfastJournalPoisoned")

    def damaged_journal(self, stack):
        daemon, seen = self.daemon(stack, "damaged", HOLDFAST_JOURNAL_RETENTION="0")
        seen.quiet("HoldfastJournalDamaged")
        daemon.terminate()
        # Events that are not delivered yet.
        socket, daemon.settings["MYSQL_SOCKET"] = daemon.settings["MYSQL_SOCKET"], "/nothing"
        daemon.start()
        stream = self.stream(stack, daemon)
        for number in range(1, 6):
            stream.send(number, [usage(number)])
            stream.wait_journaled(number)
        daemon.kill()
        groups = [found for path in segments.paths(daemon.journal)
                  for found in segments.frames(path) if found.kind == "GROUP"]
        with open(groups[1].segment, "r+b") as file:
            file.seek(groups[1].payload_begin)
            flipped = bytes([file.read(1)[0] ^ 1])
            file.seek(groups[1].payload_begin)
            file.write(flipped)
        daemon.settings["MYSQL_SOCKET"] = socket
        daemon.start(ready=True)
        seen.firing("HoldfastJournalDamaged")
        daemon.wait_drained()
        # As long as the file is there, each start finds it damaged.
        harness.wait_for(lambda: not pathlib.Path(groups[1].segment).exists(),
                         f"the damaged segment to go: {groups[1].segment}")
        status = daemon.terminate()
        if status != 0:
            raise AssertionError(f"ended with {status}: {daemon.log_tail()}")
        daemon.start(ready=True)
        seen.cleared("HoldfastJournalDamaged")


if __name__ == "__main__":
    unittest.main()
