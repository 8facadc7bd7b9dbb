#!/usr/bin/python3
"""Two daemons where one belongs: on one journal folder, and under one writer id."""

import frame

import audit
import harness

JOURNAL_FAILED = 74


def run(stage):
    database = stage.database()
    first = stage.daemon(database, HOLDFAST_WRITER_ID="twin")
    load = stage.load(first, events=stage.pick(400_000, 4_000_000), rate=3000)
    load.wait_fed(500)
    for _ in range(stage.pick(3, 50)):
        one_folder(stage, first)
    second = stage.daemon(database, start=False, HOLDFAST_WRITER_ID="twin")
    second.start()
    other = stage.load(second, events=load.events, rate=load.rate)
    one_writer_id(stage, first)
    for its in (load, other):
        stage.check(not its.over, f"the load ended early: {its.said()}")
        its.halt()
        stage.check(its.finish() == 0, f"nothing was taken any more: {its.said()}")
    books = second.wait_drained()
    stage.check(books["accepted"] == other.fed, f"the second took {books}")
    fenced_at = settled(database)
    stage.check(first.terminate() in (0, 75), f"no orderly end: {first.log_tail()}")
    stage.check(settled(database) == fenced_at, "a fenced daemon wrote")
    # As its log advises: an id of its own, and a start.
    first.settings["HOLDFAST_WRITER_ID"] = "single"
    first.start(ready=True)
    audit_both(stage, database, (load, first), (other, second))


def one_folder(stage, daemon):
    done = daemon.run(HOLDFAST_LISTEN=f"unix:{daemon.folder}/other",
                      HOLDFAST_ADMIN_LISTEN=f"127.0.0.1:{harness.free_port()}")
    stage.check(done.returncode == JOURNAL_FAILED, f"ended with {done.returncode}: {done.stderr}")
    stage.check("in use by another process" in done.stderr, f"does not say why: {done.stderr}")
    stage.check(daemon.page("/readyz")[0] == 200, f"disturbed the first: {daemon.log_tail()}")


def one_writer_id(stage, first):
    """Whoever came first writes nothing more, and says so."""
    def fenced():
        return [lane for lane in first.lanes().values() if lane["state"] == "LANE_STATE_FENCED"]
    lanes = stage.wait_until(lambda: len(fenced()) == len(first.lanes()), 60)
    stage.check(lanes, f"lanes that write on: {first.lanes()}")
    for lane in fenced():
        stage.check("writer id twin" in lane["reason"], f"does not say why: {lane}")
    stage.check("another process took over lane" in first.log_tail(), "its log does not say so")


def settled(database):
    return database.sql("SELECT lane, writer_id, epoch, position FROM holdfast_lanes ORDER BY 1, 2")


def audit_both(stage, database, *pairs):
    """Of both files together; what the first had delivered before is its own duplicate now."""
    expected = audit.Expectation()
    for load, daemon in pairs:
        expected.read(load.file, load.fed)
        books = daemon.wait_drained(load.expectation().accepted)
        outcome = books["committed"] + books["duplicate"] + books["quarantined"] + books["adjusted"]
        stage.check(books["accepted"] == outcome, f"books do not balance: {books}")
        stage.count("events_accepted", books["accepted"])
    for row in database.sql("SELECT lane, position - committed - duplicate - quarantined "
                            "- adjusted FROM holdfast_lanes"):
        stage.check(row[1] == "0", f"the row of lane {row[0]} does not balance")
    stage.audit_tables(expected, database)


if __name__ == "__main__":
    frame.main(run, "A second daemon on one journal folder says so and ends; of two with one "
                    "writer id the first writes nothing more and says so; nothing is lost "
                    "either way.")
