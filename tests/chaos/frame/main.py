"""A scenario as a program: arguments in, one JSON object out."""

import argparse
import json
import os
import pathlib
import random
import signal
import sys
import time
import traceback

from frame.stage import Broken, NotPossible, Stage

# ctest takes this for a test that was skipped.
NOT_POSSIBLE = 77


def _arguments(claim):
    parser = argparse.ArgumentParser(description=claim)
    parser.add_argument("--out", type=pathlib.Path, help="write the result to this file")
    parser.add_argument("--scale", choices=("small", "full"), default="small")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--keep", action="store_true", help="keep the folder with all logs")
    parser.add_argument("--spoil", choices=("delete", "double", "alter"),
                        help="change the tables before the audit, to see the scenario fail")
    return parser.parse_args()


def _told_to_end(*_):
    raise Broken("told to end by SIGTERM")


def main(run, claim):
    """Runs `run(stage)`, prints and writes what came of it, and ends the process: 0 if the claim
    holds."""
    arguments = _arguments(claim)
    name = pathlib.Path(sys.argv[0]).stem
    if arguments.keep:
        os.environ["HOLDFAST_TEST_KEEP"] = "1"
    signal.signal(signal.SIGTERM, _told_to_end)
    reason = None
    started = time.monotonic()
    stage = Stage(name, arguments.scale, arguments.seed, arguments.spoil)
    stage.say(f"{name}, {arguments.scale}, seed {arguments.seed}, in {stage.folder}")
    try:
        run(stage)
        if stage.audits == 0:
            raise Broken("the scenario ended without an audit")
    except NotPossible as error:
        print(f"not possible here: {error}")
        stage.close(remove=True)
        sys.exit(NOT_POSSIBLE)
    except KeyboardInterrupt:
        stage.close(remove=True)
        raise
    except Exception as error:  # Whatever went wrong, the claim was not shown.
        reason = f"{type(error).__name__}: {error}"
        if not isinstance(error, Broken):
            traceback.print_exc()
    stage.close(remove=reason is None)
    result = stage.result(claim, reason is None, round(time.monotonic() - started, 1))
    if reason:
        result["reason"] = reason[:2000]
        result["logs"] = str(stage.folder)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result["counts"]))
    if reason:
        print(f"DOES NOT HOLD: {claim}\n{reason}\nlogs: {stage.folder}; again: "
              f"tests/chaos/{name}.py --scale {arguments.scale} --seed {arguments.seed}")
    else:
        print(f"holds after {result['seconds']} s: {claim}")
    sys.exit(1 if reason else 0)
