"""Reads a file of events, says what the tables must hold afterwards, and compares.

It shares no code with the daemon, the client or the generator: what each event must lead to is
worked out here again, from the contract alone.
"""

import datetime
import hashlib
import itertools
import json
import re
import subprocess
import uuid
import zlib

EPOCH = datetime.datetime(1970, 1, 1)
WINDOW_SECONDS = {"WINDOW_TYPE_SECOND": 1, "WINDOW_TYPE_MINUTE": 60, "WINDOW_TYPE_HOUR": 3600,
                  "WINDOW_TYPE_DAY": 86400}
STAT_COLUMNS = ("requests", "input_tokens", "output_tokens", "cache_create_tokens",
                "cache_read_tokens", "ephemeral_5m_tokens", "ephemeral_1h_tokens",
                "long_context_requests", "long_context_input_tokens",
                "long_context_output_tokens", "cost_micros", "real_cost_micros")
# Required fields, then the limits in bytes of the contract.
REQUIRED = {"usage": ("event_id", "api_key_id"), "rate_limit": ("identifier", "window_type"),
            "message": ("ig_message_id", "ig_sender_id", "ig_recipient_id", "direction")}
LIMITS = {
    "usage": {"event_id": 128, "api_key_id": 64, "account_id": 64, "account_type": 32,
              "model": 128, "request_id": 128, "endpoint": 255, "method": 16},
    "rate_limit": {"identifier": 255, "route_path": 500, "event_id": 128},
    "message": {"ig_message_id": 255, "ig_sender_id": 255, "ig_recipient_id": 255, "text": 65535,
                "sender_username": 255, "story_id": 255, "story_url": 2048, "ad_id": 255,
                "ad_link": 2048, "ad_title": 512, "ad_image_url": 2048, "ad_name": 255},
}
NUMBERS = {
    "usage": {"status_code": 999, "cost_micros": 10**14, "real_cost_micros": 10**14,
              **{name: 2**32 - 1 for name in (
                  "duration_ms", "input_tokens", "output_tokens", "cache_create_tokens",
                  "cache_read_tokens", "ephemeral_5m_tokens", "ephemeral_1h_tokens")}},
    "rate_limit": {"observed": 2**63 - 1, "hits": 10**9},
    "message": {"timestamp_ms": 253402300799999, "conversation_id": 2**63 - 1},
}


def snake(name):
    return re.sub(r"([A-Z0-9]+)", lambda match: "_" + match[1].lower(), name)


SNAKE = {name: name for kind in LIMITS for name in (*LIMITS[kind], *NUMBERS[kind])}
SNAKE["ephemeral5mTokens"] = "ephemeral_5m_tokens"
SNAKE["ephemeral1hTokens"] = "ephemeral_1h_tokens"


def plain(names):
    """Field names as in the contract, whichever of protobuf's two JSON spellings was used."""
    answer = {}
    for name, value in names.items():
        if name not in SNAKE:
            SNAKE[name] = snake(name)
        answer[SNAKE[name]] = value
    return answer


def seconds(text):
    """Whole seconds since 1970 of an RFC 3339 time in UTC."""
    return int((datetime.datetime.fromisoformat(text[:19]) - EPOCH).total_seconds())


def stored_id(text):
    """How an event id is stored: a UUID's bytes, or the beginning of its SHA-256."""
    if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        return uuid.UUID(text).hex
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def is_refused(kind, fields, event):
    """Whether the contract forbids the event."""
    if "occurred_at" not in event or any(not fields.get(name) for name in REQUIRED[kind]):
        return True
    if any(len(str(fields.get(name, "")).encode()) > limit
           for name, limit in LIMITS[kind].items()):
        return True
    if any(not 0 <= int(fields.get(name, 0)) <= limit for name, limit in NUMBERS[kind].items()):
        return True
    if kind == "rate_limit":
        if fields["window_type"] not in WINDOW_SECONDS:
            return True
        if ("observed" in fields) == ("hits" in fields) or ("hits" in fields
                                                            and int(fields["hits"]) < 1):
            return True
        return "event_id" in fields and "hits" not in fields
    return False


class Expectation:
    """What a file of events must leave behind."""

    def __init__(self):
        self.events = self.refused = self.duplicate = self.conflicts = self.lost = 0
        self.usage = {}     # Stored id -> (cost, key, hash of the content).
        self.stats = {}     # (api key, account, model, hour) -> sums.
        self.messages = {}  # Id -> checksum of the text.
        self.limits = {}    # (identifier, window, route, start) -> [count, end].
        self._hits = {}     # Stored id -> what it said.

    def read(self, path, count=None, lost=()):
        """Reads the first `count` lines, all if None. Those whose numbers (from 1) are in `lost`
        were accepted and then destroyed on the disk: they must have left nothing behind."""
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(itertools.islice(lines, count), 1):
                if number in lost:
                    self.events += 1
                    self.lost += 1
                elif line.strip():
                    self.add(line)
        return self

    def add(self, line):
        event = plain(json.loads(line))
        self.events += 1
        for kind in REQUIRED:
            if kind in event:
                fields = plain(event[kind])
                if is_refused(kind, fields, event):
                    self.refused += 1
                else:
                    getattr(self, "_" + kind)(fields, event["occurred_at"])
                return
        self.refused += 1

    def _usage(self, fields, occurred_at):
        key = stored_id(fields["event_id"])
        content = hash((occurred_at, tuple(sorted(
            (name, str(value)) for name, value in fields.items() if value and name != "event_id"))))
        known = self.usage.get(key)
        if known:
            if known[2] == content:
                self.duplicate += 1
            else:
                # Two lanes would race for which content is first.
                assert known[1] == fields["api_key_id"], "a conflict across API keys has no answer"
                self.conflicts += 1
            return
        number = {name: int(fields.get(name, 0)) for name in NUMBERS["usage"]}
        self.usage[key] = (number["cost_micros"], fields["api_key_id"], content)
        long = bool(fields.get("long_context"))
        row = self.stats.setdefault(
            (fields["api_key_id"], fields.get("account_id", ""), fields.get("model", ""),
             occurred_at[:13].replace("T", " ") + ":00:00"), [0] * len(STAT_COLUMNS))
        added = (1, *(number[name] for name in STAT_COLUMNS[1:7]), int(long),
                 long * number["input_tokens"], long * number["output_tokens"],
                 number["cost_micros"], number["real_cost_micros"])
        for index, value in enumerate(added):
            row[index] += value

    def _message(self, fields, occurred_at):
        del occurred_at
        if fields["ig_message_id"] in self.messages:
            self.duplicate += 1
            return
        self.messages[fields["ig_message_id"]] = (
            zlib.crc32(fields["text"].encode()) if "text" in fields else None)

    def _rate_limit(self, fields, occurred_at):
        length = WINDOW_SECONDS[fields["window_type"]]
        start = (seconds(fields["window_start"]) if "window_start" in fields
                 else seconds(occurred_at) // length * length)
        end = seconds(fields["window_end"]) if "window_end" in fields else start + length
        key = (fields["identifier"], fields["window_type"][12:].lower(),
               fields.get("route_path", ""), start)
        if fields.get("event_id"):
            content = (key, occurred_at, int(fields["hits"]))
            known = self._hits.setdefault(stored_id(fields["event_id"]), content)
            if known != content:
                assert known[0] == key, "a conflict across records has no answer: lanes would race"
                self.conflicts += 1
                return
            if known is not content:
                self.duplicate += 1
                return
        row = self.limits.setdefault(key, [0, end])
        if "observed" in fields:
            row[0] = max(row[0], int(fields["observed"]))
        else:
            row[0] += int(fields["hits"])

    @property
    def accepted(self):
        return self.events - self.refused


def rows(database, statement):
    """Streams the rows of a statement: a million of them have no place in a list."""
    with subprocess.Popen(database.client("holdfast") + ["--quick", "-e", statement],
                          stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        for line in process.stdout:
            yield line.rstrip("\n").split("\t")
    assert process.returncode == 0, statement


class Difference(AssertionError):
    """What is in the tables is not what was sent."""


class Findings:
    """What differs, in words and in events. An event may be counted once for its row and once for
    what its row adds to a counter."""

    def __init__(self):
        self.lost = self.doubled = self.phantom = 0
        self.words = []

    def table(self, name, expected, found, weight, surplus):
        """Compares a table. `weight(value)`: for how many events a row stands. `surplus(expected,
        found)`: how many too many (above 0) or too few a row that is there shows; None if it is
        not what was sent."""
        if expected == found:
            return
        missing = [key for key in expected if key not in found]
        extra = [key for key in found if key not in expected]
        wrong = [(key, expected[key], found[key]) for key in expected
                 if key in found and expected[key] != found[key]]
        self.lost += sum(weight(expected[key]) for key in missing)
        self.phantom += sum(weight(found[key]) for key in extra)
        for _, its, has in wrong:
            more = surplus(its, has)
            self.phantom += more is None
            self.doubled += max(0, more or 0)
            self.lost += max(0, -(more or 0))
        self.words.append(
            f"{name}: {len(missing)} missing {missing[:3]}, {len(extra)} too many {extra[:3]}, "
            f"{len(wrong)} wrong (key, expected, found) {wrong[:3]}")

    def number(self, name, expected, found):
        if expected != found:
            self.lost += max(0, expected - found)
            self.doubled += max(0, found - expected)
            self.words.append(f"{name}: expected {expected}, found {found}")


def _one(_):
    return 1


def _not_what_was_sent(*_):
    return None


def _first(value):
    return value[0]


def _first_surplus(expected, found):
    return found[0] - expected[0] or None


def differences(expected, database):
    """Compares every row and every counter with what is expected."""
    findings = Findings()
    findings.table("usage_records", {key: value[:2] for key, value in expected.usage.items()},
                   {row[0].lower(): (int(row[1]), row[2]) for row in rows(
                       database,
                       "SELECT HEX(event_id), cost_micros, api_key_id FROM usage_records")},
                   _one, _not_what_was_sent)
    findings.table("usage_stats", expected.stats,
                   {tuple(row[:4]): [int(value) for value in row[4:]] for row in rows(
                       database, "SELECT api_key_id, account_id, model, stat_hour, "
                       + ", ".join(STAT_COLUMNS) + " FROM usage_stats")},
                   _first, _first_surplus)
    findings.table("message", expected.messages,
                   {row[0]: None if row[1] == "NULL" else int(row[1]) for row in rows(
                       database, "SELECT ig_message_id, CRC32(text) FROM message")},
                   _one, _not_what_was_sent)
    findings.table("rate_limit_records", expected.limits,
                   {(row[0], row[1], row[2], int(row[3])): [int(row[4]), int(row[5])]
                    for row in rows(
                        database, "SELECT identifier, window_type, route_path, "
                        "TIMESTAMPDIFF(SECOND, '1970-01-01', window_start), request_count, "
                        "TIMESTAMPDIFF(SECOND, '1970-01-01', window_end) FROM rate_limit_records")},
                   _one, _first_surplus)
    findings.number("holdfast_quarantine", expected.conflicts,
                    database.number("SELECT COUNT(*) FROM holdfast_quarantine"))
    return findings


def compare(expected, database):
    """Raises Difference unless every row and every counter is exactly as expected."""
    findings = differences(expected, database)
    if findings.words:
        raise Difference("; ".join(findings.words))


def compare_lane_rows(books, database):
    """Raises Difference unless each lane's row balances, and all together say what the daemon's
    books say."""
    names = ("position", "committed", "duplicate", "quarantined", "adjusted")
    total = [0] * len(names)
    for row in rows(database, f"SELECT lane, {', '.join(names)} FROM holdfast_lanes"):
        found = [int(value) for value in row[1:]]
        total = [sum(pair) for pair in zip(total, found)]
        if found[0] != sum(found[1:]):
            raise Difference(f"the row of lane {row[0]} does not balance: {found}")
    wanted = [books["accepted"] - books["pending"]] + [books[name] for name in names[1:]]
    if total != wanted:
        raise Difference(f"rows of lanes: expected {wanted}, found {total} ({', '.join(names)})")


def compare_books(expected, books):
    """Raises Difference unless the books balance and say what became of each event."""
    settled = (books["committed"] + books["duplicate"] + books["quarantined"] + books["adjusted"]
               + books["pending"])
    wanted = {"accepted": expected.accepted, "duplicate": expected.duplicate,
              "quarantined": expected.conflicts, "pending": 0, "adjusted": expected.lost}
    wrong = {name: (value, books[name]) for name, value in wanted.items() if books[name] != value}
    if books["accepted"] != settled or wrong:
        raise Difference(f"books: {books}; (expected, found): {wrong}")
