"""A gateway in another language, from the generated stub: it gets what the contract says."""

import unittest
import uuid

import harness
from foreign_client import (Stream, bad_request_fields, event_pb2, grpc, ingest_pb2,
                            ingest_pb2_grpc, message, open_channel, rate_limit, usage)

MEBIBYTE = 1 << 20


class PythonClientTest(harness.DaemonTest):

    def setUp(self):
        super().setUp()
        self.daemon.start()
        self.connect()

    def connect(self):
        self.channel = open_channel(self.daemon)
        self.addCleanup(self.channel.close)
        self.ingest = ingest_pb2_grpc.IngestServiceStub(self.channel)

    def stream(self, *arguments, **named):
        stream = Stream(self.channel, *arguments, **named)
        self.addCleanup(stream.cancel)
        return stream

    def write(self, events, wait_for=ingest_pb2.ACK_LEVEL_COMMITTED, producer="", first=0):
        return self.ingest.Write(ingest_pb2.WriteRequest(
            producer_id=producer, wait_for=wait_for,
            batch=ingest_pb2.EventBatch(first_sequence=first, events=events)), timeout=60)

    def refusal(self, *arguments, **named):
        with self.assertRaises(grpc.RpcError) as caught:
            self.write(*arguments, **named)
        return caught.exception

    def count(self, table):
        return self.database.number(f"SELECT COUNT(*) FROM {table}")

    # --- streams ---

    def test_all_three_kinds_reach_their_tables_with_the_values_sent(self):
        stream = self.stream()
        self.assertEqual(stream.wait_welcome().resume_after, 0)
        stream.send(1, [usage(1, account_id="Bob ", cost_micros=1234567),
                        message(1, text="Zoë ☂ 'quoted' \\ \U0001f600"),
                        rate_limit(observed=17)])
        stream.wait_committed(3)
        self.assertEqual(stream.errors, {})
        self.assertEqual(
            self.database.sql("SELECT api_key_id, HEX(account_id), cost_micros, occurred_at "
                              "FROM usage_records"),
            [("key-1", "Bob ".encode().hex().upper(), "1234567", "2026-03-01 00:00:00.000000")])
        self.assertEqual(
            self.database.sql("SELECT api_key_id, stat_hour, requests, input_tokens, "
                              "output_tokens, cost_micros FROM usage_stats"),
            [("key-1", "2026-03-01 00:00:00", "1", "10", "20", "1234567")])
        self.assertEqual(self.database.sql("SELECT HEX(text), ad_id, direction FROM message"),
                         [("Zoë ☂ 'quoted' \\ \U0001f600".encode().hex().upper(), "NULL", "in")])
        self.assertEqual(
            self.database.sql("SELECT identifier, window_type, route_path, request_count, "
                              "window_start, window_end FROM rate_limit_records"),
            [("user:1", "minute", "/v1/messages", "17", "2026-03-01 00:00:00",
              "2026-03-01 00:01:00")])
        self.assert_books(self.daemon, accepted=3, committed=3)

    def test_both_acknowledgements_arrive_whichever_level_is_asked_for(self):
        for level in (ingest_pb2.ACK_LEVEL_JOURNALED, ingest_pb2.ACK_LEVEL_COMMITTED):
            stream = self.stream(ack_level=level)
            self.assertEqual(stream.wait_welcome().ack_level, level)
            stream.send(1, [usage(f"{level} {number}") for number in range(50)])
            stream.wait_journaled(50)
            stream.wait_committed(50)
        self.assertEqual(self.count("usage_records"), 100)

    def test_a_restarted_daemon_welcomes_a_producer_with_what_it_holds(self):
        stream = self.stream()
        stream.wait_welcome()
        stream.send(1, [usage(number) for number in range(1, 8)])
        stream.wait_committed(7)
        self.daemon.kill()
        stream.wait_end()
        self.daemon.start()
        again = self.stream(stream.producer)
        self.assertEqual(again.wait_welcome().resume_after, 7)
        again.send(5, [usage(number) for number in range(5, 11)])
        again.wait_committed(10)
        self.assertEqual(self.count("usage_records"), 10)
        self.assertEqual(self.database.number("SELECT SUM(requests) FROM usage_stats"), 10)
        self.assert_books(self.daemon, accepted=10, committed=10, duplicate=0)

    def test_an_invalid_event_is_refused_by_the_name_of_its_field_and_the_rest_lands(self):
        stream = self.stream()
        stream.wait_welcome()
        no_time = usage(5)
        no_time.ClearField("occurred_at")
        stream.send(1, [usage(1), usage(2, api_key_id="k" * 65), usage(3), usage(4, event_id=""),
                        no_time, message(6, ig_message_id=""), rate_limit(), usage(8),
                        usage(9, input_tokens=-1), usage(10, status_code=1000)])
        stream.wait_committed(10)
        self.assertEqual(
            {sequence: error.field for sequence, error in stream.errors.items()},
            {2: "usage.api_key_id", 4: "usage.event_id", 5: "occurred_at",
             6: "message.ig_message_id", 7: "rate_limit.count", 9: "usage.input_tokens",
             10: "usage.status_code"})
        for error in stream.errors.values():
            self.assertEqual(error.disposition, ingest_pb2.DISPOSITION_REFUSED)
            self.assertEqual(error.code, grpc.StatusCode.INVALID_ARGUMENT.value[0])
            self.assertTrue(error.reason)
        stream.send(11, [usage(11)])
        stream.wait_committed(11)
        self.assertEqual(self.count("usage_records"), 4)
        self.assertEqual(self.count("message") + self.count("rate_limit_records"), 0)

    def test_an_event_of_no_known_kind_is_refused_and_the_stream_goes_on(self):
        # Field 15 is a kind that only a newer gateway knows.
        unknown = usage(1)
        unknown.ClearField("usage")
        unknown = event_pb2.Event.FromString(unknown.SerializeToString() + b"\x7a\x02\x08\x01")
        stream = self.stream()
        stream.wait_welcome()
        stream.send(1, [unknown, usage(2)])
        stream.wait_committed(2)
        self.assertEqual(list(stream.errors), [1])
        self.assertEqual(stream.errors[1].field, "kind")
        self.assertEqual(self.count("usage_records"), 1)

    def test_the_last_value_that_fits_is_taken_and_the_first_that_does_not_is_refused(self):
        limits = {"event_id": 128, "api_key_id": 64, "account_id": 64, "account_type": 32,
                  "model": 128, "request_id": 128, "endpoint": 255, "method": 16}
        events, over = [], {}
        for name, limit in limits.items():
            events.append(usage(f"fits {name}", **{name: (name + "ü" + "x" * 255)[:limit - 1]}))
            events.append(usage(f"over {name}", **{name: "x" * (limit + 1)}))
            over[len(events)] = f"usage.{name}"
        stream = self.stream()
        stream.wait_welcome()
        stream.send(1, events)
        stream.wait_committed(len(events))
        self.assertEqual({sequence: error.field for sequence, error in stream.errors.items()}, over)
        self.assertEqual(self.count("usage_records"), len(limits))

    def test_a_gap_ends_the_stream_and_says_what_was_expected(self):
        stream = self.stream()
        stream.wait_welcome()
        stream.send(1, [usage(1), usage(2)])
        stream.wait_committed(2)
        stream.send(5, [usage(5)])
        code, details, _ = stream.wait_end()
        self.assertEqual(code, grpc.StatusCode.FAILED_PRECONDITION)
        self.assertIn("3", details)
        self.assertEqual(self.count("usage_records"), 2)

    def test_the_second_stream_of_a_producer_ends_the_first(self):
        first = self.stream()
        first.wait_welcome()
        first.send(1, [usage(1)])
        first.wait_journaled(1)
        second = self.stream(first.producer)
        self.assertEqual(second.wait_welcome().resume_after, 1)
        self.assertEqual(first.wait_end()[0], grpc.StatusCode.ABORTED)
        second.send(2, [usage(2)])
        second.wait_committed(2)
        self.assertEqual(self.count("usage_records"), 2)

    def test_a_stream_that_does_not_begin_with_a_hello_is_refused(self):
        batch = ingest_pb2.StreamRequest(batch=ingest_pb2.EventBatch(first_sequence=1,
                                                                     events=[usage(1)]))
        for requests in ([batch], [ingest_pb2.StreamRequest()], [ingest_pb2.StreamRequest(
                hello=ingest_pb2.Hello(producer_id="not a uuid"))]):
            with self.assertRaises(grpc.RpcError) as caught:
                list(self.ingest.Stream(iter(requests), timeout=60))
            self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(self.count("usage_records"), 0)

    def test_a_half_closed_stream_still_gets_its_acknowledgements(self):
        stream = self.stream()
        stream.wait_welcome()
        stream.send(1, [usage(number) for number in range(1, 101)])
        stream.half_close()
        code, _, _ = stream.wait_end()
        self.assertEqual(code, grpc.StatusCode.OK)
        self.assertEqual((stream.journaled, stream.committed), (100, 100))

    # --- Write ---

    def test_write_answers_with_a_result_for_each_event_in_order(self):
        answer = self.write([usage(1), usage(2, event_id=""), usage(1), message(4)])
        self.assertEqual([result.outcome for result in answer.results],
                         [ingest_pb2.OUTCOME_COMMITTED, ingest_pb2.OUTCOME_REFUSED,
                          ingest_pb2.OUTCOME_COMMITTED, ingest_pb2.OUTCOME_COMMITTED])
        self.assertEqual(answer.results[1].field, "usage.event_id")
        answer = self.write([usage(5)], ingest_pb2.ACK_LEVEL_JOURNALED)
        self.assertIn(answer.results[0].outcome,
                      (ingest_pb2.OUTCOME_JOURNALED, ingest_pb2.OUTCOME_COMMITTED))
        self.assert_books(self.daemon, accepted=4, committed=3, duplicate=1)

    def test_a_repeated_write_with_a_producer_counts_hits_once(self):
        producer = str(uuid.uuid4())
        for _ in range(3):
            self.write([rate_limit(hits=5), rate_limit(hits=7)], producer=producer, first=1)
        self.assertEqual(self.database.number("SELECT request_count FROM rate_limit_records"), 12)

    def test_a_conflicting_id_is_quarantined_and_the_first_content_stays(self):
        self.write([usage(1, cost_micros=5)])
        answer = self.write([usage(1, cost_micros=6), usage(2)])
        self.assertEqual([result.outcome for result in answer.results],
                         [ingest_pb2.OUTCOME_QUARANTINED, ingest_pb2.OUTCOME_COMMITTED])
        self.assertEqual(answer.results[0].code, grpc.StatusCode.ALREADY_EXISTS.value[0])
        self.assertEqual(self.database.number("SELECT SUM(cost_micros) FROM usage_stats"), 305)
        self.assertEqual(self.database.sql("SELECT kind, error_number FROM holdfast_quarantine"),
                         [("usage", "0")])

    def test_a_batch_that_can_never_be_right_is_refused_whole(self):
        producer = str(uuid.uuid4())
        self.assertEqual(self.refusal([]).code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(self.refusal([usage(n) for n in range(8193)]).code(),
                         grpc.StatusCode.INVALID_ARGUMENT)
        error = self.refusal([usage(1)], producer="x" * 36)
        self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(bad_request_fields(error), ["producer_id"])
        error = self.refusal([usage(1)], producer=producer)
        self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(bad_request_fields(error), ["batch.first_sequence"])
        error = self.refusal([usage(9)], producer=producer, first=9)
        self.assertEqual(error.code(), grpc.StatusCode.FAILED_PRECONDITION)
        self.assertEqual(self.count("usage_records"), 0)

    def test_an_event_over_a_mebibyte_is_refused_and_a_request_over_the_limit_too(self):
        big = message(1, raw_json="x" * (MEBIBYTE + 1))
        answer = self.write([big, message(2)])
        self.assertEqual([result.outcome for result in answer.results],
                         [ingest_pb2.OUTCOME_REFUSED, ingest_pb2.OUTCOME_COMMITTED])
        error = self.refusal([message(n, raw_json="x" * (MEBIBYTE - 1000)) for n in range(10, 15)])
        self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT, error.details())
        self.write([message(n, raw_json="x" * (MEBIBYTE - 1000)) for n in range(20, 23)])
        self.assertEqual(self.count("message"), 4)

    # --- the rest of the door ---

    def test_health_is_told_for_the_daemon_and_for_each_service(self):
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        serving = b"\x08\x01"
        for service in (b"", b"holdfast.v1.IngestService", b"holdfast.v1.AdminService"):
            request = b"\x0a" + bytes([len(service)]) + service if service else b""
            self.assertEqual(check(request, timeout=30), serving, service)
        with self.assertRaises(grpc.RpcError) as caught:
            check(b"\x0a\x04none", timeout=30)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_reflection_lists_the_services(self):
        ask = self.channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        answer = b"".join(ask(iter([b"\x3a\x01*"]), timeout=30))
        for service in (b"holdfast.v1.IngestService", b"holdfast.v1.AdminService",
                        b"grpc.health.v1.Health"):
            self.assertIn(service, answer)

    def test_the_metrics_count_what_was_sent(self):
        self.write([usage(1), usage(1), usage(2, event_id="")])
        metrics = self.daemon.metrics()
        self.assertEqual(metrics.sum("holdfast_events_accepted_total", kind="usage"), 2)
        self.assertEqual(metrics.sum("holdfast_events_committed_total", kind="usage"), 1)
        self.assertEqual(metrics.sum("holdfast_events_duplicate_total", kind="usage"), 1)
        self.assertEqual(metrics.sum("holdfast_events_refused_total", kind="usage"), 1)
        self.assertTrue(metrics.has("holdfast_build_info"))


if __name__ == "__main__":
    unittest.main()
