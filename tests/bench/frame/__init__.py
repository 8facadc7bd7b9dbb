"""What the bars stand on: servers of one's own, the program that measures, the audit, the results.

Starting servers is the end-to-end tests' (tests/e2e/harness.py).
"""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
OUT = ROOT / "build/bench"

# The template of an empty database is made once below this.
os.environ.setdefault("HOLDFAST_STUBS", str(OUT / "python"))
os.environ.setdefault("HOLDFAST_BIN_DEFAULT", str(OUT / "build/bin"))
sys.path.insert(0, str(ROOT / "tests/e2e"))
