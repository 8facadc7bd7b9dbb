"""The database as it is measured, and daemons whose time and memory are watched."""

import os
import re
import subprocess

import harness

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of a process, over all its threads."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_bytes(pid, name="VmHWM"):
    """The peak of a process's resident memory (VmHWM), or what it is now (VmRSS)."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(rf"^{name}:\s+(\d+) kB", status.read(), re.MULTILINE)[1]) * 1024


class Database(harness.Database):
    """A MariaDB with its default durability: every commit is synced."""

    def __init__(self, folder, quick):
        super().__init__(folder)
        # What the table needs is in memory; beyond that it is as it comes.
        self.options = (["--innodb-buffer-pool-size=128M", "--innodb-log-file-size=96M"] if quick
                        else ["--innodb-buffer-pool-size=2G", "--innodb-log-file-size=512M"])

    def start_without_waiting(self):
        arguments = [harness._program("mariadbd"), "--no-defaults",
                     f"--datadir={self.folder}/data", f"--socket={self.socket}",
                     f"--pid-file={self.folder}/pid", "--skip-networking", "--local-infile=1",
                     # Not /tmp: a server that starts removes the temporary tables that it finds.
                     f"--tmpdir={self.folder}", "--max-connections=250", *self.options]
        if os.geteuid() == 0:
            arguments.append("--user=root")
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def version(self):
        return self.sql("SELECT VERSION()", None)[0][0]

    def durability(self):
        """The settings that decide what a commit costs."""
        names = ("innodb_flush_log_at_trx_commit", "sync_binlog", "log_bin",
                 "innodb_buffer_pool_size", "innodb_log_file_size")
        return {name: self.sql(f"SELECT @@{name}", None)[0][0] for name in names}


class Daemon(harness.Daemon):
    """A daemon whose time and memory are read from /proc."""

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def peak_bytes(self):
        return memory_bytes(self.process.pid)

    def start_taking(self):
        """Starts it and waits until it takes events, with or without its database."""
        self.start_without_waiting()
        harness.wait_for(lambda: self.page("/readyz")[0] == 200,
                         f"the daemon to take events: {self.log}", interval=0.005)
