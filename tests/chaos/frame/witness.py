"""A gateway that sends one batch at a time and remembers what was acknowledged when."""

import json

from google.protobuf import json_format

import foreign_client
import harness


class Witness:
    """Sends usage events of its own keys on one producer id, on as many streams as it takes."""

    def __init__(self, name="witness"):
        self.name = name
        self.lines = []   # What was sent, as `holdfast send` would read it.
        self.acknowledged = 0
        self._stream = self._channel = None

    def open(self, daemon):
        """Opens a stream under the same producer id; returns after how many events it goes on, None
        if the daemon turned it away or ended."""
        self.close()
        self._channel = foreign_client.open_channel(daemon)
        producer = self._stream.producer if self._stream else None
        self._stream = foreign_client.Stream(self._channel, producer,
                                             foreign_client.ingest_pb2.ACK_LEVEL_JOURNALED)
        stream = self._stream
        harness.wait_for(lambda: stream.welcome or stream.end or not daemon.running(),
                         "a Welcome", interval=0.002)
        return stream.welcome.resume_after if stream.welcome else None

    def send(self, count=1):
        """Sends so many events as one batch; returns whether it was acknowledged as journaled
        before the stream ended."""
        first = len(self.lines) + 1
        events = [foreign_client.usage(f"{self.name} {number}", key=f"{self.name}-{number % 5}")
                  for number in range(first, first + count)]
        self.lines += [json.dumps(json_format.MessageToDict(event)) for event in events]
        self._stream.send(first, events)
        return self.wait_acknowledged()

    def resend(self, after):
        """Sends again, in one batch, what is not held after `after`."""
        for first in range(after, len(self.lines), 1000):
            events = [json_format.ParseDict(json.loads(line), foreign_client.event_pb2.Event())
                      for line in self.lines[first:first + 1000]]
            self._stream.send(first + 1, events)
        return self.wait_acknowledged()

    def wait_acknowledged(self):
        """Whether everything that was sent is acknowledged; False once the stream has ended."""
        stream, wanted = self._stream, len(self.lines)
        harness.wait_for(lambda: stream.journaled >= wanted or stream.end is not None,
                         f"{wanted} events to be acknowledged", interval=0.001)
        self.acknowledged = max(self.acknowledged, stream.journaled)
        return stream.journaled >= wanted

    def ended_with(self):
        """The name of the status with which the last stream ended."""
        stream = self._stream
        harness.wait_for(lambda: stream.end, "the stream to end")
        return stream.end[0].name

    def add_to(self, expected):
        for line in self.lines:
            expected.add(line)

    def close(self):
        if self._channel:
            self._stream.cancel()
            self._channel.close()
            self._channel = None
