"""Databases that listen on a loopback port: alone, as primary and copy, and as a Galera cluster."""

import os
import pathlib
import re
import shutil
import subprocess

import harness

# Not an administrator: read_only binds it.
USER = "holdfast"
HERE = pathlib.Path(__file__).resolve().parent
GALERA = pathlib.Path("/usr/lib/galera/libgalera_smm.so")


def as_root():
    return ["--user=root"] if os.geteuid() == 0 else []


class Server(harness.Database):
    """A MariaDB with a port. `options`: more of its command line, for the next starts."""

    def __init__(self, folder, server_id, *options):
        super().__init__(folder)
        self.server_id, self.options = server_id, list(options)
        self.port = harness.free_port()
        self.environment = {}  # More of it.

    def start_without_waiting(self):
        arguments = [harness._program("mariadbd"), "--no-defaults",  # pylint: disable=W0212
                     f"--datadir={self.folder}/data", f"--tmpdir={self.folder}",
                     f"--socket={self.socket}",
                     f"--pid-file={self.folder}/pid", "--bind-address=127.0.0.1",
                     f"--port={self.port}", f"--server-id={self.server_id}",
                     "--innodb-buffer-pool-size=128M", "--innodb-log-file-size=96M",
                     "--max-connections=100", *self.options, *as_root()]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL,
                                            env={**os.environ, **self.environment})

    def empty(self):
        """Forgets everything. It must not be running."""
        shutil.rmtree(self.folder / "data")
        shutil.copytree(harness._template(), self.folder / "data")  # pylint: disable=W0212

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def add_user(self):
        """The daemon's account, which may also make the tables."""
        self.sql(f"CREATE USER {USER}@'127.0.0.1'; GRANT ALL "
                 f"ON holdfast.* TO {USER}@'127.0.0.1'", None)


def settings(*servers, **more):
    """Settings of a daemon that is given these servers."""
    return {"MYSQL_SOCKET": "", "MYSQL_HOST": ",".join(server.host for server in servers),
            "MYSQL_SSL_MODE": "disabled", "MYSQL_USER": USER, **more}


# --- a primary and its copy -------------------------------------------------------------------------


class Pair:
    """Two servers, either of which can follow the other."""

    def __init__(self, stage):
        options = ("--log-bin=binlog", "--log-slave-updates", "--binlog-format=ROW",
                   "--gtid-strict-mode=OFF", "--skip-slave-start", "--slave-net-timeout=5")
        self.servers = [Server(stage.folder / f"db{number}", number, *options)
                        for number in (1, 2)]
        for server in self.servers:
            stage.databases.append(server)
            server.start()
        self.follow(*reversed(self.servers))

    def follow(self, copy, primary):
        """`copy` repeats what `primary` does, from where it stands, and cannot be written to."""
        copy.sql("SET GLOBAL read_only = 1; STOP SLAVE; "
                 f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={primary.port}, "
                 "MASTER_USER='root', MASTER_USE_GTID=current_pos, MASTER_CONNECT_RETRY=1; "
                 "START SLAVE", None)

    def catch_up(self, copy, primary):
        """Waits until `copy` has all that `primary` has."""
        position = primary.sql("SELECT @@GLOBAL.gtid_binlog_pos", None)[0][0]
        caught_up = copy.number(f"SELECT MASTER_GTID_WAIT('{position}', 60)", None)
        if caught_up != 0:
            raise harness.Late(f"the copy did not reach {position}: "
                               + str(copy.sql("SHOW SLAVE STATUS", None)))

    def other(self, server):
        return self.servers[1 - self.servers.index(server)]

    def start_over(self, server):
        """Empties a server that has gone a way of its own, and makes it the other's copy."""
        server.stop()
        server.empty()
        # A server does not repeat what was done under its own id.
        server.server_id += len(self.servers)
        server.start()
        self.follow(server, self.other(server))

    def promote(self, copy):
        """Makes it a primary, with what it has."""
        copy.sql("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0", None)


# --- Galera -----------------------------------------------------------------------------------------


class Cluster:
    """Three nodes. They begin with one and the same state, so none has to be given it whole; one
    that was killed gets what it missed from the others' memory."""

    def __init__(self, stage, *options, nodes=3):
        if not GALERA.exists():
            raise AssertionError("galera-4 is not installed: run deploy/install-deps test")
        self.nodes = [Server(stage.folder / f"db{number}", number)
                      for number in range(1, nodes + 1)]
        self.more_options = list(options)
        self._ports = [(harness.free_port(), harness.free_port()) for _ in self.nodes]
        stage.databases.extend(self.nodes)
        self._seed()
        for node in self.nodes:
            self.start(node, first=node is self.nodes[0], wait=node is self.nodes[0])
        for node in self.nodes:
            self.wait_synced(node)

    def _options(self, node):
        listen, transfer = self._ports[self.nodes.index(node)]
        provider = (f"gmcast.listen_addr=tcp://127.0.0.1:{listen};base_host=127.0.0.1;"
                    f"base_port={listen};ist.recv_addr=127.0.0.1:{transfer};gcache.size=64M;"
                    "evs.keepalive_period=PT0.3S;evs.inactive_check_period=PT0.3S;"
                    "evs.suspect_timeout=PT1S;evs.inactive_timeout=PT2S;evs.install_timeout=PT2S;"
                    "gmcast.peer_timeout=PT1S")
        members = ",".join(f"127.0.0.1:{ports[0]}" for ports in self._ports)
        return ["--wsrep-on=ON", f"--wsrep-provider={GALERA}", "--wsrep-cluster-name=holdfast",
                f"--wsrep-cluster-address=gcomm://{members}", "--binlog-format=ROW",
                "--innodb-autoinc-lock-mode=2", f"--wsrep-node-address=127.0.0.1:{listen}",
                "--wsrep-slave-threads=2", *self.more_options, f"--wsrep-provider-options={provider}",
                "--wsrep-sst-method=missed"]

    def _seed(self):
        """Gives all nodes the state that the first one made, with its place in the cluster."""
        first = self.nodes[0]
        first.options = [*self._options(first), "--wsrep-new-cluster"]
        first.start()
        first.stop()
        for node in self.nodes[1:]:
            shutil.rmtree(node.folder / "data")
            shutil.copytree(first.folder / "data", node.folder / "data")
            for own in ("gvwstate.dat", "galera.cache"):
                (node.folder / "data" / own).unlink(missing_ok=True)

    def start(self, node, first=False, wait=True):
        """Starts a node; `first`: it is the cluster as it is, and the others come to it."""
        node.options = self._options(node)
        # wsrep_sst_missed, for those that join and those that give.
        node.environment["PATH"] = f"{HERE}:{os.environ['PATH']}:/usr/sbin"
        if first:
            self._allow_to_be_first(node)
            node.options.append("--wsrep-new-cluster")
        else:
            position = self._position(node)
            node.options.append(f"--wsrep-start-position={position}")
            node.environment["HOLDFAST_POSITION"] = position
        node.start_without_waiting()
        if wait:
            self.wait_synced(node)

    def wait_synced(self, node):
        harness.wait_for(lambda: self.synced(node), f"a node to join; see {node.folder}/log")

    @staticmethod
    def _allow_to_be_first(node):
        state = node.folder / "data" / "grastate.dat"
        state.write_text(state.read_text(encoding="ascii").replace(
            "safe_to_bootstrap: 0", "safe_to_bootstrap: 1"), encoding="ascii")

    def _position(self, node):
        """Where a node stands; what its tables say if it was killed."""
        state = (node.folder / "data" / "grastate.dat").read_text(encoding="ascii")
        identity, number = (re.search(rf"{name}:\s+(\S+)", state)[1] for name in ("uuid", "seqno"))
        if number != "-1":
            return f"{identity}:{number}"
        arguments = [harness._program("mariadbd"), "--no-defaults",  # pylint: disable=W0212
                     f"--datadir={node.folder}/data", f"--tmpdir={node.folder}",
                     f"--socket={node.socket}-r",
                     "--skip-networking", "--wsrep-recover", *node.options,
                     *as_root()]
        done = subprocess.run(arguments, capture_output=True, text=True, errors="replace",
                              timeout=120, check=False)
        found = re.findall(r"Recovered position:\s*(\S+)", done.stdout + done.stderr)
        return found[-1]

    def synced(self, node):
        """Whether the node takes statements."""
        if node.process.poll() is not None:
            raise AssertionError(f"a node ended with {node.process.returncode}: "
                                 + (node.folder / "log").read_text(errors="replace")[-3000:])
        return self.said(node, "wsrep_ready") == "ON" and (
            self.said(node, "wsrep_local_state_comment") == "Synced")

    @staticmethod
    def said(node, name):
        """A status variable; None if the node does not answer."""
        try:
            rows = node.sql(f"SHOW STATUS LIKE '{name}'", None)
        except AssertionError:
            return None
        return rows[0][1] if rows else None
