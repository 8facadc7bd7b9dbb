#!/usr/bin/python3
"""The system's clock jumps by up to a day, forwards and backwards, under load, between lives and
within them; the steady clock goes on. libfaketime stands between the daemon and the clock."""

import pathlib

import frame

LIBRARIES = ("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
             "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1")
SETTINGS = {"HOLDFAST_JOURNAL_SEGMENT_BYTES": "1MiB", "HOLDFAST_JOURNAL_MAX_BYTES": "256MiB",
            "HOLDFAST_JOURNAL_RETENTION": "2s", "HOLDFAST_PRODUCERS_MAX": "1000"}


def run(stage):
    library = [path for path in LIBRARIES if pathlib.Path(path).exists()]
    stage.check(library, "libfaketime is not installed: run deploy/install-deps test")
    offset = stage.folder / "offset"
    offset.write_text("+0\n", encoding="ascii")
    database = stage.database()
    daemon = stage.daemon(database, start=False, **SETTINGS)
    daemon.more_environment = {
        "LD_PRELOAD": library[0], "FAKETIME_TIMESTAMP_FILE": offset, "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    daemon.start(ready=True)
    load = stage.load(daemon, events=stage.pick(200_000, 2_000_000), rate=8000)
    for jump in range(stage.pick(6, 120)):
        before = daemon.accepted() or 0
        stage.check(stage.wait_until(lambda: (daemon.accepted() or 0) > before + 500, 60),
                    f"takes nothing after a jump: {daemon.log_tail()}")
        offset.write_text(f"{stage.random.randrange(-86400, 86401):+d}\n", encoding="ascii")
        if jump % 3 == 2:
            stage.kill(daemon)
            daemon.start()
    stage.check(not load.over, f"the load ended before the jumps: {load.said()}")
    load.halt()
    stage.settle(load)
    status = daemon.terminate()
    stage.check(status == 0, f"ended with {status}: {daemon.log_tail()}")


if __name__ == "__main__":
    frame.main(run, "Jumps of the clock by up to a day, either way, change nothing in what is "
               "stored.")
