"""How long the commands take, as multiples of `import tensorflow` measured in the same run.

    python benchmarks/ratios.py [--runs 3]

Builds must be in the cache for a fair figure; the first, uncounted run of each command puts them
there. Prints one line a figure: the median, the ratio, and the bound that it is held to.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = [sys.executable, "-m", "keras_repro"]
RELEASES = ["3.0.5", "3.3.3", "3.5.0", "3.8.0", "3.12.0", "3.15.1"]


def timed(command: list[str], cwd: Path) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} exits {done.returncode}:\n{done.stderr}")
    return seconds


def median(command: list[str], cwd: Path, runs: int) -> float:
    timed(command, cwd)
    return statistics.median(timed(command, cwd) for _ in range(runs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        cwd = Path(folder)
        unit = median([sys.executable, "-c", "import tensorflow"], cwd, runs)
        print(f"import tensorflow           {unit:7.2f} s    1.0")
        hunt = [*COMMAND, "hunt", "--keras", "3.5.0"]
        first = median([*hunt, "--first", "--out", "first"], cwd, runs)
        print(f"hunt --first                {first:7.2f} s  {first / unit:5.1f}  at most 15")
        whole = timed([*hunt, "--out", "all"], cwd)
        found = len(list((cwd / "all").glob("*/repro.py")))
        more = (whole - first) / max(1, found - 1)
        print(f"each further finding of {found:2}  {more:7.2f} s  {more / unit:5.1f}  at most 6")
        script = next((cwd / "all").glob("*target-alphabet-dict*/repro.py"))
        ends = ["--good", "3.4.1", "--bad", "3.5.0", "--to", "file"]
        bisect = median([*COMMAND, "bisect", str(script), *ends], cwd, runs)
        print(f"bisect to the file          {bisect:7.2f} s  {bisect / unit:5.1f}  at most 5")
        line = median([*COMMAND, "timeline", str(script)], cwd, runs)
        fresh = [*COMMAND, "run", str(script), "--fresh", "--jobs", "1", "--keras"]
        each = median([*fresh, ",".join(RELEASES)], cwd, 1) / len(RELEASES)
        share = line / (40 * each)
        print(
            f"timeline of 40 releases     {line:7.2f} s  {share:5.2f}  of fresh runs, at most 0.20"
        )
        help_ = median([*COMMAND, "--help"], cwd, runs)
        print(f"--help                      {help_:7.2f} s         at most 0.5 s")


if __name__ == "__main__":
    main()
