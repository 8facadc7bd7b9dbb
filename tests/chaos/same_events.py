#!/usr/bin/python3
"""Two gateways send the same events to two daemons with one database, which cut them into different
batches and lanes and are killed now and then; then the same ids come with other content."""

import json

import frame
import audit
import foreign_client
import harness
from frame.load import Load
from google.protobuf import json_format


class Gateway:
    """Sends usage events of chosen ids and costs on a stream of its own."""

    def __init__(self, daemon):
        self.channel = foreign_client.open_channel(daemon)
        self.stream = foreign_client.Stream(self.channel)
        self.stream.wait_welcome()

    def send(self, ids, cost):
        """Returns the events as lines, once they are settled."""
        events = [foreign_client.usage(f"shared {number}", key=f"shared-{number % 7}",
                                       cost_micros=cost) for number in ids]
        self.stream.send(1, events)
        self.stream.wait_committed(len(events))
        return [json.dumps(json_format.MessageToDict(event)) for event in events]

    def close(self):
        self.stream.cancel()
        self.channel.close()


def run(stage):
    database = stage.database()
    daemons = [stage.daemon(database, HOLDFAST_BATCH_ROWS_MAX=37, HOLDFAST_LANES_PER_KIND=1),
               stage.daemon(database, HOLDFAST_BATCH_ROWS_MAX=500, HOLDFAST_LANES_PER_KIND=3)]
    seed = stage.random.randrange(1 << 31)
    loads = [Load(stage.folder, f"same{number}", seed, stage.pick(20_000, 400_000),
                  rate=stage.pick(6000, 2500)) for number in range(2)]
    stage.loads.extend(loads)
    for load, daemon in zip(loads, daemons):
        load.start(daemon)
    for _ in range(stage.pick(2, 40)):
        stage.pause(stage.random.uniform(0.2, 1.5))
        victim = stage.random.choice(daemons)
        stage.kill(victim)
        victim.start()
    expected = audit.Expectation()
    for load in loads:
        load.halt()
        status = load.finish()
        stage.check(status == 0, f"holdfast send ended with {status}: {load.said()}")
        expected.read(load.file, load.fed)
    audit_all(stage, expected, daemons, database)
    same_ids_with_other_content(stage, expected, daemons)
    audit_all(stage, expected, daemons, database)


def same_ids_with_other_content(stage, expected, daemons):
    """Through one daemon, then with other costs through the other, which must refuse them all."""
    count = stage.pick(200, 2000)
    for cost, daemon in zip((300, 301), daemons):
        gateway = Gateway(daemon)
        stage.cleanup(gateway.close)
        for line in gateway.send(range(count), cost):
            expected.add(line)
    stage.check(expected.conflicts == count, f"{expected.conflicts} conflicts")
    stage.check(len(gateway.stream.errors) == count,
                f"the gateway was told of {len(gateway.stream.errors)} of {count} conflicts")


def audit_all(stage, expected, daemons, database):
    for daemon in daemons:
        harness.wait_for(lambda daemon=daemon: (daemon.books() or {}).get("pending") == 0,
                         f"everything to drain: {daemon.log}", 300)
    books = [daemon.books() for daemon in daemons]
    total = {name: sum(its[name] for its in books) for name in books[0]}
    stage.audit(expected, total, database)
    for name in ("accepted", "committed", "quarantined"):
        stage.count(f"events_{name}", total[name] - stage.counted(f"events_{name}"))
    resent = sum(daemon.summed("resent") for daemon in daemons)
    for name, duplicates in (("sent", expected.duplicate), ("suppressed", total["duplicate"])):
        stage.count(f"duplicates_{name}",
                    duplicates + resent - stage.counted(f"duplicates_{name}"))


if __name__ == "__main__":
    frame.main(run, "The same events through two daemons, cut and re-cut and killed, count once; an id "
               "that comes again with other content is quarantined.")
