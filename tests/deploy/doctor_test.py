"""`holdfast doctor` names what is wrong and what to do about it, on a real server with real faults;
and says that all is well where it is."""

import contextlib
import json
import os
import subprocess
import sys
import unittest

from prometheus import harness

from foreign_client import ingest_pb2, ingest_pb2_grpc, open_channel, rate_limit

WELL, WARNINGS, PROBLEMS, USAGE = 0, 1, 2, 64
PASSWORD = "of the daemon's account alone"


class DoctorTest(unittest.TestCase):
    """One server and one daemon for all; each test takes back what it broke."""

    @classmethod
    def setUpClass(cls):
        folder = harness.Folder()
        cls.addClassCleanup(folder.remove)
        cls.folder = folder.path
        cls.database = harness.Database(cls.folder)
        cls.addClassCleanup(cls.database.stop)
        cls.database.start()
        cls.database.sql(f"CREATE USER 'holdfast'@'%' IDENTIFIED BY \"{PASSWORD}\"", None)
        cls.daemon = harness.Daemon(cls.folder, cls.database, schema="gateway_db",
                                    MYSQL_USER="holdfast", MYSQL_PASSWORD=PASSWORD,
                                    DB_LOCK_WAIT_TIMEOUT="1s")
        cls.addClassCleanup(cls.daemon.stop)
        cls.database.sql("CREATE DATABASE gateway_db", None)
        migrated = cls.daemon.run("--migrate", MYSQL_USER="root", MYSQL_PASSWORD="")
        assert migrated.returncode == 0, migrated.stderr
        cls.database.sql(cls.grants(), None)
        cls.daemon.start()

    @staticmethod
    def grants():
        """The documented ones of the daemon's account."""
        lines = (harness.ROOT / "sql/grants.sql").read_text("utf-8").splitlines()
        text = "\n".join(line for line in lines if not line.startswith("--"))
        return ";".join(grant for grant in text.split(";") if "'holdfast'@" in grant)

    def run_doctor(self, *arguments, environment=None, target=None):
        return subprocess.run(
            [harness.BIN / "holdfast", "doctor", f"--to={target or self.daemon.target}",
             *arguments],
            env=environment or self.daemon.environment(), capture_output=True, text=True,
            timeout=harness.PATIENCE, check=False)

    def findings(self, *arguments, expect, **more):
        """What --json says: a dict from (check, level) to the findings' texts."""
        done = self.run_doctor("--json", *arguments, **more)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        self.assertNotIn(PASSWORD, done.stdout + done.stderr)
        found = {}
        for finding in json.loads(done.stdout)["findings"]:
            level = finding["level"].removeprefix("FINDING_LEVEL_").lower()
            text = f"{finding['found']} | {finding['meaning']} | {finding['remedy']}"
            found.setdefault((finding["check"], level), []).append(text)
            if level in ("warning", "problem"):
                self.assertTrue(finding["meaning"], finding)
        return found

    def assert_finds(self, found, check, level, *texts):
        listed = " || ".join(found.get((check, level), []))
        for text in texts:
            self.assertIn(text, listed, json.dumps({str(key): found[key] for key in found},
                                                   indent=1))

    @contextlib.contextmanager
    def broken(self, breaking, mending):
        self.database.sql(breaking, "gateway_db")
        try:
            yield
        finally:
            self.database.sql(mending, "gateway_db")

    def without_daemon(self, *flags, expect=PROBLEMS, **settings):
        """Nobody listens: `holdfastd --diagnose` with these settings."""
        return self.findings("--", *flags, expect=expect, target=f"unix:{self.folder}/nobody",
                             environment=self.daemon.environment(**settings))

    def everywhere(self, *arguments, expect=PROBLEMS):
        """What the daemon finds, and what is found with the same settings where none listens."""
        return self.findings(*arguments, expect=expect), self.without_daemon()

    # --- all well ---------------------------------------------------------------------------------

    def test_all_is_well_and_twice_is_one_row(self):
        for _ in range(2):
            done = self.run_doctor()
            self.assertEqual(done.returncode, WELL, done.stdout + done.stderr)
            self.assertEqual(done.stdout.splitlines()[-1], "All well.")
            self.assertNotIn("\x1b", done.stdout)
        for check in ("configuration", "socket", "tls", "login", "durability", "session", "grants",
                      "migrations", "tables", "trial writes", "write journaled", "write committed",
                      "read back", "connections", "journal", "journal sync", "journal lock",
                      "readiness", "books", "lanes", "breaker", "pool", "daemon"):
            self.assertRegex(done.stdout, rf"(?m)^ok +{check} ", done.stdout)
        self.assertRegex(done.stdout, r"(?m)^skipped +lock waits +.*PROCESS", done.stdout)
        self.assertIn("harmless", " ".join(done.stdout.split()))
        rows = self.database.sql("SELECT identifier, request_count FROM rate_limit_records WHERE "
                                 "identifier LIKE 'holdfast:%'", "gateway_db")
        self.assertEqual(rows, [("holdfast:doctor", "1")])
        for table in ("usage_records", "usage_stats", "message", "holdfast_quarantine",
                      "holdfast_rate_limit_hits"):
            self.assertEqual(self.database.number(f"SELECT COUNT(*) FROM {table}", "gateway_db"),
                             0, table)
        self.assertEqual(self.database.number("SELECT COUNT(*) FROM holdfast_lanes WHERE "
                                              "writer_id = 'holdfast:doctor'", "gateway_db"), 0)

    def test_where_the_account_may_delete_nothing_is_left(self):
        with self.broken("GRANT DELETE ON gateway_db.rate_limit_records TO 'holdfast'@'%'",
                         "REVOKE DELETE ON gateway_db.rate_limit_records FROM 'holdfast'@'%'"):
            found = self.findings(expect=WARNINGS)
            self.assert_finds(found, "read back", "ok", "removed again")
            self.assert_finds(found, "grants", "warning", "DELETE on gateway_db.rate_limit_records")
            self.assertEqual(self.database.number("SELECT COUNT(*) FROM rate_limit_records",
                                                  "gateway_db"), 0)

    def test_no_write_sends_nothing(self):
        before = self.daemon.books()["accepted"]
        found = self.findings("--no_write", "--", "--mysql_host=unused", expect=WELL)
        self.assert_finds(found, "daemon", "ok", "flags after -- were not used")
        self.assertNotIn("write journaled", {check for check, _ in found})
        self.assertEqual(self.daemon.books()["accepted"], before)

    def test_colors_are_for_terminals_that_want_them(self):
        def shown(**more):
            environment = dict(self.daemon.environment(**more), TERM="xterm")
            done = subprocess.run(
                ["script", "-qec", f"{harness.BIN}/holdfast doctor --no_write "
                 f"--to={self.daemon.target}", "/dev/null"], env=environment,
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=harness.PATIENCE, check=False)
            self.assertEqual(done.returncode, WELL, done.stdout)
            return done.stdout
        self.assertIn("\x1b[32mok", shown())
        self.assertNotIn("\x1b[", shown(NO_COLOR="1"))

    def test_wrong_arguments_are_told(self):
        for word in ("--jsno", "now"):
            done = self.run_doctor(word)
            self.assertEqual(done.returncode, USAGE, done.stderr)
            self.assertIn(word, done.stderr)

    # --- faults of the server -----------------------------------------------------------------------

    def test_a_stopped_server(self):
        self.database.stop()
        try:
            online, offline = self.everywhere()
        finally:
            self.bring_back_the_server()
        for found in (online, offline):
            self.assert_finds(found, "socket", "problem", "start the server, or correct MYSQL_SOCKET")
            self.assert_finds(found, "login", "skipped", "needs socket")
            self.assert_finds(found, "tables", "skipped", "needs login")
            self.assert_finds(found, "journal", "ok", str(self.daemon.folder))
        self.assert_finds(online, "write journaled", "ok", "on the daemon's disk")
        self.assert_finds(online, "write committed", "problem", "wait in the journal")
        self.assert_finds(online, "read back", "skipped", "write committed")

    def bring_back_the_server(self, *options):
        self.database.stop()
        self.database.options = list(options)
        self.database.start()
        if not options:
            harness.wait_for(lambda: not self.daemon.status().get("missing"),
                             "the daemon to be back")

    def test_a_server_that_was_started_read_only(self):
        self.bring_back_the_server("--read-only")
        try:
            online, offline = self.everywhere("--timeout=20s")
        finally:
            self.bring_back_the_server()
        for found in (online, offline):
            self.assert_finds(found, "read only", "problem", "read_only is on", "MYSQL_HOST")
            self.assert_finds(found, "login", "ok", "holdfast")
            self.assert_finds(found, "tables", "ok", "usage_records")
            self.assert_finds(found, "trial writes", "skipped", "takes writes")
        self.assert_finds(online, "write committed", "problem", "wait in the journal")

    def test_a_server_that_may_lose_commits(self):
        with self.broken("SET GLOBAL innodb_flush_log_at_trx_commit = 2",
                         "SET GLOBAL innodb_flush_log_at_trx_commit = 1"):
            for found in self.everywhere(expect=WARNINGS):
                self.assert_finds(found, "durability", "warning",
                                  "innodb_flush_log_at_trx_commit is 2",
                                  "SET GLOBAL innodb_flush_log_at_trx_commit = 1")

    def test_a_table_that_is_gone(self):
        with self.broken("RENAME TABLE usage_stats TO usage_stats_away",
                         "RENAME TABLE usage_stats_away TO usage_stats"):
            online, offline = self.everywhere()
        for found in (online, offline):
            self.assert_finds(found, "tables", "problem", "usage_stats is missing", "--migrate")
            self.assert_finds(found, "trial writes", "problem", "usage_stats: error 1146")
        self.assert_finds(online, "write committed", "ok", "in the database")

    def test_a_key_column_that_may_be_null(self):
        with self.broken(
                "ALTER TABLE rate_limit_records DROP PRIMARY KEY, MODIFY route_path "
                "VARBINARY(500) NULL, ADD UNIQUE KEY uk (identifier, window_type, route_path, "
                "window_start)",
                "ALTER TABLE rate_limit_records DROP KEY uk, MODIFY route_path VARBINARY(500) NOT "
                "NULL DEFAULT '', ADD PRIMARY KEY (identifier, window_type, route_path, "
                "window_start)"):
            for found in self.everywhere(expect=WARNINGS):
                self.assert_finds(found, "tables", "warning",
                                  "route_path of the unique key uk may be NULL",
                                  "MODIFY route_path VARBINARY(500) NOT NULL DEFAULT ''")

    def test_a_missing_unique_key_shows_in_what_is_read_back(self):
        with self.broken("ALTER TABLE rate_limit_records DROP PRIMARY KEY",
                         "DELETE FROM rate_limit_records; ALTER TABLE rate_limit_records ADD "
                         "PRIMARY KEY (identifier, window_type, route_path, window_start)"):
            found = self.findings(expect=PROBLEMS)
        self.assert_finds(found, "tables", "problem", "rate_limit_records has no unique key")
        self.assert_finds(found, "read back", "problem", " rows in rate_limit_records")

    def test_the_tables_of_an_earlier_gateway(self):
        self.database.sql("CREATE DATABASE seeds", None)
        self.database.sql((harness.ROOT / "tests/conformance/seed_tables.sql").read_text("utf-8"),
                          "seeds")
        try:
            found = self.without_daemon(MYSQL_DATABASE="seeds", MYSQL_USER="root",
                                        MYSQL_PASSWORD="")
        finally:
            self.database.sql("DROP DATABASE seeds", None)
        self.assert_finds(found, "migrations", "problem", "none of", "--migrate")
        self.assert_finds(found, "tables", "problem", "usage_records is an earlier gateway's table",
                          "usage_stats is an earlier gateway's table",
                          "holdfast_quarantine, holdfast_rate_limit_hits are missing")
        self.assert_finds(found, "trial writes", "skipped", "needs migrations")
        self.assert_finds(found, "tables", "warning", "route_path of the unique key "
                          "uk_identifier_window may be NULL", "identifier (191)",
                          "identifier (utf8mb4_unicode_ci)", "ig_message_id of the unique key",
                          "message is narrower than events")
        # MySQL names them one by one, MariaDB as ALL PRIVILEGES.
        self.assert_finds(found, "grants", "warning", "has more than it needs", " on *.*")

    def test_a_lock_that_somebody_holds(self):
        for more in ("PROCESS ON *.*", "SELECT ON performance_schema.*"):  # As in sql/grants.sql.
            self.database.sql(f"GRANT {more} TO 'holdfast'@'%'", None)
            self.addCleanup(self.database.sql, f"REVOKE {more} FROM 'holdfast'@'%'", None)
        channel = open_channel(self.daemon)
        self.addCleanup(channel.close)
        stub = ingest_pb2_grpc.IngestServiceStub(channel)

        def send(level):
            stub.Write(ingest_pb2.WriteRequest(batch=ingest_pb2.EventBatch(
                events=[rate_limit(observed=1)]), wait_for=level), timeout=harness.PATIENCE)

        send(ingest_pb2.ACK_LEVEL_COMMITTED)
        other = self.database.session("gateway_db")
        self.addCleanup(other.close)
        number = other.run("SELECT CONNECTION_ID()")[0]
        other.run("BEGIN")
        other.run("SELECT request_count FROM rate_limit_records FOR UPDATE")
        # The lanes wait in statements that hold binary ids, which no list of statements may trip over.
        other.run("SELECT lane FROM holdfast_lanes FOR UPDATE")
        try:
            send(ingest_pb2.ACK_LEVEL_JOURNALED)
            harness.wait_for(
                lambda: any(lane.get("state") == "LANE_STATE_RETRYING" and "1205" in lane["reason"]
                            for lane in self.daemon.lanes().values()), "the lane to wait")
            found = self.findings(expect=PROBLEMS)
        finally:
            other.run("ROLLBACK")
        self.assert_finds(found, "transactions", "warning", f"connection {number} of 'root'",
                          "idle", f"KILL {number};")
        self.assert_finds(found, "trial writes", "problem", "1205")
        self.assert_finds(found, "write committed", "problem", "wait in the journal")
        self.daemon.wait_drained()

    # --- faults of the account ----------------------------------------------------------------------

    def test_a_password_that_was_changed(self):
        with self.broken("ALTER USER 'holdfast'@'%' IDENTIFIED BY 'another'",
                         f"ALTER USER 'holdfast'@'%' IDENTIFIED BY \"{PASSWORD}\""):
            for found in self.everywhere():
                self.assert_finds(found, "login", "problem", "Access denied",
                                  "using password: YES", "MYSQL_PASSWORD")
                self.assert_finds(found, "grants", "skipped", "needs login")

    def test_grants_that_are_missing(self):
        with self.broken("REVOKE UPDATE ON gateway_db.usage_stats FROM 'holdfast'@'%'",
                         "GRANT UPDATE ON gateway_db.usage_stats TO 'holdfast'@'%'"):
            found = self.findings(expect=PROBLEMS)
        self.assert_finds(found, "grants", "problem", "lacks UPDATE on usage_stats",
                          "GRANT UPDATE ON gateway_db.usage_stats TO 'holdfast'@'%';")
        self.assert_finds(found, "trial writes", "problem", "1142")

    def test_grants_that_are_too_many(self):
        with self.broken("GRANT ALL PRIVILEGES ON gateway_db.* TO 'holdfast'@'%'",
                         "REVOKE ALL PRIVILEGES ON gateway_db.* FROM 'holdfast'@'%'"):
            found = self.findings("--no_write", expect=WARNINGS)
        self.assert_finds(found, "grants", "warning", "ALL PRIVILEGES on gateway_db.*",
                          "sql/grants.sql")

    # --- without the daemon -------------------------------------------------------------------------

    def test_without_the_daemon_the_checks_are_made_all_the_same(self):
        journal = self.folder / "journal-of-nobody"
        journal.mkdir(mode=0o700, exist_ok=True)
        found = self.without_daemon(HOLDFAST_JOURNAL_DIR=journal)
        self.assert_finds(found, "daemon", "problem", "there is no socket", "start holdfastd")
        self.assert_finds(found, "login", "ok", "holdfast")
        self.assert_finds(found, "tables", "ok", "usage_stats")
        self.assert_finds(found, "trial writes", "ok", "rolled back")
        self.assert_finds(found, "journal lock", "ok", "nobody")
        self.assert_finds(found, "write", "skipped", "daemon")
        self.assertEqual([level for check, level in found if level in ("warning", "problem")],
                         ["problem"])
        self.assertEqual(os.listdir(journal), [])

    def test_a_daemon_that_runs_elsewhere_is_seen_by_its_lock(self):
        found = self.without_daemon()
        self.assert_finds(found, "journal lock", "warning", f"process {self.daemon.process.pid}",
                          "HOLDFAST_LISTEN")

    def test_a_wrong_host_name(self):
        found = self.without_daemon("--mysql_host=no-such-host.invalid", MYSQL_SOCKET="")
        self.assert_finds(found, "dns", "problem", "no-such-host.invalid", "MYSQL_HOST")
        self.assert_finds(found, "tcp", "skipped", "needs dns")

    def test_a_wrong_port_and_another_service(self):
        closed = harness.free_port()
        found = self.without_daemon(f"--mysql_host=127.0.0.1:{closed}", MYSQL_SOCKET="")
        self.assert_finds(found, "dns", "ok", "127.0.0.1")
        self.assert_finds(found, "tcp", "problem", "Connection refused", "MYSQL_PORT")
        found = self.without_daemon(f"--mysql_host=127.0.0.1:{self.daemon.port}", MYSQL_SOCKET="",
                                    DB_CONNECT_TIMEOUT="1s")
        self.assert_finds(found, "tcp", "problem", "says nothing")

    def test_a_setting_that_will_not_do(self):
        found = self.without_daemon(DB_POOL_SIZE="many")
        self.assert_finds(found, "configuration", "problem", "DB_POOL_SIZE")
        self.assert_finds(found, "login", "skipped", "needs configuration")

    def test_rate_limits_that_are_off(self):
        found = self.without_daemon(RATE_LIMIT_MYSQL_ENABLED="false")
        self.assert_finds(found, "configuration", "warning", "RATE_LIMIT_MYSQL_ENABLED is false")

    def test_a_flag_that_does_not_exist(self):
        found = self.without_daemon("--mysql_hots=x")
        self.assert_finds(found, "all else", "problem", "--mysql_hots")


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
