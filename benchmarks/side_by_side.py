"""How long `keras-repro bisect` takes beside a plain `git bisect run`, on the same commits.

    python benchmarks/side_by_side.py CLONE SCRIPT --good v3.4.1 --bad v3.5.0 [--runs 3]

Each run makes, one after the other, so that a slow moment of the machine meets all of them:

    plain    `git bisect run` in a fresh checkout, a fresh interpreter a step
    cold     `keras-repro bisect` with an empty cache folder
    again    the same once more: the builds are in the cache
    shifted  the same with another bad end (`--shifted`, by default the commit before)

Both write bytecode, as Python does if it is not told otherwise, or with `--no-bytecode` neither.

Prints seconds by the clock, seconds of processors (Linux: with all that was left behind; elsewhere
too low), and how many times faster than plain; then the medians. All have to name the same commit.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

PR_SET_CHILD_SUBREAPER = 36
KINDS = ("plain", "cold", "again", "shifted")
CULPRIT = re.compile(r"^([0-9a-f]{40}) is the first bad commit|^\s*commit\s+([0-9a-f]{7,40})", re.M)


class Took(NamedTuple):
    """What one command took, and the commit it named."""

    clock: float
    processor: float
    culprit: str


def used() -> float:
    """Seconds of processors that all processes used that were waited for."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def timed(command: list[str], cwd: Path, env: Mapping[str, str]) -> Took:
    begin, before = time.perf_counter(), used()
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    clock = time.perf_counter() - begin
    with contextlib.suppress(ChildProcessError):
        # What outlives its parent is handed to this process.
        while True:
            os.waitpid(-1, 0)
    found = CULPRIT.search(done.stdout + done.stderr)
    if found is None:
        raise SystemExit(f"{' '.join(command)} named no commit:\n{done.stdout}{done.stderr}")
    return Took(clock, used() - before, (found[1] or found[2])[:10])


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def plain(clone: Path, script: Path, good: str, bad: str, folder: Path) -> Took:
    checkout = folder / "checkout"
    git("clone", "--quiet", "--shared", "--no-checkout", str(clone), str(checkout))
    commits = [git("-C", str(clone), "rev-parse", f"{rev}^{{commit}}") for rev in (bad, good)]
    git("-C", str(checkout), "checkout", "--quiet", "--detach", commits[0])
    env = os.environ | {"PYTHONPATH": str(checkout), "KERAS_BACKEND": "tensorflow"}
    steps = 'git bisect start "$0" "$1" && git bisect run "$2" "$3"'
    return timed(["sh", "-c", steps, *commits, sys.executable, str(script)], checkout, env)


def ours(clone: Path, script: Path, good: str, bad: str, folder: Path) -> Took:
    ends = ["--good", f"git:{good}", "--bad", f"git:{bad}", "--repo", str(clone)]
    command = [sys.executable, "-m", "keras_repro", "bisect", str(script), *ends, "--to", "commit"]
    return timed(command, folder, os.environ | {"KERAS_REPRO_CACHE": str(folder / "cache")})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clone", type=Path)
    parser.add_argument("script", type=Path)
    parser.add_argument("--good", required=True)
    parser.add_argument("--bad", required=True)
    parser.add_argument("--shifted", help="another bad end  [default: BAD~1]")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--no-bytecode", action="store_true")
    asked = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if asked.no_bytecode:
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    clone, script = asked.clone.resolve(), asked.script.resolve()
    shifted = asked.shifted or f"{asked.bad}~1"
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    ratios: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as name:
        # Nothing is removed before the end: ext4 is slow to make files where some just went.
        for run in range(asked.runs):
            folder = Path(name, str(run))
            folder.mkdir()
            common = (clone, script, asked.good)
            took = {
                "plain": plain(*common, asked.bad, folder),
                "cold": ours(*common, asked.bad, folder),
                "again": ours(*common, asked.bad, folder),
                "shifted": ours(*common, shifted, folder),
            }
            if len({one.culprit for one in took.values()}) > 1:
                raise SystemExit(f"They name different commits: {took}")
            for kind, one in took.items():
                ratio = took["plain"].clock / one.clock
                ratios[kind].append(ratio)
                print(f"{kind:8} {one.clock:7.2f} s {one.processor:7.2f} s cpu  {ratio:6.2f}")
            print(flush=True)
    for kind, bound in (("cold", "at least 4"), ("again", ""), ("shifted", "at least 6")):
        print(f"{kind:8} {statistics.median(ratios[kind]):6.2f} times faster  {bound}")


if __name__ == "__main__":
    main()
