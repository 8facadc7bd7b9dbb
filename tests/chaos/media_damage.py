#!/usr/bin/python3
"""The journal's files are damaged while no daemon runs and nothing of them is delivered yet: a bit
flips, a sector reads as zeros, a segment is cut short or gone, a header is overwritten. Round after
round with a new journal and empty tables."""

import frame
from frame.damage import Folder, reports

SETTINGS = {"HOLDFAST_JOURNAL_SEGMENT_BYTES": "1MiB", "HOLDFAST_JOURNAL_MAX_BYTES": "256MiB",
            "HOLDFAST_PRODUCERS_MAX": "1000"}


def run(stage):
    database = stage.database()
    kinds = list(Folder.KINDS) * stage.pick(1, 30)
    for number, kind in enumerate(kinds):
        again = stage.random.choice((None, None, stage.random.choice(Folder.SMALL)))
        round_of_damage(stage, database, number, kind, again if kind in Folder.SMALL else None)


def round_of_damage(stage, database, number, *kinds):
    """Fills a journal, damages it, and looks at what is reported and what is delivered."""
    database.sql("DROP DATABASE IF EXISTS holdfast", None)
    daemon = stage.daemon(database, f"r{number}", start=False, MYSQL_SOCKET=database.socket,
                          **SETTINGS)
    daemon.settings["MYSQL_SOCKET"] = str(daemon.folder / "nothing")
    daemon.start()
    load = stage.load(daemon, events=stage.random.randrange(5000, 9000), rate=40000, duplicates=0)
    if stage.random.random() < 0.7:
        stage.check(load.finish() == 0, f"not all was taken: {load.said()}")
        stage.check(stage.wait_until(lambda: not Folder(daemon.journal).ends_unproven(), 30),
                    "the last group was never proven")
        daemon.kill()
    else:
        # Under load: with some luck the last group is proven by nothing.
        load.wait_fed(stage.random.randrange(4000, 5000))
        load.kill()
        daemon.kill()
        load.fed = max(frame.offsets[-1] for frame in Folder(daemon.journal).groups())
    damages = damage(stage, daemon, kinds)

    # A start that cannot deliver, then one that can: both report, neither ends by itself.
    daemon.start()
    daemon.kill()
    daemon.settings["MYSQL_SOCKET"] = str(database.socket)
    daemon.start(ready=True)
    lost = judge(stage, daemon, load, damages)
    stage.settle(load, daemon, lost, ended=(0, -9), patience=120)
    if any(its.oldest for its in damages):
        log = daemon.log.read_text(errors="replace")
        judge_one(stage, "are missing in the journal" in log, f"{damages}: {daemon.log_tail()}")
    # It stays so at the next start, which is an orderly one.
    stage.check(daemon.terminate() == 0, f"no orderly end: {daemon.log_tail()}")
    stage.retire(daemon)


def damage(stage, daemon, kinds):
    """Does it; a second fault hits another segment than the first."""
    folder = Folder(daemon.journal)
    stage.check(len(folder.paths) > 1, f"only {folder.paths}")
    damages = []
    for kind in kinds:
        if kind and folder.groups():
            damages.append(kind(folder, stage.random))
            folder.paths.remove(damages[-1].path)
    stage.count("media_faults_injected", len(damages))
    return damages


def judge(stage, daemon, load, damages):
    """Compares the truth with what was reported; returns the lines that are lost."""
    found = reports(daemon.log.read_text(errors="replace"))
    lost = set().union(*(its.lost for its in damages))
    named = set().union(*(report.lost for report in found))
    text = f"{damages}; reported: {found}"
    for its in damages:
        if its.at_end and not its.lost <= named:
            # Events behind the last proof: their offsets are given again, to others.
            stage.count("media_faults_reported" if its.is_named_in(found)
                        else "media_faults_undecidable")
            load.fed -= len(its.lost)
            lost -= its.lost
        elif not its.oldest:  # The lanes notice that, later.
            seen = its.lost <= named and its.is_named_in(found)
            if its.frame and len(damages) == 1:
                seen &= any(report.bytes == (its.frame.position, its.frame.end) for report in found)
            judge_one(stage, seen, text)
    stage.check(named <= lost, f"{len(named - lost)} events too many reported as lost: {text}")
    stage.say(text)
    return lost


def judge_one(stage, seen, text):
    stage.count("media_faults_reported" if seen else "unreported_corruption")
    stage.check(seen, text)


if __name__ == "__main__":
    frame.main(run, "Damage to the journal's files is reported with its exact range, everything "
               "else is delivered, and the daemon starts.")
