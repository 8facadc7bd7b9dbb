#!/usr/bin/python3
"""What happens to tables under load: one renamed away, a column renamed, a limit on packets far below a
batch and below a single event, a server whose own modes would cut values short."""

import json

import frame
import foreign_client
import harness
from google.protobuf import json_format

# Kind of lanes that stop, what breaks them, what mends them, and a word of the reason.
TROUBLES = (
    ("message", "RENAME TABLE message TO message_away", "RENAME TABLE message_away TO message",
     "a table is missing"),
    ("usage", "ALTER TABLE usage_stats CHANGE real_cost_micros away BIGINT NOT NULL",
     "ALTER TABLE usage_stats CHANGE away real_cost_micros BIGINT NOT NULL", "a column is missing"),
    ("rate_limit", "RENAME TABLE rate_limit_records TO limits_away",
     "RENAME TABLE limits_away TO rate_limit_records", "a table is missing"),
    ("usage", "ALTER TABLE usage_stats ADD unknown INT NOT NULL",
     "ALTER TABLE usage_stats DROP unknown", "a column without a default"),
)


def committed(daemon):
    """Events of each kind that the daemon has brought in."""
    answer = {}
    for name, lane in daemon.lanes().items():
        kind = name.rsplit("-", 1)[0]
        answer[kind] = answer.get(kind, 0) + int(lane.get("books", {}).get("committed", 0))
    return answer


def reasons(daemon, kind):
    return [lane.get("reason", "") for name, lane in daemon.lanes().items()
            if name.startswith(kind)]


def stop_and_go(stage, database, daemon, trouble):
    kind, spoil, mend, reason = trouble
    database.sql(spoil)
    harness.wait_for(lambda: all(reason in its for its in reasons(daemon, kind)),
                     f"the {kind} lanes to stop with: {reason}")
    before = committed(daemon)
    harness.wait_for(lambda: all(count > before[other] for other, count in
                                 committed(daemon).items() if other != kind),
                     f"the others to go on while {kind} stands")
    stage.check(committed(daemon)[kind] == before[kind], f"{kind} did not stand")
    database.sql(mend)
    harness.wait_for(lambda: committed(daemon)[kind] > before[kind], f"{kind} to go on")
    stage.count("tables_spoilt")


class Oddities:
    """Messages that the server, as it is set up, can only refuse."""

    def __init__(self, stage, daemon):
        self.channel = foreign_client.open_channel(daemon)
        self.stream = foreign_client.Stream(self.channel)
        stage.cleanup(self.close)
        self.stream.wait_welcome()
        self.sent = 0
        self.good = []

    def send(self, refused, **fields):
        """One of them, and a good one behind it."""
        self.send_only(**fields)
        self.wait(refused)

    def send_only(self, **fields):
        odd = foreign_client.message(f"odd {self.sent}", **fields)
        good = foreign_client.message(f"good {self.sent}")
        self.good.append(json.dumps(json_format.MessageToDict(good)))
        self.stream.send(self.sent + 1, [odd, good])
        self.sent += 2

    def wait(self, refused):
        self.stream.wait_committed(self.sent)
        if (self.sent - 1 in self.stream.errors) != refused:
            raise frame.Broken(f"message {self.sent - 1}: {self.stream.errors}")

    def close(self):
        self.stream.cancel()
        self.channel.close()


def small_packets(database, daemon, odd):
    """Less than a batch: it goes in parts. Less than one event, which not even the quarantine can
    take: its lane stands until the limit is raised."""
    database.sql("SET GLOBAL max_allowed_packet = 16384", None)
    reconnect(database)
    before = committed(daemon)
    harness.wait_for(lambda: all(count > before[kind] for kind, count in
                                 committed(daemon).items()), "batches in small packets")
    odd.send_only(text="x" * 60_000)
    harness.wait_for(lambda: any("max_allowed_packet" in reason
                                 for reason in reasons(daemon, "message")), "the lane to stop")
    before = committed(daemon)
    harness.wait_for(lambda: all(count > before[kind] for kind, count in
                                 committed(daemon).items() if kind != "message"), "the others")
    database.sql("SET GLOBAL max_allowed_packet = 16777216", None)
    odd.wait(refused=False)


def reconnect(database):
    """Only new connections see what was set."""
    own = database.sql("SELECT id FROM information_schema.processlist WHERE db = 'holdfast'", None)
    for (number,) in own:
        try:
            database.sql(f"KILL CONNECTION {number}", None)
        except AssertionError:
            pass  # It has gone by itself.


def run(stage):
    database = stage.database()
    database.sql("SET GLOBAL innodb_strict_mode = OFF; SET GLOBAL sql_mode = ''", None)
    daemon = stage.daemon(database)
    # A column that is narrower than what may come, in a server that would cut it.
    database.sql("ALTER TABLE message MODIFY ad_name VARBINARY(100)")
    odd = Oddities(stage, daemon)
    odd.send(refused=True, ad_name="x" * 200)
    load = stage.load(daemon, events=stage.pick(60_000, 1_000_000), rate=1500)
    load.wait_fed(500)
    for _ in range(stage.pick(1, 5)):
        for trouble in stage.random.sample(TROUBLES, len(TROUBLES)):
            stop_and_go(stage, database, daemon, trouble)
    small_packets(database, daemon, odd)
    load.halt()
    settle(stage, database, daemon, load, odd)


def settle(stage, database, daemon, load, odd):
    status = load.finish()
    stage.check(status == 0, f"holdfast send ended with {status}: {load.said()}")
    expected = load.expectation()
    for line in odd.good:
        expected.add(line)
    large = foreign_client.message(f"odd {odd.sent - 2}", text="x" * 60_000)
    expected.add(json.dumps(json_format.MessageToDict(large)))
    # The one that was refused is in the quarantine, whole.
    expected.events += 1
    expected.conflicts += 1
    books = daemon.wait_drained(expected.accepted)
    stage.audit(expected, books, database)
    numbers = database.sql("SELECT error_number FROM holdfast_quarantine ORDER BY 1")
    stage.check(numbers == [("1406",)], f"quarantined with {numbers}")
    for name in ("accepted", "committed", "quarantined"):
        stage.count(f"events_{name}", books[name])


if __name__ == "__main__":
    frame.main(run, "A table or column that is missing stops its own lanes, which say why and go on once "
               "it is mended; what cannot be stored whole is quarantined, never cut.")
