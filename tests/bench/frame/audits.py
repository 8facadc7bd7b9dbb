"""Whether all rows are there, each as it was sent, and all sums are right.

What must be there comes from the generator (holdfast-bench's "expected"); what is there is added
up by SQL.
"""

from frame.program import Failed

SECONDS = "TIMESTAMPDIFF(SECOND, '1970-01-01', {})"
ROW_TEXT = {
    "usage_records": "CONCAT_WS('|', LOWER(HEX(event_id)), api_key_id, account_id, account_type, "
                     "model, request_id, endpoint, method, status_code, stream, duration_ms, "
                     "input_tokens, output_tokens, cache_read_tokens, cost_micros, "
                     f"real_cost_micros, {SECONDS.format('occurred_at')})",
    "message": "CONCAT_WS('|', ig_message_id, ig_sender_id, ig_recipient_id, text, timestamp_ms, "
               f"conversation_id, direction, {SECONDS.format('created_at')})",
}
SUMS = ("input_tokens", "output_tokens", "cache_read_tokens", "cost_micros", "real_cost_micros")
TABLES = {"usage": "usage_records", "message": "message"}


def add(one, other):
    """What both together must leave behind."""
    return {name: one.get(name, 0) + value for name, value in other.items()}


def _compare(what, expected, found):
    if expected != found:
        raise Failed(f"the run is not right: {what}: expected {expected}, found {found}")


def rows(database, kind, expected, schema="holdfast"):
    """Every row, by count and checksum."""
    table = TABLES[kind]
    found = database.sql(f"SELECT COUNT(*), COALESCE(SUM(CRC32({ROW_TEXT[table]})), 0) "
                         f"FROM {table}", schema)[0]
    _compare(f"rows and checksum of {table}", (expected["rows"], expected["checksum"]),
             (int(found[0]), int(found[1])))


def counters(database, expected, schema="holdfast"):
    """usage_stats: in total what was sent, and in each of its rows what the raw rows say."""
    columns = ", ".join(f"COALESCE(SUM({name}), 0)" for name in ("requests", *SUMS))
    found = database.sql(f"SELECT {columns} FROM usage_stats", schema)[0]
    _compare("sums of usage_stats", (expected["rows"], *(expected[name] for name in SUMS)),
             tuple(int(value) for value in found))
    differ = " OR ".join(f"s.{name} <> g.{name}" for name in ("requests", *SUMS))
    sums = ", ".join(f"SUM({name}) AS {name}" for name in SUMS)
    groups, wrong = database.sql(
        f"SELECT COUNT(*), COALESCE(SUM(s.requests IS NULL OR {differ}), 0) FROM ("
        "SELECT api_key_id, account_id, model, occurred_at - INTERVAL MINUTE(occurred_at) MINUTE "
        "- INTERVAL SECOND(occurred_at) SECOND AS stat_hour, COUNT(*) AS requests, "
        f"{sums} FROM usage_records GROUP BY 1, 2, 3, 4) g LEFT JOIN usage_stats s ON "
        "(s.api_key_id, s.account_id, s.model, s.stat_hour) = "
        "(g.api_key_id, g.account_id, g.model, g.stat_hour)", schema)[0]
    _compare("rows of usage_stats that differ from their raw rows", 0, int(wrong))
    _compare("rows of usage_stats", int(groups),
             database.number("SELECT COUNT(*) FROM usage_stats", schema))


def books(daemon, accepted):
    """The daemon took so many events since its start, committed each, and holds none back."""
    found = daemon.wait_drained(accepted)
    _compare(f"books of {daemon.folder.name}",
             {"accepted": accepted, "committed": accepted, "duplicate": 0, "quarantined": 0,
              "adjusted": 0, "pending": 0}, found)


def usage(database, expected, schema="holdfast"):
    rows(database, "usage", expected, schema)
    counters(database, expected, schema)
