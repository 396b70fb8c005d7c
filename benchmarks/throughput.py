"""Cases a second of a search, against a bare loop that builds and evaluates the same models.

    python benchmarks/throughput.py [--examples 150]

Both run on the installed Keras, one after the other; the bare loop is what a person would write: no
toolkit, one process, one tree implementation. The search runs every model under two of them. What
it costs to write the script of a case is told, too: it is to be next to nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from keras_bisect import Index, Lab, Prober, Store, cache_folder
from keras_repro.find import Budget, draw_cases, search
from keras_repro.reading import render
from keras_repro.strategies import cases

LOOP = """
import sys, time, io, contextlib, json
import tensorflow, keras
texts = json.load(sys.stdin)
start = time.perf_counter()
for text in texts:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit, Exception):
        exec(compile(text, "model.py", "exec"), {"__name__": "__main__"})
print(len(texts) / (time.perf_counter() - start))
"""


def main() -> None:
    import json

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=150)
    count = parser.parse_args().examples
    drawn = list(draw_cases(cases(), count, 0))
    start = time.perf_counter()
    texts = [render(case).text for case in drawn]
    print(f"a script    {(time.perf_counter() - start) / count * 1000:6.2f} ms to write")
    bare = float(
        subprocess.run(
            [sys.executable, "-c", LOOP],
            input=json.dumps(texts),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    print(f"bare loop   {bare:6.1f} models a second")
    cache = cache_folder()
    with Prober() as prober, Store(cache) as store, Lab(Index(cache), store, prober) as lab:
        source = lab.source(lab.resolve("installed"))
        start = time.perf_counter()
        found = search(
            prober,
            source,
            trees=("optree", "dm-tree"),
            seed=0,
            budget=Budget(max_examples=count, structures_per_model=0),
        )
        wall = time.perf_counter() - start
    rate = found.examples / found.seconds
    print(f"search      {rate:6.1f} models a second, each under two tree implementations")
    print(
        f"ratio       {rate / bare:6.2f}  at least 0.60  ({wall:.0f} s in all, shrinking included)"
    )


if __name__ == "__main__":
    main()
