"""Bad input, and strange input that is good: tables, a line for each case."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from foreign_client import event_pb2, message, rate_limit, usage  # noqa: E402

INT64_MAX = 2**63 - 1
UINT32_MAX = 2**32 - 1
MONEY_MAX = 10**14
YEAR_9999 = 253402300799

# The longest that each text field may be, in bytes, and whether it may be empty.
LENGTHS = {
    "usage": {"event_id": (128, False), "api_key_id": (64, False), "account_id": (64, True),
              "account_type": (32, True), "model": (128, True), "request_id": (128, True),
              "endpoint": (255, True), "method": (16, True)},
    "message": {"ig_message_id": (255, False), "ig_sender_id": (255, False),
                "ig_recipient_id": (255, False), "text": (65535, True),
                "sender_username": (255, True), "story_id": (255, True),
                "story_url": (2048, True), "ad_id": (255, True), "ad_link": (2048, True),
                "ad_title": (512, True), "ad_image_url": (2048, True), "ad_name": (255, True),
                "attachments_json": (None, True), "raw_json": (None, True),
                "referral_json": (None, True)},
    "rate_limit": {"identifier": (255, False), "route_path": (500, True)},
}

# The least and the greatest of each number.
NUMBERS = {
    "usage": {"status_code": (0, 999), "duration_ms": (0, UINT32_MAX),
              "input_tokens": (0, UINT32_MAX), "output_tokens": (0, UINT32_MAX),
              "cache_create_tokens": (0, UINT32_MAX), "cache_read_tokens": (0, UINT32_MAX),
              "ephemeral_5m_tokens": (0, UINT32_MAX), "ephemeral_1h_tokens": (0, UINT32_MAX),
              "cost_micros": (0, MONEY_MAX), "real_cost_micros": (0, MONEY_MAX)},
    "message": {"timestamp_ms": (0, YEAR_9999 * 1000 + 999), "conversation_id": (1, INT64_MAX)},
    "rate_limit": {"observed": (0, INT64_MAX), "hits": (1, 10**9)},
}

# Text that is good, however it looks, and has to arrive as it is.
STRANGE = {
    "a quote": "'",
    "a closed statement": "'; DROP TABLE usage_records; -- ",
    "a double quote": "\"\" OR \"\"=\"",
    "backslashes": "\\\\' \\0 \\n \\Z \\%",
    "a comment": "/*! SELECT 1 */ # --\t",
    "a hexadecimal": "0x27204f52",
    "an escape of another charset": "\u00bf\\'",
    "a NUL": "a\x00b",
    "NULs alone": "\x00\x00",
    "control characters": "\x01\x08\x1a\x1b\x7f\r\n\t",
    "emoji": "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "the last character": "\U0010ffff",
    "right to left": "\u202e\u05d0\u05d1\u202c",
    "zero width": "a\u200bb\ufeff",
    "blanks at the end": "Bob  ",
    "blanks alone": "   ",
    "combined and composed": "e\u0301\u00e9",
    "another case": "bOB",
    "a placeholder": "%s %n {0} ${x} ?",
    "markup": "<script>alert(1)</script>&amp;",
    "JSON": "{\"a\":[1,null]}",
    "a path": "../../etc/passwd",
    "a year of zeros": "0000-00-00",
    "not a number": "NaN",
}

# Bytes that are no UTF-8, four of them.
NO_UTF8 = {
    "a lone continuation": b"ab\x80c",
    "an overlong slash": b"a\xc0\xafb",
    "a surrogate": b"\xed\xa0\x80b",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "cut off": b"abc\xe2",
    "never a byte": b"\xff\xfeab",
}

FORMS = {"usage": usage, "message": message, "rate_limit": rate_limit}


def event_of(kind, number, **fields):
    """A good event but for `fields`, and different from all of another number."""
    if kind == "rate_limit":
        fields.setdefault("identifier", f"user:{number}")
        if not {"observed", "hits"} & fields.keys():
            fields["observed"] = 1
        return rate_limit(**fields)
    return FORMS[kind](f"corpus {number}", **fields)


def too_long():
    """(what, event, field at fault)"""
    for kind, fields in LENGTHS.items():
        for field, (most, may_be_empty) in fields.items():
            name = f"{kind}.{field}"
            if most is not None:
                yield (f"{name} a byte too long",
                       event_of(kind, name, **{field: "x" * (most + 1)}), name)
                # Characters are not bytes.
                yield (f"{name} too long in bytes",
                       event_of(kind, name, **{field: "\u00e9" * (most // 2 + 1)}), name)
            if not may_be_empty:
                yield f"{name} empty", event_of(kind, name, **{field: ""}), name


def out_of_range():
    for kind, fields in NUMBERS.items():
        for field, (least, most) in fields.items():
            name = f"{kind}.{field}"
            for value in (least - 1, most + 1, -2**63, INT64_MAX, -1):
                fits = -2**31 <= value < 2**31 if field == "status_code" \
                    else -2**63 <= value <= INT64_MAX
                if fits and not least <= value <= most:
                    yield f"{name} = {value}", event_of(kind, name, **{field: value}), name


def wrong_times():
    for seconds, nanos in ((-1, 0), (-62135596800, 0), (YEAR_9999 + 1, 0), (INT64_MAX, 0),
                           (-2**63, 0), (0, -1), (0, 10**9), (5, 2**31 - 1)):
        for kind in FORMS:
            event = event_of(kind, f"time {seconds} {nanos}")
            event.occurred_at.seconds = seconds
            event.occurred_at.nanos = nanos
            yield f"{kind} at {seconds} s {nanos} ns", event, "occurred_at"
    event = event_of("usage", "timeless")
    event.ClearField("occurred_at")
    yield "usage without a time", event, "occurred_at"
    for field, seconds, nanos in (("window_start", -1, 0), ("window_start", 60, 1),
                                  ("window_end", YEAR_9999 + 1, 0), ("window_end", 1, 0)):
        event = event_of("rate_limit", f"{field} {seconds}")
        getattr(event.rate_limit, field).seconds = seconds
        getattr(event.rate_limit, field).nanos = nanos
        yield f"{field} at {seconds} s {nanos} ns", event, f"rate_limit.{field}"


def unknown_kinds():
    nothing = event_pb2.Event()
    nothing.occurred_at.seconds = 1
    yield "an event of no kind", nothing, "kind"
    stranger = event_pb2.Event.FromString(nothing.SerializeToString() + b"\x7a\x02\x08\x01")
    yield "an event of a kind that is not known", stranger, "kind"
    for value in (0, 3, 99, 2**31 - 1, -1):
        yield (f"message.direction = {value}",
               event_of("message", f"direction {value}", direction=value), "message.direction")
    for value in (0, 5, 99, 2**31 - 1, -1):
        yield (f"rate_limit.window_type = {value}",
               event_of("rate_limit", f"window {value}", window_type=value),
               "rate_limit.window_type")
    countless = event_of("rate_limit", "countless")
    countless.rate_limit.ClearField("observed")
    yield "a rate limit without a count", countless, "rate_limit.count"
    both = event_of("rate_limit", "id and observed", event_id="x", observed=1)
    yield "an id of an observed count", both, "rate_limit.event_id"


def not_utf8():
    """(what, bytes of an event, field at fault)"""
    for kind, fields in LENGTHS.items():
        for field in fields:
            event = event_of(kind, f"{field} mark", **{field: "MARK"})
            encoded = event.SerializeToString()
            for what, wrong in NO_UTF8.items():
                assert encoded.count(b"MARK") == 1, field
                yield (f"{kind}.{field}: {what}", encoded.replace(b"MARK", wrong),
                       f"{kind}.{field}")


def at_the_limits():
    """(what, event) that are just good."""
    for kind, fields in LENGTHS.items():
        for field, (most, _) in fields.items():
            if most is not None:
                yield f"{kind}.{field} at its longest", event_of(
                    kind, f"longest {field}", **{field: (f"{kind}{field}" + "x" * most)[:most]})
    for kind, fields in NUMBERS.items():
        for field, bounds in fields.items():
            for value in bounds:
                yield f"{kind}.{field} = {value}", event_of(
                    kind, f"{field} {value}", **{field: value})
    for seconds, nanos in ((0, 0), (YEAR_9999, 999_999_999), (951782400, 0),
                           (1483228799, 10**9 - 1)):
        for kind in FORMS:
            if kind == "rate_limit" and seconds == YEAR_9999:
                continue  # Its window would end in the year 10000.
            event = event_of(kind, f"at {seconds}")
            event.occurred_at.seconds = seconds
            event.occurred_at.nanos = nanos
            yield f"{kind} at {seconds}", event


def strange():
    for what, text in STRANGE.items():
        for kind, fields in LENGTHS.items():
            for field, (most, _) in fields.items():
                if most is None or len(text.encode()) <= most:
                    # Ids and keys stay apart from each other by what is around them.
                    yield f"{kind}.{field}: {what}", event_of(
                        kind, f"{what} {field}", **{field: text})
