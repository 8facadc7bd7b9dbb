"""The runbook's failovers, with a primary and its copy that are real, under traffic: planned, there
and back; and unplanned, with the last commits lost and the old primary made anew."""

import unittest

import runbook
from runbook import Section, harness

import audit
from frame.load import Load

OPTIONS = ("--log-bin=binlog", "--log-slave-updates", "--binlog-format=ROW", "--sync-binlog=1",
           "--slave-net-timeout=5", "--skip-slave-start", "--read-only=1")


class FailoverTest(runbook.RunbookTest):

    server_options = OPTIONS

    def setUp(self):
        super().setUp()
        self.db1, self.db2 = self.server, self.make_server(2, *OPTIONS)
        self.db1.sql("SET GLOBAL read_only = 0; CREATE USER 'replication'@'%' IDENTIFIED BY '...';"
                     "GRANT REPLICATION SLAVE ON *.* TO 'replication'@'%'", None)
        self.set_up_database()
        self.db2.start()
        self.follow(self.db2, self.db1)
        hosts = Section("Failover to another server").settings("MYSQL_HOST")["MYSQL_HOST"]
        self.daemon.settings["MYSQL_HOST"] = runbook.replaced(hosts, self.words(self.db1, self.db2))
        self.daemon.start()
        self.load = Load(self.folder, "load", 78, 1_000_000, rate=300, ack="committed")
        self.addCleanup(self.load.close)
        self.load.start(self.daemon)
        self.move_on(self.db1)

    @staticmethod
    def words(db1, db2):
        """What the page's names stand for."""
        return {"db1:3306": db1.host, "db2:3306": db2.host,
                "'db2', MASTER_PORT=3306": f"'127.0.0.1', MASTER_PORT={db2.port}"}

    def follow(self, copy, primary):
        copy.sql(f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={primary.port}, "
                 "MASTER_USER='replication', MASTER_PASSWORD='...', MASTER_USE_GTID=slave_pos, "
                 "MASTER_CONNECT_RETRY=1; START SLAVE", None)

    def position(self, server):
        return server.number("SELECT COALESCE(SUM(position), 0) FROM holdfast_lanes", "gateway_db")

    def move_on(self, server, more=300):
        """Waits for commits in this server."""
        before = self.position(server)
        harness.wait_for(lambda: self.position(server) > before + more,
                         f"more commits in {server.host}")

    def catches_up(self, copy, primary):
        gtid = primary.sql("SELECT @@GLOBAL.gtid_binlog_pos", None)[0][0]
        self.assertEqual(copy.number(f"SELECT MASTER_GTID_WAIT('{gtid}', 60)", None), 0,
                         copy.sql("SHOW SLAVE STATUS", None))

    def settle(self, primary):
        """All that was sent is in the primary, once."""
        self.load.halt()
        self.assertEqual(self.load.finish(), 0, self.load.said())
        sent = self.load.expectation()
        books = self.daemon.wait_drained(sent.accepted)
        audit.compare(sent, primary)
        audit.compare_books(sent, books)
        self.assertEqual(books["adjusted"], 0)
        self.assertIn(f"Database  {primary.host}", self.shell("holdfast status", server=primary))

    def switch(self, page, db1, db2):
        """The planned way from db1 to db2."""
        words = self.words(db1, db2)
        gtid = self.sql(page.block("gtid_binlog_pos"), db1)[0][0]
        harness.wait_for(lambda: "read-only" in self.daemon.page("/readyz")[1],
                         "the daemon to say that it finds no server that can be written to")
        waited = self.sql(page.block("MASTER_GTID_WAIT"), db2, {"POSITION": gtid})
        self.assertEqual(waited, [("0",)])
        self.sql(page.block("RESET SLAVE ALL"), db2)
        self.sql(page.block("MASTER_DEMOTE_TO_SLAVE"), db1, words)
        self.move_on(db2)
        self.assert_shown(page.block("database connected"), self.daemon.log.read_text(), words)
        self.catches_up(db1, db2)

    def test_a_planned_failover_and_its_way_back_lose_nothing_and_set_no_lane_back(self):
        page = Section("Planned")
        self.switch(page, self.db1, self.db2)
        page.assert_all_used()
        self.switch(page, self.db2, self.db1)
        self.settle(self.db1)
        self.assert_set_back(self.daemon, False)
        self.audit()

    def test_what_the_lost_primary_alone_had_comes_back_and_it_is_made_anew(self):
        page = Section("The primary is lost")
        db1, db2 = self.db1, self.db2
        self.catches_up(db2, db1)
        db2.sql("STOP SLAVE IO_THREAD", None)
        self.move_on(db1, 600)
        had = self.position(db1)
        db1.kill()
        self.sql(page.block("SHOW SLAVE STATUS"), db2)
        harness.wait_for(lambda: self.has_written_all(db2), "the copy to write what it has")
        self.assertLess(self.position(db2), had, "nothing was lost")
        self.sql(page.block("RESET SLAVE ALL"), db2)
        self.move_on(db2)

        # It comes back by itself, and nobody writes to it.
        db1.start()
        stays = self.position(db1)
        self.move_on(db2)
        self.assertEqual(self.position(db1), stays)

        again = Section("The old primary comes back")
        backup = self.folder / "backup"
        backup.mkdir()
        said = self.shell(again.block("--backup"), server=db2, BACKUP=backup)
        gtid = said.splitlines()[0]  # cut alone speaks to stdout.
        self.assertRegex(gtid, r"^0-\d+-\d+$")
        db1.stop()
        self.shell(again.block("--copy-back"), BACKUP=backup, DATADIR=db1.folder / "data")
        db1.start()
        self.sql(again.block("gtid_slave_pos"), db1, {"POSITION": gtid, **self.words(db1, db2)})
        self.move_on(db2)
        self.settle(db2)
        self.catches_up(db1, db2)
        audit.compare(self.load.expectation(), db1)
        answers = [self.sql(again.block("@@GLOBAL.read_only"), server) for server in (db1, db2)]
        self.assertEqual(answers, [[("1",)], [("0",)]])

        self.assert_set_back(self.daemon)
        self.audit(page.block("holdfast audit"))
        page.assert_all_used()
        again.assert_all_used()

    @staticmethod
    def has_written_all(copy):
        row = copy.sql("SHOW SLAVE STATUS", None)[0]
        # Master_Log_File and Read_Master_Log_Pos, Relay_Master_Log_File and Exec_Master_Log_Pos.
        return (row[5], row[6]) == (row[9], row[21])


if __name__ == "__main__":
    unittest.main()
