#!/usr/bin/python3
"""The audit itself: what it must find is done to the tables, one thing after the other."""

import frame

# What is done, how it is undone, and what the audit must call it.
DAMAGES = (
    ("DELETE FROM usage_records WHERE event_id IN (SELECT event_id FROM spare)",
     "INSERT INTO usage_records SELECT * FROM spare", "lost"),
    ("UPDATE usage_records SET cost_micros = cost_micros + 1 LIMIT 1",
     "UPDATE usage_records SET cost_micros = cost_micros - 1 LIMIT 1", "phantom"),
    ("UPDATE usage_stats SET requests = requests + 1 LIMIT 1",
     "UPDATE usage_stats SET requests = requests - 1 LIMIT 1", "doubled"),
    ("UPDATE usage_stats SET requests = requests - 1 LIMIT 1",
     "UPDATE usage_stats SET requests = requests + 1 LIMIT 1", "lost"),
    ("UPDATE message SET ig_message_id = CONCAT(ig_message_id, '-') LIMIT 1",
     "UPDATE message SET ig_message_id = TRIM(TRAILING '-' FROM ig_message_id)", "phantom"),
    ("UPDATE holdfast_lanes SET committed = committed + 1 LIMIT 1",
     "UPDATE holdfast_lanes SET committed = committed - 1 LIMIT 1", None),
)


def run(stage):
    database = stage.database()
    daemon = stage.daemon(database)
    load = stage.load(daemon, events=stage.pick(2000, 20000))
    books = stage.settle(load)
    database.sql("CREATE TABLE spare AS SELECT * FROM usage_records LIMIT 1")
    expected = load.expectation()
    for damage, repair, name in DAMAGES:
        before = stage.counted(name)
        database.sql(damage)
        try:
            stage.audit(expected, books, database)
        except frame.Broken:
            stage.check(name is None or stage.counted(name) > before,
                        f"{damage} was not counted as {name}")
        else:
            raise frame.Broken(f"the audit did not notice: {damage}")
        database.sql(repair)
    for name in ("lost", "doubled", "phantom"):
        stage.count(name, -stage.counted(name))  # These were ours.
    stage.audit(expected, books, database)


if __name__ == "__main__":
    frame.main(run, "The audit notices a row that is missing, altered or invented, a counter that "
               "is wrong by one, and a lane's row that does not balance.")
