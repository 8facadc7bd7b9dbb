"""Bar 10: several daemons on the same hundred keys of one database, against one daemon."""

from frame import audits, program, rounds

KEYS = 100


def _deadlocks(stage, daemons):
    """As the daemons met them, and as the database counted them."""
    return (sum(int(daemon.metrics().sum("holdfast_deadlocks_total")) for daemon in daemons),
            stage.database.status("INNODB_DEADLOCKS"))


def hot_keys(stage):
    daemons = [stage.make_daemon() for _ in range(stage.sizes.daemons)]
    for daemon in daemons:
        daemon.start()
    before = _deadlocks(stage, daemons)

    def send(targets):
        """The same number of gateways, whether to one daemon or one to each."""
        stage.empty()
        accepted = [daemon.books()["accepted"] for daemon in daemons]
        measured = program.measure("end-to-end", **stage.flags(
            stage.sizes.events, keys=KEYS, target=",".join(target.target for target in targets)))
        total = sum(daemon.wait_drained()["accepted"] for daemon in daemons) - sum(accepted)
        if total != stage.sizes.events:
            raise program.Failed(f"the run is not right: {total} events were accepted")
        audits.usage(stage.database, measured["expected"])
        return measured

    found = rounds.interleave(stage.rounds, {
        "one daemon": lambda: send(daemons[:1] * len(daemons)),
        f"{len(daemons)} daemons": lambda: send(daemons)})
    met, counted = (after - then for after, then in zip(_deadlocks(stage, daemons), before))
    for daemon in daemons:
        audits.books(daemon, daemon.books()["accepted"])
        stage.drop(daemon)
    one, many = (rounds.column(runs, "events_per_second") for runs in found.values())
    value = rounds.ratio(many, one)
    return [rounds.bar(
        10, f"{len(daemons)} daemons on the same {KEYS} keys, against one; own deadlocks",
        ">= 1.0, 0 deadlocks", value, value >= 1.0 and met == counted == 0, rounds.rates(found),
        deadlocks_of_daemons=met, deadlocks_of_database=counted)]
