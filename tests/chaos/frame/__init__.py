"""What the scenarios stand on: servers of their own, load, injected faults, and the audit.

A scenario is a file beside this folder with one claim:

    def run(stage):
        database = stage.database()
        daemon = stage.daemon(database)
        load = stage.load(daemon, events=stage.pick(20000, 400000))
        ... trouble ...
        stage.settle(load)      # all drains, and every row and counter is compared

    if __name__ == "__main__":
        frame.main(run, "What holds, as one sentence.")
"""

import pathlib
import sys

# The end-to-end tests' servers and audit. Bytecode would land in the source tree.
sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "e2e"))

from frame.main import main  # noqa: E402  pylint: disable=wrong-import-position
from frame.stage import Broken, NotPossible, Stage  # noqa: E402  pylint: disable=wrong-import-position

__all__ = ["Broken", "HERE", "NotPossible", "Stage", "main"]
