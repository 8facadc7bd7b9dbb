#!/usr/bin/python3
"""A failover that lost the last commits: the copy had stopped following before the primary went. The
journal's kept segments bring back what is missing, also to lanes for which nothing new arrives, and no
gateway is ever told less than before."""

import frame
import audit
import harness
from frame import servers
from frame.watch import Watch

SETTINGS = {"HOLDFAST_LANE_LOOK_EVERY": "1s", "DB_CONNECT_TIMEOUT": "1s",
            "DB_BREAKER_RECOVERY_TIMEOUT": "200ms", "HOLDFAST_BATCH_ROWS_MAX": 300}
POSITIONS = "SELECT COALESCE(SUM(position), 0) FROM holdfast_lanes"


class Failovers:
    def __init__(self, stage):
        self.stage = stage
        self.pair = servers.Pair(stage)
        self.primary = self.pair.servers[0]
        self.primary.add_user()
        self.daemon = stage.daemon(self.primary, **servers.settings(*self.pair.servers, **SETTINGS))
        self.watch = Watch(self.daemon)
        stage.cleanup(self.watch.close)
        self.expected = audit.Expectation()
        self.watched = 0

    def round(self, idle, demoted):
        """One failover: under load, or after it; the old primary is killed, or lives on, read-only,
        with commits that nobody else has."""
        stage, copy = self.stage, self.pair.other(self.primary)
        self.pair.catch_up(copy, self.primary)
        load = stage.load(self.daemon, events=stage.pick(5000, 12000), rate=2500, ack="committed")
        load.wait_fed(load.events * stage.random.uniform(0.1, 0.4))
        copy.sql("STOP SLAVE IO_THREAD", None)
        before = self.primary.number(POSITIONS)
        harness.wait_for(lambda: self.primary.number(POSITIONS) > before + 1000, "more commits")
        self.watch.send_one()
        self.watch.wait_committed(len(self.watch.lines))
        if idle:
            self.finish(load)
        self.fail_over(copy, demoted)
        if not idle:
            self.watch.send_one()
            self.finish(load)
        self.learn(load)
        # Nothing is sent any more: what is missing must come by itself.
        harness.wait_for(lambda: copy.number(POSITIONS) >= self.expected.accepted,
                         f"{self.expected.accepted} events in the new primary")
        stage.audit(self.expected, self.daemon.wait_drained(self.expected.accepted), copy)
        stage.check(not self.watch.went_down, f"progress went down: {self.watch.went_down[:3]}")
        self.pair.start_over(self.pair.other(copy))

    def fail_over(self, copy, demoted):
        if demoted:
            self.primary.sql("SET GLOBAL read_only = 1", None)
        had = self.primary.number(POSITIONS)
        if not demoted:
            self.stage.kill_database(self.primary)
        # The copy has read what it got before it takes over.
        harness.wait_for(lambda: not self.behind(copy), "the copy to write what it has")
        has = copy.number(POSITIONS)
        self.stage.check(has < had, "the failover lost nothing")
        self.stage.count("events_lost_by_failover", had - has)
        self.pair.promote(copy)
        self.primary = self.daemon.database = copy

    @staticmethod
    def behind(copy):
        row = copy.sql("SHOW SLAVE STATUS", None)[0]
        # Read_Master_Log_Pos and Exec_Master_Log_Pos.
        return (row[5], row[6]) != (row[9], row[21])

    def finish(self, load):
        status = load.finish()
        self.stage.check(status == 0, f"holdfast send ended with {status}: {load.said()}")
        self.watch.wait_committed(len(self.watch.lines))

    def learn(self, load):
        self.expected.read(load.file, load.fed)
        for line in self.watch.lines[self.watched:]:
            self.expected.add(line)
        self.watched = len(self.watch.lines)


def run(stage):
    failovers = Failovers(stage)
    for number in range(stage.pick(2, 12)):
        failovers.round(idle=number % 2 == 1, demoted=number // 2 % 2 == (1 if stage.full else 0))
    reseats = failovers.daemon.metrics().sum("holdfast_lane_reseats_total")
    stage.count("failovers", stage.pick(2, 12))
    stage.count("lane_reseats", int(reseats))
    stage.check(reseats > 0, "no lane noticed")
    stage.count("events_accepted", failovers.expected.accepted)


if __name__ == "__main__":
    frame.main(run, "A failover that lost the last commits is repaired from the journal, for idle lanes "
               "too, and progress never goes down.")
