"""The results page, from results.json and nothing else."""

METHOD = """\
## How it is measured

`tests/bench/run` does all of it with one command, on one machine, in one run: it starts a MariaDB
of its own with its default durability, the daemons and the rivals, and takes turns (A B A B),
because what a shared machine can do drifts. A ratio is the median of the rounds' ratios. Client,
daemon and database share the processors, so that what Holdfast adds is what decides.

After every run the tables are audited: each row by count and checksum against what was sent, the
counters in total and row by row against the raw rows, the daemon's books. A run that is not right
has no figure. Tables are empty before each run, unless growing is what is measured.

- **Bare writers** (bar 1): a multi-row statement with 4096 rows bound at once, from memory, and
  LOAD DATA LOCAL from files of 50,000 rows that lie ready; both on as many connections as the
  daemon has lanes, without counters and positions. The faster one of each round counts.
- **In-process writer** (bars 2, 11): the daemon's own transactions from memory: no gRPC, no
  journal.
- **rsyslog** (bar 3): JSON over TCP, two workers, batches of 4096, ommysql; without counters.
- **Autocommit** (bar 4): a prepared INSERT for each row, 8 connections; without counters.
- **Processor time** (bar 5) is user and system time of the two processes, in bar 2's runs.
- **Latency** (bars 6, 7) is taken on a bare stream, one event a message. At a fixed rate messages
  are sent when they are due, whether or not earlier ones are answered, and what a sender is late
  by counts. What it is compared with: a block of 4 KiB (as large as such an event's frame in the
  journal) written to a zero-filled file and synced, then a call of `grpc.health.v1` on the
  daemon's socket, on which no lateness counts; and, for `committed`, an in-process transaction
  with one event.
- **Memory** (bar 8) is the peak of the resident set since the process's start, shared libraries
  included.
- **Draining** (bar 9) is timed from the first event written after the database is back to the
  last.
- **Hot keys** (bar 10): as many gateways send to one daemon as to all of them.
- **Growth** (bar 11): two databases grow side by side, slice by slice. At each point the daemon's
  cost is divided by the in-process writer's; the figure is by how much that ratio grows.
"""


def _table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _plain(value):
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(
        value, float) else str(value)


def _bars(results):
    rows = [(bar["bar"], bar["name"], bar["limit"], f"{bar['ratio']:.2f}"
             + (f" / {bar['ratio_p99']:.2f}" if "ratio_p99" in bar else ""),
             "yes" if bar["holds"] else "**no**") for bar in results["bars"]]
    held = sum(bar["holds"] for bar in results["bars"])
    text = f"{held} of {len(rows)} bars hold.\n\n"
    return text + _table(("bar", "what", "must be", "is", "holds"), rows)


def _notes(results):
    """What stands beside a bar's ratio."""
    known = ("bar", "name", "limit", "ratio", "ratio_p99", "holds", "runs", "points")
    lines = []
    for bar in results["bars"]:
        more = {name: value for name, value in bar.items() if name not in known}
        if more:
            said = []
            for name, value in more.items():
                if isinstance(value, dict):
                    value = ", ".join(f"{key} {_plain(one)}" for key, one in value.items())
                said.append(f"{name.replace('_', ' ')}: {_plain(value)}")
            lines.append(f"- Bar {bar['bar']}: " + "; ".join(said) + ".")
    return "\n".join(lines) + "\n" if lines else ""


def _machine(results):
    rows = [("commit", results["commit"]
             + (" with changes" if results["uncommitted_changes"] else "")),
            ("taken", f"{results['taken_at']}, in {results['seconds']:.0f} s, "
             f"{results['rounds']} rounds"),
            *results["versions"].items(),
            *((name.replace("_", " "), _plain(value))
              for name, value in results["machine"].items()),
            ("database settings", ", ".join(f"{name} = {value}" for name, value in
                                            results["database_settings"].items())),
            ("processors' time that others took", ", ".join(
                f"{part['part']} {100 * (part['others_share'] + part['stolen_share']):.0f} %"
                for part in results["parts"]))]
    return _table(("", ""), rows)


def _beside(beside):
    text = ""
    if "start" in beside:
        found = beside["start"]
        text += (f"- **Start** on a journal of {found['journal_mib']:,} MiB with "
                 f"{found['events']:,} events that no database has: takes events after "
                 f"{found['seconds']:g} s, in {found['peak_mib']:g} MiB at the most.\n")
    if "journaled_while_away" in beside:
        text += ("- **With the database away** events are journaled at "
                 f"{beside['journaled_while_away']['events_per_second']:,} a second.\n")
    if "client" in beside:
        found = beside["client"]
        text += (f"- **The C++ client** takes {found['events_per_second']:,} events/s from "
                 f"{found['threads']} threads to a daemon that does nothing, at "
                 f"{found['cpu_microseconds_per_event']:g} µs of processor time each. Idle, "
                 f"an event is answered after {found['client_p50_microseconds']:g} µs (p99 "
                 f"{found['client_p99_microseconds']:g}); on a bare stream after "
                 f"{found['bare_p50_microseconds']:g} µs (p99 "
                 f"{found['bare_p99_microseconds']:g}).\n")
    if "micro" in beside:
        text += "\nThe hot pieces one by one (`holdfast-micro`), for each event:\n\n" + _table(
            ("piece / events at once", "ns", "allocations"),
            [(one["name"].replace("/real_time", ""), f"{one['nanoseconds_per_event']:g}",
              f"{one['allocations_per_event']:g}") for one in beside["micro"]])
    return text


def _runs(results):
    """Every single value."""
    text = ""
    for bar in results["bars"]:
        heads = list(dict.fromkeys(name for run in bar["runs"] for name in run))
        text += f"\n**Bar {bar['bar']}**: {bar['name']}\n\n" + _table(
            [name.replace("_", " ") for name in heads],
            [[_plain(run.get(name, "")) for name in heads] for run in bar["runs"]])
    return text


def write(results, pictures):
    images = "".join(f"![{caption}]({name})\n\n" for name, caption in pictures)
    return (
        "# How fast Holdfast is\n\n"
        "Written by `tests/bench/report` from the results of `tests/bench/run`; no figure by "
        "hand.\n\n"
        f"{_bars(results)}\n{_notes(results)}\n{images}## Beside the bars\n\n"
        f"{_beside(results['beside'])}\n## On what\n\n{_machine(results)}\n{METHOD}\n"
        f"## Every run\n{_runs(results)}")
