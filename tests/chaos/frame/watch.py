"""A gateway that waits for COMMITTED and notices if what it was told is taken back."""

import json

from google.protobuf import json_format

import foreign_client


class Watch(foreign_client.Stream):
    """A stream that sends usage events of its own, one at a time."""

    def __init__(self, daemon, name="watch"):
        self.went_down = []
        self._name = name
        self.lines = []
        self._channel = foreign_client.open_channel(daemon)
        super().__init__(self._channel)
        self.wait_welcome()

    def _take(self, response):
        before = (self.journaled, self.committed)
        super()._take(response)
        after = (self.journaled, self.committed)
        if after[0] < before[0] or after[1] < before[1]:
            self.went_down.append((before, after))

    def send_one(self):
        number = len(self.lines) + 1
        event = foreign_client.usage(f"{self._name} {number}", key=f"{self._name}-{number % 5}")
        self.lines.append(json.dumps(json_format.MessageToDict(event)))
        self.send(number, [event])

    def add_to(self, expected):
        for line in self.lines:
            expected.add(line)

    def close(self):
        self.cancel()
        self._channel.close()
