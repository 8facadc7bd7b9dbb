"""What the figures were taken on."""

import os
import platform
import re
import resource
import subprocess
import time

from frame import ROOT
from frame.servers import TICKS


def _said(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return done.stdout.strip() if done.returncode == 0 else ""


def _first(pattern, path):
    with open(path, encoding="utf-8") as text:
        found = re.search(pattern, text.read(), re.MULTILINE)
    return found[1].strip() if found else ""


def _package(name):
    return _said("dpkg-query", "-W", "-f", "${Version}", name)


def describe(stage):
    """Commit, versions, machine."""
    changed = _said("git", "status", "--porcelain", "--", "server", "client", "proto", "sql",
                    "tests/bench")
    return {
        "commit": _said("git", "rev-parse", "--short=12", "HEAD"),
        "uncommitted_changes": bool(changed),
        "taken_at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "versions": {
            "holdfast": _said("sed", "-n", r"s/^project(holdfast VERSION \([0-9.]*\).*/\1/p",
                              "CMakeLists.txt"),
            "database": stage.database.version(),
            "rsyslog": _package("rsyslog"),
            "grpc": _package("libgrpc++1.51"),
            "compiler": _said("c++", "--version").splitlines()[0],
            "kernel": platform.release(),
        },
        "machine": {
            "processor": _first(r"^model name\s*:\s*(.*)$", "/proc/cpuinfo"),
            "cores": os.cpu_count(),
            "memory_mib": int(_first(r"^MemTotal:\s+(\d+)", "/proc/meminfo")) // 1024,
            "file_system": stage.file_system,
        },
        "lanes_per_kind": stage.lanes,
        "rows_of_a_transaction": stage.rows,
        "database_settings": stage.database.durability(),
    }


class Noise:
    """What else the machine did while a part ran, as shares of all its processors' time: what
    others' processes took, and what was stolen by other machines on the same host."""

    def __init__(self, stage):
        self.load = os.getloadavg()[0]
        self._stage = stage
        self._before = self._read()

    def _read(self):
        values = [int(value) for value in _first(r"^cpu\s+(.*)$", "/proc/stat").split()]
        # Children that have ended and been waited for, those that run, and this process.
        own = (sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
               + sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
               + self._stage.running_cpu_seconds())
        return {"all": sum(values[:8]) / TICKS, "stolen": values[7] / TICKS, "own": own,
                "idle": (values[3] + values[4]) / TICKS}

    def since(self):
        now = self._read()
        moved = {name: now[name] - self._before[name] for name in now}
        busy = moved["all"] - moved["idle"] - moved["stolen"]
        return {"load_before": round(self.load, 2),
                "others_share": round(max(0, busy - moved["own"]) / moved["all"], 3),
                "stolen_share": round(moved["stolen"] / moved["all"], 3)}
