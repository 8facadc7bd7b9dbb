"""rsyslog as a rival: a private process that takes JSON over TCP and writes with ommysql."""

import glob
import shutil
import socket
import subprocess

import harness
from frame.program import Failed

COLUMNS = ("api_key_id", "account_id", "account_type", "model", "request_id", "endpoint",
           "method", "status_code", "stream", "duration_ms", "input_tokens", "output_tokens",
           "cache_read_tokens", "cost_micros", "real_cost_micros", "occurred_at")
# Columns without a default that the events do not carry.
CONSTANTS = ("cache_create_tokens", "ephemeral_5m_tokens", "ephemeral_1h_tokens", "long_context",
             "content_hash", "batch_tag")

CONFIGURATION = """\
global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imptcp")
module(load="mmjsonparse")
module(load="ommysql")
main_queue(queue.type="FixedArray" queue.size="200000" queue.workerThreads="2"
           queue.workerThreadMinimumMessages="1000" queue.dequeueBatchSize="4096"
           queue.timeoutEnqueue="600000")
template(name="row" type="string" option.sql="on" string="{statement}")
input(type="imptcp" address="127.0.0.1" port="{port}")
action(type="mmjsonparse")
action(type="ommysql" server="localhost" socket="{socket}" db="{schema}" uid="{user}"
       pwd="{password}" template="row" action.resumeRetryCount="-1")
"""


class Rsyslog:
    """In a `with`: its process. The settings are those with which it is fastest."""

    def __init__(self, stage, schema="holdfast"):
        self.folder = stage.folder / "rsyslog"
        self.folder.mkdir(exist_ok=True)
        self.database = stage.database
        self.schema = schema
        self.port = harness.free_port()
        self.process = None

    def __enter__(self):
        program = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin")
        if not program or not glob.glob("/usr/lib/*/rsyslog/ommysql.so"):
            raise Failed("rsyslog or its ommysql is missing: run deploy/install-deps bench")
        # ommysql takes no empty password.
        self.database.sql("CREATE USER IF NOT EXISTS rsyslog@localhost IDENTIFIED BY 'rsyslog'; "
                          f"GRANT INSERT ON {self.schema}.* TO rsyslog@localhost", None)
        names = ", ".join(("event_id", *COLUMNS, *CONSTANTS))
        values = ", ".join(("UNHEX('%$!event_id%')", *(f"'%$!{name}%'" for name in COLUMNS),
                            *("0" for _ in CONSTANTS)))
        configuration = self.folder / "rsyslog.conf"
        configuration.write_text(CONFIGURATION.format(
            folder=self.folder, port=self.port, socket=self.database.socket, schema=self.schema,
            user="rsyslog", password="rsyslog",
            statement=f"INSERT INTO usage_records ({names}) VALUES ({values})"), encoding="ascii")
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [program, "-n", "-f", configuration, "-i", self.folder / "pid"], stdout=log,
                stderr=log, stdin=subprocess.DEVNULL)
        harness.wait_for(self._listens, f"rsyslog to listen; see {self.folder}/log")
        return self

    def _listens(self):
        if self.process.poll() is not None:
            raise Failed(f"rsyslog ended with {self.process.returncode}: "
                         + (self.folder / "log").read_text(errors="replace")[-1000:])
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(self, *_):
        harness.end_process(self.process)
