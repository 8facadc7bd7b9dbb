#!/usr/bin/python3
"""An hour's worth of events, a thousand a second, is sent while the database is away; the daemon is
killed once in the middle of it and starts on a journal that is full of undelivered events."""

import frame

MEMORY_BYTES_MAX = 96 << 20


def run(stage):
    database = stage.database()
    daemon = stage.daemon(database)
    database.kill()
    stage.count("database_kills")
    load = stage.load(daemon, events=stage.pick(60_000, 3_600_000))
    half = load.events // 2
    stage.check(stage.wait_until(lambda: (daemon.accepted() or 0) >= half, 900),
                f"half was not taken: {load.said()}")
    stage.kill(daemon)
    daemon.start()
    stage.check(load.finish() == 0, f"not all was taken: {load.said()}")
    stage.check(daemon.accepted() == load.events, f"{daemon.accepted()} were taken")
    daemon.sample()
    away = daemon.peak_memory_bytes
    database.start()
    stage.settle(load)
    stage.say(f"peak memory with the database away {away >> 20} MiB, over all "
              f"{daemon.peak_memory_bytes >> 20} MiB")
    stage.check(max(away, daemon.peak_memory_bytes) <= MEMORY_BYTES_MAX,
                f"memory reached {daemon.peak_memory_bytes} bytes")
    status = daemon.terminate()
    stage.check(status == 0, f"ended with {status}: {daemon.log_tail()}")


if __name__ == "__main__":
    frame.main(run, "With the database away for an hour's worth of events memory stays within 96 "
               "MiB, and all drains by itself afterwards.")
