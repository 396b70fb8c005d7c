"""A lab with all its parts, in one line: index, store, prober, repository, kept results.

    with open_lab() as lab:
        bisect(lab, Script.read(path), good="3.4.1", bad="3.5.0")

Public: `open_lab`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from keras_bisect.builds.store import cache_folder
from keras_bisect.events import Listener, Notice, ignore
from keras_bisect.probe import environment
from keras_bisect.probe.prober import Prober, Script, digest
from keras_bisect.record.results import Results

if TYPE_CHECKING:
    from keras_bisect.lab import Lab

__all__ = ["open_lab"]


@contextlib.contextmanager
def open_lab(
    *,
    cache: Path | None = None,
    backend: str = "tensorflow",
    timeout: float = 120.0,
    memory: int = 4 << 30,
    jobs: int | None = None,
    fresh: bool = False,
    offline: bool = False,
    index_url: str | None = None,
    repo: str | Path | None = "",
    use_results: bool = True,
    era: bool = False,
    script: Script | None = None,
    listener: Listener = ignore,
) -> Iterator[Lab]:
    """Open a lab; leaving it ends every process and removes every temporary folder it made.

    Args:
        cache: the cache folder; the user's by default.
        backend: the Keras backend of every probe.
        timeout: seconds a script may run.
        memory: bytes a script may hold.
        jobs: probes at a time; as many as there are processors by default.
        fresh: start an interpreter for each probe instead of forking a warm one.
        offline: use only what is in the cache.
        index_url: the package index; see `index.index_url`.
        repo: a clone of the Keras repository, or its URL; a mirror of the project's own by default.
            None: no commits.
        use_results: take what earlier commands have probed.
        era: probe what does not import here in an environment of its own time.
        script: the one that will be run; if something is known of it, nothing is warmed up before
            it is needed.
        listener: told what happens.
    """
    cache = cache if cache is not None else cache_folder()

    def notice(text: str) -> None:
        listener(Notice(text))

    with contextlib.ExitStack() as stack:
        prober = Prober(
            backend=backend,
            timeout=timeout,
            memory=memory,
            jobs=jobs,
            start="fresh" if fresh else None,
        )
        text = script.text if script is not None else ""
        here = environment.here(backend, prober.start, script=text).identity
        results = stack.enter_context(Results(cache, here, notice=notice, recall=use_results))
        if script is None or not results.knows(digest(script)):
            # It takes seconds, and goes on while the index is asked.
            prober.warm()
        # What is imported here is imported while TensorFlow is.
        from keras_bisect.builds.index import Index
        from keras_bisect.builds.store import Store
        from keras_bisect.history.repository import KERAS, Repository
        from keras_bisect.lab import Lab

        stack.callback(prober.close)
        store = stack.enter_context(Store(cache, offline=offline))
        index = Index(cache, url=index_url, offline=offline, notice=notice)
        repository = None
        if repo is not None:
            repository = stack.enter_context(
                Repository(repo or KERAS, cache, offline=offline, notice=notice)
            )
        eras = None
        if era:
            from keras_bisect.probe.era import Eras

            eras = Eras(
                cache,
                backend=backend,
                script=text,
                offline=offline,
                index_url=index_url,
                notice=notice,
            )
        lab = Lab(
            index,
            store,
            prober,
            repository=repository,
            results=results,
            eras=eras,
            listener=listener,
        )
        yield stack.enter_context(lab)
