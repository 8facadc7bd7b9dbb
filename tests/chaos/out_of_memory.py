#!/usr/bin/python3
"""Memory runs out under load: in some lives an allocation fails, in others the kernel kills."""

import os
import pathlib
import re
import resource

import frame

CGROUPS = pathlib.Path("/sys/fs/cgroup/memory")


def run(stage):
    database = stage.database()
    daemon = stage.daemon(database)
    load = stage.load(daemon, events=stage.pick(1_500_000, 8_000_000),
                      rate=stage.pick(30000, 60000))
    load.wait_fed(1000)
    ways = [allocation_fails] + ([kernel_kills] if can_make_group(stage) else [])
    for way in ways * stage.pick(1, 10):
        # As soon as it runs: later it has all that it ever needs.
        stage.kill(daemon)
        daemon.start()
        way(stage, daemon)
        status = daemon.wait_end(120)
        stage.say(f"{way.__name__}: {status}")
        stage.check(status < 0 or status == 74, f"ended with {status}: {daemon.log_tail()}")
        stage.check(not load.over, f"the load ended early: {load.said()}")
        daemon.start(ready=True)
    load.halt()
    stage.settle(load)


def allocation_fails(stage, daemon):
    """It may have no more writable memory than it has."""
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as status:
        used = int(re.search(r"VmData:\s+(\d+) kB", status.read())[1]) * 1024
    limit = used + stage.random.randrange(1 << 20)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_DATA, (limit, limit))


def can_make_group(stage):
    """A memory cgroup of this test's own, if this machine lets us have one."""
    group = CGROUPS / f"holdfast-chaos-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        stage.say("no memory cgroup can be made here: only allocations fail")
        return False
    stage.after_servers(group.rmdir)
    stage.group = group
    return True


def kernel_kills(stage, daemon):
    """A memory limit just above what it holds."""
    (stage.group / "memory.limit_in_bytes").write_text("-1", encoding="ascii")
    (stage.group / "cgroup.procs").write_text(str(daemon.process.pid), encoding="ascii")
    # What it held before belongs to the group it came from; what it takes from now on counts here.
    (stage.group / "memory.limit_in_bytes").write_text(str(2 << 20), encoding="ascii")


if __name__ == "__main__":
    frame.main(run, "A daemon that runs out of memory loses nothing and counts nothing twice.")
