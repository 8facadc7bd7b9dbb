"""A gateway written against the generated Python stub alone: it shares no code with the daemon or
with the project's own client."""

import queue
import sys
import threading
import uuid

from harness import Late, PATIENCE, STUBS

sys.path.insert(0, str(STUBS))
import google  # noqa: E402  pylint: disable=wrong-import-position

google.__path__.append(str(STUBS / "google"))

import grpc  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from holdfast.v1 import admin_pb2, admin_pb2_grpc  # noqa: E402,F401
from holdfast.v1 import event_pb2, ingest_pb2, ingest_pb2_grpc  # noqa: E402

# 2026-03-01T00:00:00Z.
DAY = 1772323200


def open_channel(daemon):
    return grpc.insecure_channel(daemon.target, options=[
        ("grpc.max_receive_message_length", 16 << 20),
        ("grpc.max_send_message_length", 64 << 20),
        ("grpc.initial_reconnect_backoff_ms", 50),
        ("grpc.max_reconnect_backoff_ms", 200),
        # A channel of its own, so that a restart does not meet another test's backoff.
        ("grpc.use_local_subchannel_pool", 1),
    ])


def usage(number, key="key-1", second=0, **fields):
    values = {"event_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"usage {number}")),
              "api_key_id": key, "account_id": "account-1", "account_type": "claude",
              "model": "model-1", "request_id": f"request-{number}", "endpoint": "/v1/messages",
              "method": "POST", "status_code": 200, "duration_ms": 12, "input_tokens": 10,
              "output_tokens": 20, "cost_micros": 300, "real_cost_micros": 400}
    values.update(fields)
    event = event_pb2.Event(usage=event_pb2.UsageEvent(**values))
    event.occurred_at.seconds = DAY + second
    return event


def message(number, conversation=1, second=0, **fields):
    values = {"ig_message_id": f"mid.{number}", "ig_sender_id": "sender", "ig_recipient_id": "page",
              "text": f"text {number}", "timestamp_ms": (DAY + second) * 1000,
              "conversation_id": conversation, "direction": event_pb2.DIRECTION_IN}
    values.update(fields)
    event = event_pb2.Event(message=event_pb2.MessageEvent(**values))
    event.occurred_at.seconds = DAY + second
    return event


def rate_limit(identifier="user:1", second=0, **fields):
    values = {"identifier": identifier, "window_type": event_pb2.WINDOW_TYPE_MINUTE,
              "route_path": "/v1/messages"}
    values.update(fields)
    event = event_pb2.Event(rate_limit=event_pb2.RateLimitEvent(**values))
    event.occurred_at.seconds = DAY + second
    return event


class Stream:
    """One open stream. Answers are collected by a thread; the wait_... methods wait for them."""

    def __init__(self, channel, producer=None, ack_level=ingest_pb2.ACK_LEVEL_COMMITTED,
                 metadata=None):
        self.producer = producer or str(uuid.uuid4())
        self.journaled = 0
        self.committed = 0
        self.errors = {}  # By sequence.
        self.end = None   # (code, details, trailing metadata) once it is over.
        self.welcome = None
        self._changed = threading.Condition()
        self._requests = queue.SimpleQueue()
        self._call = ingest_pb2_grpc.IngestServiceStub(channel).Stream(
            iter(self._requests.get, None), wait_for_ready=True, timeout=600, metadata=metadata)
        self._requests.put(ingest_pb2.StreamRequest(
            hello=ingest_pb2.Hello(producer_id=self.producer, ack_level=ack_level)))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        try:
            for response in self._call:
                with self._changed:
                    self._take(response)
                    self._changed.notify_all()
        except grpc.RpcError:
            pass
        with self._changed:
            self.end = (self._call.code(), self._call.details(),
                        dict(self._call.trailing_metadata() or ()))
            self._changed.notify_all()

    def _take(self, response):
        which = response.WhichOneof("response")
        if which == "welcome":
            self.welcome = response.welcome
        elif which == "ack":
            self.journaled = response.ack.journaled_through
            self.committed = response.ack.committed_through
        else:
            self.errors[response.event_error.sequence] = response.event_error

    def _wait(self, condition, what):
        with self._changed:
            done = self._changed.wait_for(condition, timeout=PATIENCE)
        if not done:
            raise Late(f"{what}: journaled {self.journaled}, committed {self.committed}, "
                       f"ended {self.end}")

    def wait_welcome(self):
        self._wait(lambda: self.welcome or self.end, "no Welcome")
        if not self.welcome:
            raise AssertionError(f"the stream ended without a Welcome: {self.end}")
        return self.welcome

    def send(self, first_sequence, events):
        self._requests.put(ingest_pb2.StreamRequest(batch=ingest_pb2.EventBatch(
            first_sequence=first_sequence, events=events)))

    def wait_journaled(self, sequence):
        self._wait(lambda: self.journaled >= sequence or self.end, f"not journaled to {sequence}")
        assert self.journaled >= sequence, f"the stream ended: {self.end}"

    def wait_committed(self, sequence):
        self._wait(lambda: self.committed >= sequence or self.end, f"not committed to {sequence}")
        assert self.committed >= sequence, f"the stream ended: {self.end}"

    def wait_end(self):
        self._wait(lambda: self.end, "the stream did not end")
        return self.end

    def half_close(self):
        self._requests.put(None)

    def cancel(self):
        self._requests.put(None)
        self._call.cancel()
        self.wait_end()


def bad_request_fields(error):
    """The fields that a refused unary call names in its google.rpc.BadRequest."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            fields = []
            for detail in status_pb2.Status.FromString(value).details:
                request = error_details_pb2.BadRequest()
                if detail.Unpack(request):
                    fields += [violation.field for violation in request.field_violations]
            return fields
    return []
