"""Calls holdfast-bench and holdfast-micro, which measure."""

import json
import os
import pathlib
import subprocess

import harness

PATIENCE_SECONDS = 1200


class Failed(Exception):
    """A run came to no figure."""


def find(name):
    """A program of the build that has the tests; the daemon may be of another one."""
    folders = [os.environ.get("HOLDFAST_BENCH_BIN"), os.environ.get("HOLDFAST_BIN_DEFAULT"),
               harness.BIN]
    for folder in filter(None, folders):
        if (pathlib.Path(folder) / name).exists():
            return pathlib.Path(folder) / name
    raise Failed(f"{name} is in none of {', '.join(str(one) for one in folders if one)}")


def arguments(how, **flags):
    return [find("holdfast-bench"), f"--how={how}",
            *(f"--{name}={value}" for name, value in flags.items())]


def read(how, done):
    if done.returncode != 0:
        raise Failed(f"{how} ended with {done.returncode}: {done.stderr.strip()[-1000:]}")
    return json.loads(done.stdout)


def measure(how, **flags):
    """Runs it to its end; returns what it printed."""
    done = subprocess.run(arguments(how, **flags), capture_output=True, text=True, check=False,
                          timeout=PATIENCE_SECONDS, env=_environment())
    return read(how, done)


class Running:
    """A run beside which other things happen."""

    def __init__(self, how, **flags):
        self.how = how
        self.process = subprocess.Popen(arguments(how, **flags), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=_environment())

    def over(self):
        return self.process.poll() is not None

    def finish(self):
        """Waits for its end; returns what it printed."""
        out, errors = self.process.communicate(timeout=PATIENCE_SECONDS)
        return read(self.how, subprocess.CompletedProcess([], self.process.returncode, out,
                                                          errors))

    def close(self):
        harness.end_process(self.process, patience=5)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()


def micro(quick):
    """Google Benchmark's own JSON of all small benchmarks."""
    done = subprocess.run(
        [find("holdfast-micro"), "--benchmark_format=json",
         f"--benchmark_min_time={0.01 if quick else 0.5}"],
        capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    return read("holdfast-micro", done)


def _environment():
    # One thread of gRPC's is enough where two cores serve client, daemon and database.
    return {**os.environ, "GRPC_VERBOSITY": "ERROR"}
