"""What the runbook shows is what is printed: the balance, a damaged journal, the quarantine. And
its contents lead everywhere."""

import re
import subprocess
import unittest

import runbook
from runbook import Section, harness

from foreign_client import Stream, ingest_pb2, ingest_pb2_grpc, message, open_channel, usage
from operators_test import alerts, anchors


class ContentsTest(unittest.TestCase):

    def test_every_link_leads_somewhere_and_every_alert_and_task_is_listed(self):
        text = runbook.PAGE.read_text("utf-8")
        links = set(re.findall(r"\]\(#([\w-]+)\)", text))
        self.assertEqual(links - anchors(runbook.PAGE), set())
        contents = set(re.findall(r"\]\(#([\w-]+)\)", text[:text.index("\n## ")]))
        sections = {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-")
                    for title in re.findall(r"^## (.+)$", text, re.MULTILINE)}
        self.assertEqual(sections - contents, set(), "not in the contents")
        self.assertEqual({alert["alert"].lower() for alert in alerts()} - contents, set())


class ShownTest(runbook.RunbookTest):

    def setUp(self):
        super().setUp()
        self.set_up_database()
        self.daemon.start()

    def write(self, events):
        """As a gateway without a stream."""
        channel = open_channel(self.daemon)
        self.addCleanup(channel.close)
        ingest_pb2_grpc.IngestServiceStub(channel).Write(ingest_pb2.WriteRequest(
            batch=ingest_pb2.EventBatch(events=events),
            wait_for=ingest_pb2.ACK_LEVEL_COMMITTED), timeout=harness.PATIENCE)

    def test_a_balance_that_holds_and_one_that_does_not(self):
        page = Section("Reading the balance")
        self.write([usage(number, key=f"key-{number % 3}") for number in range(333)] + [message(1)])
        command, _, shown = page.block("The balance holds").partition("\n\n")
        self.assert_shown(shown, self.shell(command))
        self.server.sql("UPDATE usage_records SET cost_micros = cost_micros + 7 "
                        "WHERE api_key_id = 'key-1' LIMIT 1", "gateway_db")
        self.assert_shown(page.block("DIFFERS"), self.shell(command, expect=1))
        page.assert_all_used()

    def test_the_quarantine_is_listed_replayed_and_discarded(self):
        page = Section("HoldfastQuarantineGrowing")
        self.server.sql("ALTER TABLE usage_records MODIFY model VARBINARY(16) NOT NULL")
        long = "a model with a long name"
        for events in ([usage(1, model=long)], [usage(2), usage(2, cost_micros=7)],
                       [usage(3, model=long)]):
            self.write(events)

        def both(*having):
            """A block's command, and what the page shows of its answer."""
            command, _, answer = page.block(*having).removeprefix("$ ").partition("\n")
            return command, answer
        command, answer = both("quarantine ls")
        self.assert_shown(answer, self.shell(command, expect=1))
        command, answer = both("quarantine show")
        self.assert_shown(answer.rsplit("{", 2)[0], self.shell(command))
        summary = page.block("GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC")
        self.assertEqual([row[4] for row in self.sql(summary)], ["2", "1"])
        self.server.sql("ALTER TABLE usage_records MODIFY model VARBINARY(128) NOT NULL")
        command, answer = both("quarantine replay")
        said = self.shell(command)
        self.assert_shown(answer, said)
        self.assertRegex(said, r"committed +2\b")
        command, answer = both("quarantine discard")
        said = self.shell(command)
        self.assert_shown(answer, said)
        self.assertEqual(self.sql(summary), [])
        self.audit()
        page.assert_all_used()

    def test_a_damaged_journal_is_looked_into_and_what_is_whole_is_sent_on(self):
        page = Section("HoldfastJournalDamaged")
        self.server.kill()
        channel = open_channel(self.daemon)
        self.addCleanup(channel.close)
        stream = Stream(channel)
        self.addCleanup(stream.cancel)
        for begin in range(0, 105, 15):
            stream.send(begin + 1, [message(number) for number in range(begin, begin + 15)])
            stream.wait_journaled(begin + 15)
        self.daemon.kill()
        folder = self.daemon.folder / "journal"
        segment = sorted(folder.glob("*.jnl"))[-1]
        content = bytearray(segment.read_bytes())
        content[content.index(b"mid.65")] ^= 0x20
        segment.write_bytes(bytes(content))

        command, _, shown = page.block("holdfast journal verify").partition("\n\n")
        said = self.shell(command.replace("FOLDER", str(folder)), expect=2)
        self.assert_shown(shown, said, {"/var/lib/holdfast/journal": folder})

        self.server.start()
        subprocess.run(["cp", "-a", folder, self.folder / "copy"], check=True)
        export, send = page.block("--pending_only").splitlines()
        settings = {name: value for name, value in self.daemon.settings.items()
                    if name.startswith("MYSQL_")}
        self.shell("cd; " + export.replace("COPY", str(self.folder / "copy")), expect=2, **settings)
        other = self.make_daemon("other")
        other.start()
        for _ in range(2):
            self.shell("cd; " + send, daemon=other)
        self.assertEqual(self.server.number("SELECT COUNT(*) FROM message", "gateway_db"), 90)
        page.assert_all_used()

    def test_who_holds_the_lock_that_is_waited_for_is_seen(self):
        page = Section("HoldfastLockWaits")
        blocker = self.server.session("gateway_db")
        self.addCleanup(blocker.close)
        blocker.run("BEGIN")
        blocker.run("SELECT COUNT(*) FROM holdfast_lanes FOR UPDATE")
        own = blocker.run("SELECT CONNECTION_ID()")[0]
        # Idle lanes look at their rows.
        rows = harness.wait_for(lambda: self.sql(page.block("INNODB_LOCK_WAITS")), "a lane to wait")
        self.assertEqual({row[1] for row in rows if row[0] != own}, {own})
        self.sql(f"KILL {own}")
        page.block("performance_schema")  # runbook_secrets_test.py has a MySQL.
        page.assert_all_used()

    def test_the_statements_for_looking_run(self):
        statements = Section("What to do when Holdfast calls").block("holdfast_lanes")
        self.assertIn("usage-0", str(self.sql(statements)))


if __name__ == "__main__":
    unittest.main()
