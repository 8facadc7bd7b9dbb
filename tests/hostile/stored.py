"""How an event that was sent stands in its table: every column as hexadecimal digits."""

import datetime
import hashlib
import uuid

import corpus


def hexed(text):
    return text.encode().hex().upper()


def optional(event, name):
    return hexed(getattr(event, name)) if event.HasField(name) else "NULL"


def moment(timestamp):
    at = datetime.datetime(1970, 1, 1) + datetime.timedelta(
        seconds=timestamp.seconds, microseconds=timestamp.nanos // 1000)
    return hexed(at.strftime("%Y-%m-%d %H:%M:%S.%f"))


def stored_id(text):
    try:
        return uuid.UUID(text).bytes if str(uuid.UUID(text)) == text.lower() else None
    except ValueError:
        return None


USAGE_TEXT = ("api_key_id", "account_id", "account_type", "model", "request_id", "endpoint",
              "method")
USAGE_NUMBERS = tuple(corpus.NUMBERS["usage"])
MESSAGE_TEXT = ("ig_message_id", "ig_sender_id", "ig_recipient_id")
MESSAGE_OPTIONAL = tuple(name for name in corpus.LENGTHS["message"] if name not in MESSAGE_TEXT)

# What is read back: every column as its bytes, numbers as their digits.
QUERIES = {
    "usage": (["event_id"] + list(USAGE_TEXT)
              + [f"CAST({name} AS CHAR)" for name in USAGE_NUMBERS]
              + ["CAST(occurred_at AS CHAR)"], "usage_records"),
    "message": (list(MESSAGE_TEXT) + list(MESSAGE_OPTIONAL)
                + ["CAST(timestamp_ms AS CHAR)", "CAST(conversation_id AS CHAR)", "direction"],
                "message"),
    "rate_limit": (["identifier", "window_type", "route_path", "CAST(request_count AS CHAR)"],
                   "rate_limit_records"),
}


def expected_usage(event):
    found = event.usage
    identity = stored_id(found.event_id) or hashlib.sha256(found.event_id.encode()).digest()[:16]
    return (identity.hex().upper(), *(hexed(getattr(found, name)) for name in USAGE_TEXT),
            *(hexed(str(getattr(found, name))) for name in USAGE_NUMBERS),
            moment(event.occurred_at))


def expected_message(event):
    found = event.message
    return (*(hexed(getattr(found, name)) for name in MESSAGE_TEXT),
            *(optional(found, name) for name in MESSAGE_OPTIONAL),
            hexed(str(found.timestamp_ms)),
            hexed(str(found.conversation_id)) if found.HasField("conversation_id") else "NULL",
            hexed({1: "in", 2: "out"}[found.direction]))


def expected_rate_limit(event):
    found = event.rate_limit
    count = found.observed if found.WhichOneof("count") == "observed" else found.hits
    return (hexed(found.identifier), hexed("minute"), hexed(found.route_path), hexed(str(count)))


EXPECTED = {"usage": expected_usage, "message": expected_message,
            "rate_limit": expected_rate_limit}
