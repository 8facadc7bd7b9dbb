"""The documented grants are enough for all that the daemon does, and for nothing else."""

import re
import unittest

import hostile  # First: it says where harness is.
import harness
from hostile import ingest_pb2, ingest_pb2_grpc, usage
from foreign_client import admin_pb2, admin_pb2_grpc, message, rate_limit

GRANTS = harness.ROOT / "sql/grants.sql"
COMMITTED = ingest_pb2.ACK_LEVEL_COMMITTED


class GrantsTest(unittest.TestCase):

    def setUp(self):
        folder = harness.Folder()
        self.addCleanup(folder.remove)
        self.database = harness.Database(folder.path)
        self.addCleanup(self.database.stop)
        self.database.start()
        self.database.sql(
            "CREATE DATABASE gateway_db; CREATE DATABASE another; CREATE TABLE another.t (a INT);"
            "CREATE USER 'holdfast'@'%' IDENTIFIED BY 'of holdfast';"
            "CREATE USER 'holdfast_migrate'@'%' IDENTIFIED BY 'of migrate'", None)
        self.before, self.after = self.statements()
        self.daemon = harness.Daemon(folder.path, self.database, schema="gateway_db",
                                     MYSQL_USER="holdfast", MYSQL_PASSWORD="of holdfast")
        self.addCleanup(self.daemon.stop)

    @staticmethod
    def statements():
        """The grants of the file: those for --migrate, and those that need its tables."""
        lines = [line for line in GRANTS.read_text("utf-8").splitlines()
                 if not line.startswith("--")]
        grants = [text.strip() for text in "\n".join(lines).split(";") if text.strip()]
        return ([text for text in grants if "'holdfast_migrate'" in text],
                [text for text in grants if "'holdfast'" in text])

    def run_as(self, user, statement, database="gateway_db"):
        """The number of the error; None if there is none."""
        arguments = self.database.client(database)
        arguments[arguments.index("--user=root")] = f"--user={user}"
        done = harness.subprocess.run(
            arguments + [f"--password=of {user.removeprefix('holdfast_')}"], input=statement,
            capture_output=True, text=True, check=False)
        return int(re.search(r"^ERROR (\d+)", done.stderr, re.M)[1]) if done.returncode else None

    def test_the_documented_grants_are_enough_and_no_more(self):
        for grant in self.before:
            self.database.sql(grant, None)
        migrated = self.daemon.run("--migrate", MYSQL_USER="holdfast_migrate",
                                   MYSQL_PASSWORD="of migrate")
        self.assertEqual(migrated.returncode, 0, migrated.stderr)
        for grant in self.after:
            self.database.sql(grant, None)

        self.daemon.start()
        channel = hostile.open_channel(self.daemon)
        self.addCleanup(channel.close)
        # New, again, in conflict, refused by the database; a second start takes its lanes back.
        self.database.sql("ALTER TABLE message MODIFY text VARCHAR(10) CHARACTER SET utf8mb4",
                          "gateway_db")
        stub = ingest_pb2_grpc.IngestServiceStub(channel)
        fresh = rate_limit(hits=3, event_id="hit")
        fresh.occurred_at.GetCurrentTime()
        events = [usage(1), usage(1), usage(1, cost_micros=9), message(1, text="short"),
                  message(2, text="too long for it"), rate_limit(observed=4), fresh, fresh]
        outcomes = [result.outcome for result in stub.Write(ingest_pb2.WriteRequest(
            wait_for=COMMITTED, batch=ingest_pb2.EventBatch(events=events)), timeout=60).results]
        kept, aside = ingest_pb2.OUTCOME_COMMITTED, ingest_pb2.OUTCOME_QUARANTINED
        self.assertEqual(outcomes, [kept, kept, aside, kept, aside, kept, kept, kept])
        admin = admin_pb2_grpc.AdminServiceStub(channel)
        listed = admin.ListQuarantine(admin_pb2.ListQuarantineRequest(), timeout=60)
        self.assertEqual(len(listed.events), 2)
        ids = [event.quarantine_id for event in listed.events]
        replayed = admin.ReplayQuarantine(admin_pb2.ReplayQuarantineRequest(
            quarantine_ids=ids, requested_by="somebody"), timeout=60)
        self.assertEqual([result.outcome for result in replayed.results],
                         [admin_pb2.QUARANTINE_OUTCOME_WAITING] * 2)
        discarded = admin.DiscardQuarantine(admin_pb2.DiscardQuarantineRequest(
            quarantine_ids=ids[:1], requested_by="somebody"), timeout=60)
        self.assertEqual([result.outcome for result in discarded.results],
                         [admin_pb2.QUARANTINE_OUTCOME_DISCARDED])
        self.assertEqual(self.daemon.terminate(), 0)
        self.daemon.start()
        self.assertFalse(self.daemon.log_lines("error"), self.daemon.log_tail())
        self.assertFalse([line for line in self.daemon.log_lines("warning") if "denied" in line])

    def test_what_the_grants_do_not_name_is_refused(self):
        for grant in self.before:
            self.database.sql(grant, None)
        self.daemon.run("--migrate", MYSQL_USER="holdfast_migrate", MYSQL_PASSWORD="of migrate")
        for grant in self.after:
            self.database.sql(grant, None)
        self.assertIsNone(self.run_as("holdfast", "SELECT 1 FROM usage_records"))
        refused = {
            "CREATE TABLE mine (a INT)": 1142, "DROP TABLE usage_records": 1142,
            "ALTER TABLE usage_records ADD mine INT": 1142, "TRUNCATE usage_stats": 1142,
            "DELETE FROM usage_records": 1142, "DELETE FROM usage_stats": 1142,
            "DELETE FROM message": 1142, "DELETE FROM holdfast_quarantine": 1142,
            "UPDATE holdfast_schema SET version = 0": 1142,
            "INSERT INTO holdfast_schema VALUES (9, 'x', NOW(), '')": 1142,
            "CREATE INDEX mine ON message (text(5))": 1142,
            "CREATE VIEW mine AS SELECT 1": 1142, "SELECT * FROM cost_stats": 1142,
            "SELECT * FROM another.t": 1142, "INSERT INTO another.t VALUES (1)": 1142,
            "USE another": 1044, "USE mysql": 1044, "CREATE DATABASE mine": 1044,
            "SELECT * FROM mysql.global_priv": 1142, "CREATE USER mine": 1227,
            "SET GLOBAL max_connections = 1": 1227,
            "SELECT LOAD_FILE('/etc/passwd') INTO OUTFILE '/tmp/never'": 1227,
        }
        for statement, number in refused.items():
            with self.subTest(statement):
                self.assertEqual(self.run_as("holdfast", statement), number)
        self.assertEqual(self.run_as("holdfast_migrate", "CREATE TABLE another.mine (a INT)"), 1142)

    def test_without_a_grant_the_lane_stops_and_nothing_is_lost(self):
        for grant in self.before:
            self.database.sql(grant, None)
        self.daemon.run("--migrate", MYSQL_USER="holdfast_migrate", MYSQL_PASSWORD="of migrate")
        missing = [grant for grant in self.after if "usage_stats" in grant]
        for grant in self.after:
            if grant not in missing:
                self.database.sql(grant, None)
        self.daemon.start(ready=False)
        channel = hostile.open_channel(self.daemon)
        self.addCleanup(channel.close)
        stub = ingest_pb2_grpc.IngestServiceStub(channel)
        request = ingest_pb2.WriteRequest(wait_for=ingest_pb2.ACK_LEVEL_JOURNALED,
                                          batch=ingest_pb2.EventBatch(events=[usage(1)]))
        self.assertEqual(stub.Write(request, timeout=60, wait_for_ready=True).results[0].outcome,
                         ingest_pb2.OUTCOME_JOURNALED)
        harness.wait_for(lambda: "usage_stats" in self.daemon.page("/api/v1/status")[1],
                         "the status to name the table")
        for grant in missing:
            self.database.sql(grant, None)
        self.assertEqual(self.daemon.wait_drained(accepted=1)["committed"], 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
