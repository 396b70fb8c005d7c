"""Mirrors: fetched over smart HTTP from a server on this machine, as they are from GitHub."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from git_server import GitServer
from keras_bisect.builds.store import Store
from keras_bisect.errors import HarnessError, NotCached, Unreachable, UsageError
from keras_bisect.history import mirror
from keras_bisect.history.layout import git_hash
from keras_bisect.history.repository import KERAS, Repository
from upstream import NOW, Upstream

ALWAYS = timedelta(0)
"""The age at which a mirror is fetched again at once."""


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "served" / "keras.git")


@pytest.fixture
def server(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with GitServer(upstream.path.parent) as served:
        yield served


@pytest.fixture
def url(server: GitServer) -> str:
    return f"{server.url}/keras.git/.git"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def left(cache: Path) -> list[str]:
    """What is in the folder of mirrors beside whole mirrors and their locks."""
    return [p.name for p in (cache / "repository").glob("*") if p.is_dir() and "." in p.name]


def gits() -> list[psutil.Process]:
    """What this process started of git and has not ended."""
    return [p for p in psutil.Process().children(recursive=True) if p.name().startswith("git")]


def wait_for(true: Callable[[], object]) -> None:
    for _ in range(500):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it never came")


def test_the_default_is_the_repository_of_keras(
    upstream: Upstream,
    server: GitServer,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without it a person would have to have a clone, or git's own settings would not count."""
    sha = upstream.commit("one (#1)", NOW)
    config = tmp_path / "config"
    key = f"url.{server.url}/keras.git/.git.insteadOf"
    subprocess.run(["git", "config", "--file", str(config), key, KERAS], check=True)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    said: list[str] = []
    with Repository(KERAS, cache, notice=said.append) as repository:
        repository.start()
        tip = repository.tip()
        assert tip.sha == sha
        assert repository.tree(tip, Store(cache)).version == "3.5.0"
    assert len(said) == 1
    assert "once" in said[0]


def test_a_proxy_of_git_s_own_is_used(
    upstream: Upstream,
    server: GitServer,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without it a host would be called unreachable to which git knows the way."""
    sha = upstream.commit("one")
    config = tmp_path / "config"
    subprocess.run(["git", "config", "--file", str(config), "http.proxy", server.url], check=True)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    assert Repository("http://keras.invalid/keras.git/.git", cache).tip().sha == sha


def test_over_http_contents_are_fetched_when_they_are_needed(
    upstream: Upstream, server: GitServer, url: str, cache: Path
) -> None:
    """Without it each commit would cost a request a file, or the first all of ten years."""
    shas = [upstream.commit(f"{n}", NOW | {"keras/src/ops.py": f"x = {n}\n"}) for n in range(3)]
    repository = Repository(url, cache)
    line = repository.between(repository.resolve(shas[0]), repository.tip())
    assert [commit.sha for commit in line] == shas
    assert repository.touching("keras/src", line[0], line[-1]) == tuple(shas[1:])
    before = len(server.asked)
    source = repository.tree(line[1], Store(cache))
    assert (source.path / "keras/src/ops.py").read_text() == "x = 1\n"
    # What the server can do, then the files: all at once.
    assert server.asked[before:] == ["refs", "git-upload-pack"]
    later = upstream.commit("later", {"keras/src/ops.py": "x = 9\n"})
    again = Repository(url, cache, max_age=ALWAYS)
    source = again.tree(again.resolve(later), Store(cache))
    assert (source.path / "keras/src/ops.py").read_text() == "x = 9\n"
    shutil.rmtree(upstream.path)
    offline = Repository(url, cache, offline=True, max_age=ALWAYS)
    before = len(server.asked)
    assert offline.tip().sha == later
    with pytest.raises(NotCached, match="Offline"):
        offline.tree(offline.resolve(shas[0]), Store(cache, offline=True))
    with pytest.raises(NotCached, match="Offline"):
        Repository(f"{url}/other", cache, offline=True).ready()
    assert len(server.asked) == before


def test_what_changed_upstream_changes_in_a_mirror(
    upstream: Upstream, url: str, cache: Path
) -> None:
    """Without it a moved tag or a forced push would leave a bisect with what was taken back."""
    one = upstream.commit("one")
    two = upstream.commit("two")
    upstream("tag", "-a", "v3.5.0", "-m", "early")
    upstream("branch", "gone")
    upstream("branch", "topic")
    assert Repository(url, cache).tip().sha == two
    upstream("tag", "--force", "v3.5.0", one)
    upstream("branch", "--delete", "--force", "gone", "topic")
    # A name that was a branch is now a folder of branches.
    upstream("branch", "topic/part", one)
    upstream("checkout", "--quiet", "-b", "main", one)
    upstream("branch", "--delete", "--force", "master")
    three = upstream.commit("three")
    repository = Repository(url, cache, max_age=ALWAYS)
    assert repository.tip().sha == three
    found = repository.tag_of("3.5.0")
    assert found is not None
    assert found.sha == one
    assert repository.resolve("topic/part").sha == one
    with pytest.raises(UsageError):
        repository.resolve("gone")
    # A hash that a person wrote down is still known.
    assert repository.resolve(two).subject == "two"


# -- in the background ---------------------------------------------------------


def test_it_is_fetched_while_other_work_goes_on(
    upstream: Upstream, server: GitServer, url: str, cache: Path
) -> None:
    """Without it the commits would be waited for after the nightlies, and not meanwhile."""
    sha = upstream.commit("one")
    server.free.clear()
    with Repository(url, cache) as repository:
        repository.start()
        repository.start()
        assert server.waited.wait(20)
        server.free.set()
        repository.ready()
        assert repository.tip().sha == sha
    assert server.asked.count("git-upload-pack") == 2  # ls-refs and fetch, once
    assert not gits()


def test_closing_ends_what_is_fetched(
    upstream: Upstream, server: GitServer, url: str, cache: Path
) -> None:
    """Without it a bisect that found its answer would wait for a clone, or leave half of one."""
    upstream.commit("one")
    server.free.clear()
    repository = Repository(url, cache)
    repository.start()
    assert server.waited.wait(20)
    assert gits()
    repository.close()
    repository.close()
    assert not gits()
    assert not left(cache)
    with pytest.raises(HarnessError):
        repository.ready()


PROGRAM = """
import sys
from pathlib import Path
from keras_bisect.history.repository import Repository
repository = Repository(sys.argv[1], Path(sys.argv[2]))
if sys.argv[3] == "whole":
    print(repository.tip().sha)
else:
    repository.start()
    print("started", flush=True)
    sys.stdin.readline()
"""


def program(url: str, cache: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url, str(cache), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_program_ends_though_it_fetches(
    upstream: Upstream, server: GitServer, url: str, cache: Path
) -> None:
    """Without it leaving a program would take as long as the fetch it does not need."""
    upstream.commit("one")
    server.free.clear()
    with program(url, cache, "started") as process:
        assert server.waited.wait(20)
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.communicate("leave\n", timeout=30)
    assert process.returncode == 0
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    assert not left(cache)


def test_a_killed_program_leaves_nothing_that_breaks_the_next(
    upstream: Upstream, server: GitServer, url: str, cache: Path
) -> None:
    """Without it one `kill -9` would cost a person the cache."""
    sha = upstream.commit("one")
    server.free.clear()
    with program(url, cache, "started") as process:
        assert server.waited.wait(20)
        process.kill()
    assert left(cache)
    server.free.set()
    assert Repository(url, cache).tip().sha == sha
    assert not left(cache)
    # As if it had been killed in the middle of a later fetch.
    (folder,) = (path for path in (cache / "repository").iterdir() if path.is_dir())
    for name in ("packed-refs.lock", "refs/heads/master.lock", "objects/pack/tmp_pack_x"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    new = upstream.commit("two")
    said: list[str] = []
    assert Repository(url, cache, max_age=ALWAYS, notice=said.append).tip().sha == new
    assert not said
    assert not list(folder.rglob("*.lock")) + list(folder.rglob("tmp_*"))


def test_several_programs_share_one_mirror(
    upstream: Upstream, server: GitServer, url: str, cache: Path
) -> None:
    """Without it two bisects at once would fetch everything twice, into each other's way."""
    sha = upstream.commit("one", NOW)
    programs = [program(url, cache, "whole") for _ in range(3)]
    assert [process.communicate(timeout=60)[0].strip() for process in programs] == [sha] * 3
    assert server.asked.count("git-upload-pack") == 2
    assert len([path for path in (cache / "repository").iterdir() if path.is_dir()]) == 1


def test_a_damaged_mirror_is_made_anew(upstream: Upstream, url: str, cache: Path) -> None:
    """Without it a bad disk would break every later run, with no word on what to delete."""
    sha = upstream.commit("one")
    Repository(url, cache).ready()
    (folder,) = (path for path in (cache / "repository").iterdir() if path.is_dir())
    shutil.rmtree(folder / "objects")
    said: list[str] = []
    assert Repository(url, cache, max_age=ALWAYS, notice=said.append).tip().sha == sha
    assert "damaged" in said[0]


# -- what cannot be reached ----------------------------------------------------


def test_a_failure_is_told_once(upstream: Upstream, server: GitServer, cache: Path) -> None:
    """Without it every commit that is asked for would wait for a host that is not there."""
    repository = Repository(f"{server.url}/none.git", cache)
    repository.start()
    with pytest.raises(Unreachable, match=r"not found.*--repo PATH") as first:
        repository.ready()
    asked = len(server.asked)
    with pytest.raises(Unreachable) as second:
        repository.resolve("v3.5.0")
    assert str(second.value) == str(first.value)
    assert "\n" not in str(first.value)
    assert len(server.asked) == asked
    assert not left(cache)


@pytest.mark.parametrize("port", ["silent", "refused"])
def test_a_host_that_does_not_answer(
    cache: Path, monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    """Without it a firewall that swallows everything would hold up a bisect for minutes."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(mirror, "ANSWER_SECONDS", 0.5)
    said = {"silent": "no answer within", "refused": "Failed to connect"}[port]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if port == "silent":
            listener.listen()
        url = f"http://me:secret@127.0.0.1:{listener.getsockname()[1]}/keras.git"
        with Repository(url, cache) as repository:
            repository.start()
            for _ in range(2):
                with pytest.raises(Unreachable, match=said) as caught:
                    repository.ready()
                assert "secret" not in str(caught.value)
    assert not gits()
    assert not left(cache)


def test_a_host_that_went_away_is_asked_once(
    upstream: Upstream, server: GitServer, url: str, cache: Path
) -> None:
    """Without it each question would be held up anew, where the mirror at hand answers it."""
    sha = upstream.commit("one", NOW)
    Repository(url, cache).ready()
    upstream.path.rename(upstream.path.with_name("gone"))
    said: list[str] = []
    repository = Repository(url, cache, max_age=ALWAYS, notice=said.append)
    assert repository.tip().sha == sha
    asked = len(server.asked)
    with pytest.raises(UsageError, match="no such commit"):
        repository.resolve("v3.5.0")
    with pytest.raises(Unreachable):
        repository.tree(repository.tip(), Store(cache))
    assert len(server.asked) == asked
    assert len(said) == 1
    assert "fetched last" in said[0]


# -- any transport ---------------------------------------------------------------


def test_a_url_is_mirrored_without_contents(
    upstream: Upstream, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it a bisect would fetch all of Keras' files of ten years, or one file at a time."""
    first = upstream.commit("one", NOW)
    second = upstream.commit("two", {"keras/src/ops.py": "x = 2\n"})
    url = upstream.path.as_uri()
    repository = Repository(url, cache)
    a, b = repository.resolve(first), repository.resolve(second)
    assert repository.tip() == b
    assert len(repository.between(a, b)) == 2
    assert repository.touched(b) == ("keras/src/ops.py",)
    (folder,) = (path for path in (cache / "repository").iterdir() if path.is_dir())
    blob = git_hash(NOW["keras/src/ops.py"].encode())
    present = ["git", "--git-dir", str(folder), "cat-file", "--batch-all-objects", "--batch-check"]
    assert blob not in subprocess.run(present, capture_output=True, text=True, check=True).stdout
    with pytest.raises(NotCached):
        offline = Repository(url, cache, offline=True)
        offline.tree(offline.resolve(first), Store(cache))
    calls: list[tuple[str, ...]] = []
    fetch = mirror.Mirror._fetch

    def counted(self: mirror.Mirror, folder: Path | None, *rest: str, stdin: bytes = b"") -> bytes:
        calls.append(rest)
        return fetch(self, folder, *rest, stdin=stdin)

    monkeypatch.setattr(mirror.Mirror, "_fetch", counted)
    source = repository.tree(a, Store(cache))
    assert (source.path / "keras/src/ops.py").read_text() == NOW["keras/src/ops.py"]
    assert len(calls) == 1
    # Kept: no repository is needed any more.
    shutil.rmtree(upstream.path)
    assert Repository(url, cache, offline=True).tree(a, Store(cache, offline=True)) == source
    assert not list((cache / "repository").glob("*.*.*"))


def test_a_mirror_is_fetched_when_it_is_old_or_lacks_something(
    upstream: Upstream, cache: Path
) -> None:
    """Without it today's commits would be unknown, or each run would wait for the network."""
    one = upstream.commit("one")
    url = upstream.path.as_uri()
    assert Repository(url, cache).tip().sha == one
    two = upstream.commit("two")
    assert Repository(url, cache).tip().sha == one
    assert Repository(url, cache).resolve(two).sha == two
    three = upstream.commit("three")
    assert Repository(url, cache, max_age=timedelta(0)).tip().sha == three
    # A push with --force takes a commit back.
    upstream("reset", "--quiet", "--hard", one)
    four = upstream.commit("four")
    assert Repository(url, cache, max_age=timedelta(0)).tip().sha == four


def test_an_unreachable_url(upstream: Upstream, cache: Path) -> None:
    """Without it a password would be printed, or a mirror at hand not be used."""
    one = upstream.commit("one")
    url = upstream.path.as_uri()
    assert Repository(url, cache).tip().sha == one
    upstream.path.rename(upstream.path.with_name("gone"))
    said: list[str] = []
    repository = Repository(url, cache, max_age=timedelta(0), notice=said.append)
    assert repository.tip().sha == one
    assert "fetched last" in said[0]
    with pytest.raises(Unreachable, match="--repo PATH") as caught:
        Repository("https://me:secret@127.0.0.1:1/keras.git", cache).tip()
    assert "secret" not in str(caught.value)
    with pytest.raises(NotCached, match="Offline"):
        Repository("https://127.0.0.1:1/keras.git", cache, offline=True).tip()
    assert not [path for path in (cache / "repository").iterdir() if "." in path.stem]
