#!/usr/bin/python3
"""The journal lies on a small volume of its own, which fills up: at first with events that cannot
be delivered, then with somebody else's file."""

import subprocess

import frame
from frame.witness import Witness

SETTINGS = {"HOLDFAST_JOURNAL_SEGMENT_BYTES": "1MiB", "HOLDFAST_PRODUCERS_MAX": "1000",
            "HOLDFAST_JOURNAL_RETENTION_BYTES": "2MiB"}


def run(stage):
    volume = mount(stage, stage.pick(8, 24))
    database = stage.database()
    daemon = stage.daemon(database, HOLDFAST_JOURNAL_DIR=volume / "journal", **SETTINGS)
    load = stage.load(daemon, events=stage.pick(400_000, 4_000_000), rate=20000)
    for _ in range(stage.pick(1, 3)):
        filled_by_an_outage(stage, daemon, database)
        filled_by_another(stage, daemon, volume)
    stage.check(not load.over, f"the load ended early: {load.said()}")
    load.halt()
    stage.settle(load)
    status = daemon.terminate()
    stage.check(status == 0, f"ended with {status}: {daemon.log_tail()}")


def mount(stage, mebibytes):
    volume = stage.folder / "volume"
    volume.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "holdfast-chaos",
                              volume], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        raise frame.NotPossible(f"a volume cannot be mounted: {mounted.stderr.strip()}")
    stage.after_servers(subprocess.run, ["umount", volume])
    return volume


def is_full(daemon):
    return daemon.metrics().sum("holdfast_journal_full") == 1


def expect(stage, daemon, full, patience=120):
    stage.check(stage.wait_until(lambda: is_full(daemon) == full, patience),
                f"the journal is {'not ' if full else ''}full: {daemon.log_tail()}")


def filled_by_an_outage(stage, daemon, database):
    """New events are refused with a reason, a start finds it full and serves, and the end of the
    outage makes room."""
    stage.kill_database(database)
    expect(stage, daemon, True)
    witness = Witness("refused")
    stage.check(witness.open(daemon) is None or not witness.send(), "a full journal took an event")
    code = witness.ended_with()
    stage.check(code == "RESOURCE_EXHAUSTED", f"refused with {code}")
    witness.close()
    stage.kill(daemon)
    daemon.start_without_waiting()
    stage.check(stage.wait_until(lambda: daemon.page("/livez")[0] == 200, 60),
                f"no start on a full volume: {daemon.log_tail()}")
    before = daemon.accepted()
    database.start()
    expect(stage, daemon, False)
    stage.check(stage.wait_until(lambda: (daemon.accepted() or 0) > before, 60),
                f"takes nothing although there is room: {daemon.log_tail()}")


def filled_by_another(stage, daemon, volume):
    """Delivery goes on while there is no room, down to the last event."""
    filler = volume / "filler"
    with open(filler, "wb", buffering=0) as file:
        while not is_full(daemon):
            try:
                file.write(bytes(1 << 16))
            except OSError:
                stage.pause(0.01)  # What the daemon gives back is taken, too.
    stage.say(f"filled by another: {filler.stat().st_size} bytes")
    delivered = stage.wait_until(lambda: (daemon.books() or {}).get("pending") == 0, 60)
    stage.check(delivered, f"nothing is delivered any more: {daemon.log_tail()}")
    filler.unlink()
    expect(stage, daemon, False)


if __name__ == "__main__":
    frame.main(run, "On a full volume new events are refused with a reason, delivery goes on, and "
               "nothing that was accepted is lost.")
