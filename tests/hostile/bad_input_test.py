"""The corpus of bad input: each case gets the answer that the contract says and changes nothing;
each good one, however strange, is in the database byte for byte."""

import struct
import sys
import unittest
import uuid

import hostile  # First: it says where harness is.
import corpus
import stored
from hostile import grpc, ingest_pb2, ingest_pb2_grpc, usage
from raw_http2 import (Connection, DATA, END_HEADERS, END_STREAM, HEADERS, call_headers, frame,
                       message as framed)

COMMITTED = ingest_pb2.ACK_LEVEL_COMMITTED
TABLES = ("usage_records", "usage_stats", "message", "rate_limit_records", "holdfast_quarantine",
          "holdfast_rate_limit_hits")
REQUEST_BYTES_MAX = (4 << 20) + 64


def field(number, payload):
    """A field of bytes as protobuf has it."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value):
    encoded = b""
    while value >= 128:
        encoded += bytes([value % 128 + 128])
        value //= 128
    return encoded + bytes([value])


class BadInputTest(hostile.HostileTest):

    with_database = True
    settings = {"HOLDFAST_PRODUCERS_MAX": 100}

    def setUp(self):
        self.channel = hostile.open_channel(self.daemon)
        self.addCleanup(self.channel.close)
        self.stub = ingest_pb2_grpc.IngestServiceStub(self.channel)
        self.raw_write = self.channel.unary_unary("/holdfast.v1.IngestService/Write")

    def write(self, events, producer="", first=0, wait_for=COMMITTED):
        return self.stub.Write(ingest_pb2.WriteRequest(
            producer_id=producer, wait_for=wait_for,
            batch=ingest_pb2.EventBatch(first_sequence=first, events=events)), timeout=60).results

    def code_of(self, encoded):
        try:
            self.raw_write(encoded, timeout=60)
            return grpc.StatusCode.OK
        except grpc.RpcError as error:
            return error.code()

    def state(self):
        """What there is in the database and in the journal."""
        rows = [self.database.number(f"SELECT COUNT(*) FROM {table}") for table in TABLES]
        return rows + [self.daemon.wait_drained()["accepted"]]

    def assert_each_refused(self, cases):
        """`cases`: (what, event or its bytes, field). All in one batch, with a good one between."""
        cases = list(cases)
        before = self.state()
        encoded = b"".join(
            field(2, event if isinstance(event, bytes) else event.SerializeToString())
            for _, event, _ in cases)
        answer = ingest_pb2.WriteResponse.FromString(
            self.raw_write(field(2, encoded) + b"\x18\x02", timeout=60))
        self.assertEqual(len(answer.results), len(cases))
        for (what, _, at_fault), result in zip(cases, answer.results):
            with self.subTest(what):
                self.assertEqual(result.outcome, ingest_pb2.OUTCOME_REFUSED)
                self.assertEqual(result.field, at_fault)
                self.assertEqual(result.code, grpc.StatusCode.INVALID_ARGUMENT.value[0])
                self.assertGreater(len(result.reason), 5)
        self.assertEqual(self.state(), before)

    # --- single events ---

    def test_what_is_too_long_or_empty_is_refused_by_its_name(self):
        self.assert_each_refused(corpus.too_long())

    def test_what_is_out_of_range_is_refused_by_its_name(self):
        self.assert_each_refused(corpus.out_of_range())

    def test_wrong_times_are_refused_by_their_name(self):
        self.assert_each_refused(corpus.wrong_times())

    def test_unknown_kinds_and_enums_are_refused_by_their_name(self):
        self.assert_each_refused(corpus.unknown_kinds())

    def test_what_is_not_utf8_is_refused_by_its_name_and_prints_nothing(self):
        before = len(self.daemon.log.read_bytes())
        self.assert_each_refused(corpus.not_utf8())
        self.assertEqual(self.daemon.log.read_bytes()[before:], b"")

    def test_an_event_cut_off_anywhere_is_refused_or_another_event(self):
        whole = usage("cut").SerializeToString()
        # Where a field ends an event may end, too; without its key or its id it is refused as well.
        pieces = [whole[:end] for end in range(1, len(whole))]
        good = 0
        for piece in pieces:
            try:
                event = corpus.event_pb2.Event.FromString(piece)
                good += event.usage.api_key_id != "" and event.HasField("occurred_at")
            except Exception:  # pylint: disable=broad-except
                pass
        self.assertEqual(good, 0, "the length of the inner message comes first")
        results = ingest_pb2.WriteResponse.FromString(self.raw_write(
            field(2, b"".join(field(2, piece) for piece in pieces)), timeout=60)).results
        self.assertEqual({result.outcome for result in results}, {ingest_pb2.OUTCOME_REFUSED})

    # --- what is good ---

    def test_what_is_at_the_limits_or_only_looks_strange_lands_byte_for_byte(self):
        cases = list(corpus.at_the_limits()) + list(corpus.strange())
        results = self.write([event for _, event in cases])
        for (what, event), result in zip(cases, results):
            with self.subTest(what):
                self.assertEqual(result.outcome, ingest_pb2.OUTCOME_COMMITTED, result)
        print(f"strange and good: {len(cases)} events", file=sys.stderr)
        found = {table: self.rows_of(table) for table in ("usage", "message", "rate_limit")}
        for what, event in cases:
            with self.subTest(what):
                kind = event.WhichOneof("kind")
                self.assertIn(stored.EXPECTED[kind](event), found[kind])

    def rows_of(self, kind):
        columns, table = stored.QUERIES[kind]
        selected = ", ".join(f"COALESCE(HEX({column}), 'NULL')" for column in columns)
        return set(self.database.sql(f"SELECT {selected} FROM {table}"))

    # --- batches ---

    def test_a_batch_has_one_event_at_least_and_8192_at_most(self):
        for count, code in ((0, grpc.StatusCode.INVALID_ARGUMENT), (1, grpc.StatusCode.OK),
                            (8192, grpc.StatusCode.OK), (8193, grpc.StatusCode.INVALID_ARGUMENT)):
            with self.subTest(count):
                before = self.state()
                request = ingest_pb2.WriteRequest(wait_for=COMMITTED, batch=ingest_pb2.EventBatch(
                    events=[corpus.message(f"{count} {n}", text="") for n in range(count)]))
                self.assertEqual(self.code_of(request.SerializeToString()), code)
                taken = self.state()[-1] - before[-1]
                self.assertEqual(taken, count if code == grpc.StatusCode.OK else 0)

    def test_a_batch_has_four_mebibytes_at_most_and_not_a_byte_more(self):
        def batch_of(size):
            events = [corpus.message(f"size {size} {n}", raw_json="x" * 1040000) for n in range(4)]
            batch = ingest_pb2.EventBatch(events=events)
            batch.events.add().CopyFrom(corpus.message(f"size {size} last", raw_json="y" * 30000))
            missing = size - batch.ByteSize()
            batch.events[4].message.raw_json = "y" * (30000 + missing)
            self.assertEqual(batch.ByteSize(), size)
            return batch

        with self.memory_bounded(96 * hostile.MEBIBYTE):
            for size, code in ((4 << 20, grpc.StatusCode.OK),
                               ((4 << 20) + 1, grpc.StatusCode.INVALID_ARGUMENT)):
                with self.subTest(size):
                    encoded = field(2, batch_of(size).SerializeToString()) + b"\x18\x02"
                    self.assertEqual(self.code_of(encoded), code)
            for size in (REQUEST_BYTES_MAX + 1, 5 << 20, 16 << 20):
                with self.subTest(size):
                    self.assertIn(self.code_of(b"\x7a" + _varint(size - 6) + bytes(size - 6)),
                                  (grpc.StatusCode.INVALID_ARGUMENT,
                                   grpc.StatusCode.RESOURCE_EXHAUSTED))

    def test_requests_that_are_no_message_are_refused(self):
        whole = ingest_pb2.WriteRequest(batch=ingest_pb2.EventBatch(
            events=[usage("no message")])).SerializeToString()
        before = self.state()
        cases = {f"the first {end} bytes": whole[:end] for end in range(len(whole))}
        cases["noise"] = bytes(range(256))
        cases["a field without end"] = b"\x12\xff\xff\xff\xff\x0f"
        cases["a number without end"] = b"\xff" * 40
        cases["the field 0"] = b"\x02\x01a"
        cases["a group without end"] = b"\x0b" * 1000
        cases["a batch in 300 groups"] = field(2, b"\x0b" * 300 + b"\x0c" * 300)
        for what, encoded in cases.items():
            with self.subTest(what):
                self.assertEqual(self.code_of(encoded), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(self.state(), before)

    def test_fields_that_are_not_known_take_nothing_but_their_bytes(self):
        many = b"".join(field(99, struct.pack(">Q", number)) for number in range(100000))
        self.assertLess(len(many), 4 << 20)
        event = usage("with many unknown fields").SerializeToString()
        with self.memory_bounded(96 * hostile.MEBIBYTE):
            # On the request and on the batch they are passed over; an event with them is too large.
            self.assertEqual(self.code_of(many + field(2, field(2, event))), grpc.StatusCode.OK)
            self.assertEqual(self.code_of(field(2, field(2, event) + many)), grpc.StatusCode.OK)
            answer = self.raw_write(field(2, field(2, event + many)), timeout=60)
        result = ingest_pb2.WriteResponse.FromString(answer).results[0]
        self.assertEqual(result.outcome, ingest_pb2.OUTCOME_REFUSED)

    def test_an_id_that_is_used_again_counts_once_and_for_another_content_never(self):
        event = usage("again")
        other = usage("again", cost_micros=1)
        self.assertEqual([result.outcome for result in self.write([event, event, other, event])],
                         [ingest_pb2.OUTCOME_COMMITTED, ingest_pb2.OUTCOME_COMMITTED,
                          ingest_pb2.OUTCOME_QUARANTINED, ingest_pb2.OUTCOME_COMMITTED])
        self.assertEqual(self.write([other])[0].outcome, ingest_pb2.OUTCOME_QUARANTINED)
        self.assertEqual(self.database.number(
            "SELECT COUNT(*) FROM usage_records WHERE request_id = 'request-again'"), 1)

    def test_sums_that_would_overflow_go_to_quarantine_and_hold_up_nothing(self):
        full = corpus.rate_limit("user:full", observed=corpus.INT64_MAX)
        self.write([full])
        # The column is unsigned: so many more fit, and not one beyond.
        self.database.sql("UPDATE rate_limit_records SET request_count = 18446744073709551614 "
                          "WHERE identifier = 'user:full'")
        one = [corpus.rate_limit("user:full", hits=1)]
        self.assertEqual(self.write(one)[0].outcome, ingest_pb2.OUTCOME_COMMITTED)
        self.assertEqual(self.write(one)[0].outcome, ingest_pb2.OUTCOME_QUARANTINED)
        self.write([usage("rich", key="rich")])
        self.database.sql("UPDATE usage_stats SET cost_micros = 9223372036854775000 "
                          "WHERE api_key_id = 'rich'")
        results = self.write([usage("rich 2", key="rich", cost_micros=10**14),
                              usage("poor", key="poor")])
        self.assertEqual([result.outcome for result in results],
                         [ingest_pb2.OUTCOME_QUARANTINED, ingest_pb2.OUTCOME_COMMITTED])
        self.assertEqual(self.database.sql(
            "SELECT request_count FROM rate_limit_records WHERE identifier = 'user:full'"),
            [("18446744073709551615",)])
        self.assertEqual(self.database.sql(
            "SELECT requests, cost_micros FROM usage_stats WHERE api_key_id = 'rich'"),
            [("1", "9223372036854775000")])

    # --- sequences ---

    def test_sequences_with_gaps_or_without_a_beginning_are_refused(self):
        def code(events, first, producer=None):
            return self.code_of(ingest_pb2.WriteRequest(
                producer_id=producer or str(uuid.uuid4()),
                batch=ingest_pb2.EventBatch(first_sequence=first, events=events))
                .SerializeToString())
        before = self.state()
        event = usage("sequence")
        self.assertEqual(code([event], 0), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(code([event], 2), grpc.StatusCode.FAILED_PRECONDITION)
        self.assertIn(code([event], 2**64 - 1), (grpc.StatusCode.FAILED_PRECONDITION,
                                                 grpc.StatusCode.INVALID_ARGUMENT))
        self.assertEqual(code([event, event], 2**64 - 1), grpc.StatusCode.INVALID_ARGUMENT)
        for name in ("", "nobody", "00000000-0000-0000-0000-000000000000", "\x00" * 36,
                     "{" + str(uuid.uuid4()) + "}", "x" * 100000):
            if name:
                self.assertEqual(code([event], 1, name), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(self.state(), before)

    def test_overlapping_batches_count_what_is_new(self):
        producer = str(uuid.uuid4())
        events = [corpus.rate_limit("user:overlap", hits=1) for _ in range(10)]
        for first, count in ((1, 4), (1, 4), (3, 4), (2, 2), (1, 10)):
            self.write(events[:count], producer, first)
        self.assertEqual(self.database.sql(
            "SELECT request_count FROM rate_limit_records WHERE identifier = 'user:overlap'"),
            [("10",)])

    def test_of_two_streams_with_one_producer_the_second_goes_on(self):
        first = hostile.Stream(self.channel)
        first.wait_welcome()
        first.send(1, [usage("two streams 1")])
        first.wait_committed(1)
        second = hostile.Stream(self.channel, first.producer)
        self.assertEqual(second.wait_welcome().resume_after, 1)
        self.assertEqual(first.wait_end()[0], grpc.StatusCode.ABORTED)
        second.send(2, [usage("two streams 2")])
        second.wait_committed(2)
        second.cancel()

    def test_a_stream_that_breaks_its_order_ends_by_name_and_others_do_not(self):
        hello = ingest_pb2.StreamRequest(hello=ingest_pb2.Hello(producer_id=str(uuid.uuid4())))
        batch = ingest_pb2.StreamRequest(batch=ingest_pb2.EventBatch(
            first_sequence=1, events=[usage("order")]))
        wrong_hello = ingest_pb2.StreamRequest(hello=ingest_pb2.Hello(producer_id="me"))
        wrong_level = ingest_pb2.StreamRequest(hello=ingest_pb2.Hello(
            producer_id=str(uuid.uuid4()), ack_level=77))
        call = self.channel.stream_stream("/holdfast.v1.IngestService/Stream")
        cases = {
            "a batch before hello": [batch.SerializeToString()],
            "two hellos": [hello.SerializeToString()] * 2,
            "neither": [b""],
            "noise": [b"\xff" * 20],
            "a producer that is no UUID": [wrong_hello.SerializeToString()],
            "an unknown level": [wrong_level.SerializeToString()],
            "an empty batch": [hello.SerializeToString(), b"\x12\x00"],
        }
        bystander = hostile.Stream(self.channel)
        bystander.wait_welcome()
        for what, requests in cases.items():
            with self.subTest(what), self.assertRaises(grpc.RpcError) as caught:
                list(call(iter(requests), timeout=60))
            self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT, what)
        bystander.send(1, [usage("bystander")])
        bystander.wait_committed(1)
        bystander.cancel()

    def test_more_producers_than_are_remembered_push_out_the_longest_silent(self):
        with self.memory_bounded(64 * hostile.MEBIBYTE):
            producers = [str(uuid.uuid4()) for _ in range(300)]
            for number, producer in enumerate(producers):
                self.write([usage(f"producer {number}")], producer, 1,
                           ingest_pb2.ACK_LEVEL_JOURNALED)
        last = hostile.Stream(self.channel, producers[-1])
        self.assertEqual(last.wait_welcome().resume_after, 1)
        last.cancel()
        first = hostile.Stream(self.channel, producers[0])
        self.assertEqual(first.wait_welcome().resume_after, 0)
        first.cancel()

    # --- below gRPC's message ---

    def test_messages_with_a_wrong_length_or_a_wrong_flag_end_their_call(self):
        body = ingest_pb2.WriteRequest(batch=ingest_pb2.EventBatch(
            events=[usage("framing")])).SerializeToString()
        cases = {
            "a length of 4 GiB": b"\x00\xff\xff\xff\xff" + body,
            "a length beyond its end": b"\x00" + struct.pack(">I", len(body) + 1) + body,
            "an unknown flag": b"\x07" + struct.pack(">I", len(body)) + body,
            "half a header": b"\x00\x00",
            "nothing": b"",
        }
        # What gRPC lets pass, and it does no harm: one good message, and what is too much.
        lenient = {
            "flagged as compressed, by no known way": b"\x01" + framed(body)[1:],
            "two messages of one call": framed(body) * 2,
        }
        before = self.state()
        for what, data in {**cases, **lenient}.items():
            with self.subTest(what):
                if what == next(iter(lenient)):
                    self.assertEqual(self.state(), before)
                connection = Connection(self.daemon.target)
                connection.send(frame(HEADERS, END_HEADERS, 1,
                                      call_headers(b"/holdfast.v1.IngestService/Write"))
                                + frame(DATA, END_STREAM, 1, data))
                while True:
                    kind, flags, stream, payload = connection.next_frame()
                    if stream == 1 and (kind == 3 or flags & END_STREAM):
                        self.assertEqual(b"grpc-status\x010" in payload, what in lenient)
                        break
                connection.close()
        self.assertEqual(self.database.number(
            "SELECT COUNT(*) FROM usage_records WHERE request_id = 'request-framing'"), 1)

    @classmethod
    def tearDownClass(cls):
        """After all of it the books balance and nothing was logged as an error."""
        books = cls.daemon.wait_drained()
        assert books["accepted"] == sum(
            books[name] for name in ("committed", "duplicate", "quarantined", "adjusted")), books
        assert not cls.daemon.log_lines("error"), cls.daemon.log_tail()


if __name__ == "__main__":
    unittest.main(verbosity=2)
