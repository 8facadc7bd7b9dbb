#!/usr/bin/python3
"""The connection is cut around COMMIT: before it reaches the server, in the middle of it, behind it
before its answer comes back. Each time the database is asked what became of it, before the daemon
can do anything."""

import functools

import frame
import harness
from frame.gate import COMMIT, Gate, Outcomes

# How, and whether that means that the transaction committed (None: it depends).
CUTS = {"before": False, "half a packet": False, "behind": True, "answer eaten": True,
        "behind, and killed": None, "with a reset": None}


class Cutter:
    """Cuts at every other COMMIT or so, until it has done so often enough."""

    def __init__(self, stage, database, cuts):
        self.stage, self.database, self.cuts = stage, database, cuts
        self.outcomes = Outcomes(database)
        self.done = dict.fromkeys(CUTS, 0)
        self.wrong = []

    @property
    def over(self):
        return sum(self.done.values()) >= self.cuts

    def at_commit(self, link):
        with link.gate.passage:
            if self.over or link.lane is None or self.stage.random.random() < 0.4:
                return False
            how = self.stage.random.choice(list(CUTS))
            before = self.outcomes.position(link.lane)
            self.cut(link, how)
            self.outcomes.wait_gone(link.thread_id)
            committed = self.outcomes.position(link.lane) > before
            if CUTS[how] not in (None, committed):
                self.wrong.append(f"{how}: committed is {committed}")
            self.done[how] += 1
            self.stage.count("cuts_at_commit")
            self.stage.count("cut_committed" if committed else "cut_not_committed")
            return True

    def cut(self, link, how):
        packet = len(COMMIT).to_bytes(3, "little") + b"\0" + COMMIT
        if how == "half a packet":
            link.send_up(packet[:7])
        elif how != "before":
            if how == "answer eaten":
                before = self.outcomes.position(link.lane)
                link.set(down="drop")
                link.send_up(packet)
                harness.wait_for(lambda: self.outcomes.position(link.lane) > before, "the COMMIT")
            else:
                link.send_up(packet)
            if how == "behind, and killed":
                self.outcomes.kill(link.thread_id)
        link.cut(reset=how == "with a reset")


def run(stage):
    database = stage.database()
    gate = Gate(database)
    stage.cleanup(gate.close)
    # Small transactions: many COMMITs.
    daemon = stage.daemon(database, HOLDFAST_BATCH_ROWS_MAX=100, **gate.settings())
    load = stage.load(daemon, events=stage.pick(60_000, 3_000_000), rate=3000,
                      poison=20)
    cutter = Cutter(stage, database, stage.pick(100, 2000))
    stage.cleanup(cutter.outcomes.close)
    gate.on_commit = functools.partial(Cutter.at_commit, cutter)
    harness.wait_for(lambda: cutter.over or load.over, f"{cutter.cuts} cuts", 1500)
    gate.on_commit = None
    load.halt()
    stage.settle(load, ended=(0, 1))
    stage.say(f"cuts: {cutter.done}")
    stage.check(cutter.over, f"the load ended after {sum(cutter.done.values())} cuts")
    stage.check(not cutter.wrong, f"not the outcome that was to be: {cutter.wrong[:3]}")
    stage.check(stage.counted("cut_committed") and stage.counted("cut_not_committed"),
                "only one outcome was seen")
    stage.check(daemon.summed("commits_unknown") > 0, "the daemon was never in doubt")


if __name__ == "__main__":
    frame.main(run, "Connections cut before, in and behind COMMIT: whether it had committed or not, "
               "every event counts once.")
