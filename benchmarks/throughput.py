"""Models a second of a worker and of a search, against a bare loop over the same models.

    python benchmarks/throughput.py [--backends tensorflow,numpy,jax,torch] [--examples 60]

The bare loop is what a person would write: one process, no toolkit. It and a worker take turns,
some models each, so that a slow moment of the machine meets both; what counts is the ratio. Seconds
by the clock, and of processors in brackets: on a busy machine the second is the fairer. Backends
that are not installed are left out.

The last line is of a whole search, which runs every model under two tree implementations: how much
of the processors' time the workers have, and the rest is drawing, reading and learning.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import psutil

from keras_bisect import Index, Lab, Prober, Store, cache_folder
from keras_bisect.builds.store import Source
from keras_bisect.probe.prober import Script
from keras_bisect.probe.worker import Worker
from keras_repro.find import Budget, draw_cases, search
from keras_repro.find.draw import fitting
from keras_repro.reading import render
from keras_repro.strategies import cases

LOOP = """
import contextlib, io, json, os, sys, time
os.environ["KERAS_BACKEND"] = sys.argv[1]
sys.path.insert(0, sys.argv[2])
import keras
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter(), time.process_time()
    for text in json.loads(line):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            with contextlib.suppress(SystemExit, Exception):
                exec(compile(text, "model.py", "exec"), {"__name__": "__main__"})
    end = time.perf_counter(), time.process_time()
    print("took", end[0] - start[0], end[1] - start[1], flush=True)
"""

TURN = 10
"""Models at a time."""
NEEDS = {"tensorflow": "tensorflow", "numpy": "scipy", "jax": "jax", "torch": "torch"}
MODES: dict[str, dict[str, Any]] = {"eager": {"eager": True}, "graph": {"eager": False}}


@dataclass
class Took:
    """Seconds by the clock, and of processors."""

    clock: float = 0.0
    processor: float = 0.0

    def add(self, clock: float, processor: float) -> None:
        self.clock += clock
        self.processor += processor


def turns(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    yield from (texts[place : place + TURN] for place in range(0, len(texts), TURN))


def side_by_side(prober: Prober, source: Source, texts: Sequence[str]) -> tuple[Took, Took]:
    """What the bare loop took, and what a worker did; the first turn of both is not counted."""
    bare, worked = Took(), Took()
    command = [sys.executable, "-c", LOOP, prober.backend, str(source.path)]
    env = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with (
        subprocess.Popen(command, env=env, text=True, **pipes) as loop,  # type: ignore[call-overload]
        Worker(prober, source, "optree") as worker,
    ):
        while loop.stdout.readline().strip() != "ready":
            pass
        worker.run(Script("import keras"))
        process = psutil.Process(worker._process.pid)  # type: ignore[union-attr]
        for place, some in enumerate([texts[:TURN], *turns(texts)]):
            loop.stdin.write(json.dumps(list(some)) + "\n")
            loop.stdin.flush()
            while not (line := loop.stdout.readline()).startswith("took"):
                pass
            before, start = process.cpu_times(), time.perf_counter()
            for text in some:
                worker.run(Script(text))
            clock, after = time.perf_counter() - start, process.cpu_times()
            if place:
                bare.add(*map(float, line.split()[1:]))
                worked.add(clock, after.user + after.system - before.user - before.system)
        loop.stdin.close()
    return bare, worked


def whole(prober: Prober, source: Source, count: int) -> None:
    """A search: its rate, and the share of the toolkit's own process."""
    start = time.process_time()
    budget = Budget(max_examples=count, structures_per_model=0)
    found = search(prober, source, trees=("optree", "dm-tree"), seed=0, budget=budget)
    own = (time.process_time() - start) / (found.seconds + found.shrinking_seconds)
    rate = found.examples / found.seconds
    print(
        f"search      {rate:6.1f} models a second, each under two tree implementations; "
        f"the toolkit's own process is busy {own:.0%} of the time, at most 15%"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", default=",".join(NEEDS))
    parser.add_argument("--examples", type=int, default=60)
    parser.add_argument("--keras", default="installed")
    asked = parser.parse_args()
    cache = cache_folder()
    print("backend     mode    bare a second     worker a second   ratio")
    for backend in asked.backends.split(","):
        if find_spec(NEEDS[backend]) is None:
            print(f"{backend:11} not installed")
            continue
        with (
            Prober(backend=backend) as prober,
            Store(cache) as store,
            Lab(Index(cache), store, prober) as lab,
        ):
            source = lab.source(lab.resolve(asked.keras))
            for mode, fixed in MODES.items():
                if backend == "numpy" and mode == "graph":
                    continue
                drawn = fitting(draw_cases(cases(**fixed), asked.examples, 0), backend)
                texts = [render(case).text for case in drawn]
                bare, worked = side_by_side(prober, source, texts)
                rates = [
                    f"{len(texts) / one.clock:6.1f} ({len(texts) / one.processor:6.1f})"
                    for one in (bare, worked)
                ]
                ratio, fair = bare.clock / worked.clock, bare.processor / worked.processor
                print(
                    f"{backend:11} {mode:7} {rates[0]:17} {rates[1]:17} {ratio:.2f} ({fair:.2f})"
                    "  at least 0.60",
                    flush=True,
                )
            if backend == "tensorflow":
                whole(prober, source, asked.examples)


if __name__ == "__main__":
    main()
