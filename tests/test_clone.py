"""A person's clone, whatever state it is in: it is read, it is never written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from keras_bisect.builds.store import Store
from keras_bisect.errors import HarnessError, UsageError
from keras_bisect.history import git
from keras_bisect.history.repository import NotInRepository, Repository
from upstream import NOW, START, Upstream, nightly, snapshot, sources, stamped


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "upstream")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


WRONG = {"keras/src/ops.py": "def add(x, y):\n    return y\n"}


def read_everything(clone: Path, cache: Path, tmp_path: Path, old: str, new: str) -> None:
    """Do all that a bisect does with a clone."""
    repository = Repository(clone, cache)
    a, b = repository.resolve(old), repository.resolve(new)
    assert repository.between(a, b)[0] == a
    assert repository.count(a, b) >= 1
    assert repository.relation(a, b) == "ancestor"
    assert repository.merge_bases(a, b) == (a,)
    repository.brought(b)
    repository.touched(b)
    repository.touching("keras/src/ops.py", a, b)
    repository.commit_link(b)
    source = repository.tree(a, Store(cache))
    repository.commit_of_nightly(nightly(tmp_path / "n", stamped(b), sources(NOW)))
    assert (source.path / "keras/src/ops.py").read_bytes() == NOW["keras/src/ops.py"].encode()


def plain(upstream: Upstream) -> None:
    """Nothing unusual."""


def dirty(upstream: Upstream) -> None:
    """Leave everything behind that a person may have: staged, changed, stashed, untracked."""
    (upstream.path / "README.md").write_text("stashed\n")
    upstream("stash")
    (upstream.path / "README.md").write_text("staged\n")
    upstream("add", "README.md")
    (upstream.path / "README.md").write_text("changed\n")
    (upstream.path / "untracked").write_text("mine\n")
    upstream("config", "core.autocrlf", "true")


def bisecting(upstream: Upstream) -> None:
    """A bisect of the person's own is under way, with a commit to be tested."""
    for _ in range(4):
        upstream.commit("later")
    upstream("bisect", "start", "HEAD", "HEAD~4")
    assert (upstream.path / ".git/BISECT_LOG").exists()


def rebasing(upstream: Upstream) -> None:
    """A rebase stopped at a conflict."""
    upstream("checkout", "--quiet", "-b", "mine", "HEAD~1")
    upstream.commit("mine", {"keras/src/ops.py": "mine = 1\n"})
    with pytest.raises(AssertionError):
        upstream("rebase", "master")
    assert (upstream.path / ".git/rebase-merge").exists()


def detached(upstream: Upstream) -> None:
    """No branch is checked out."""
    upstream("checkout", "--quiet", "--detach", "HEAD~1")


def unborn(upstream: Upstream) -> None:
    """A branch without commits is checked out."""
    upstream("checkout", "--quiet", "--orphan", "empty")


def hooked(upstream: Upstream) -> None:
    """Hooks and a monitor that would write into the work tree."""
    folder = upstream.path / ".git" / "hooks"
    folder.mkdir(exist_ok=True)
    touch = f"#!/bin/sh\ntouch '{upstream.path}/pwned'\n"
    for name in ("post-checkout", "reference-transaction", "post-index-change", "monitor"):
        (folder / name).write_text(touch)
        (folder / name).chmod(0o755)
    upstream("config", "core.fsmonitor", str(folder / "monitor"))


STATES = (plain, dirty, bisecting, rebasing, detached, unborn, hooked)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_a_checkout_is_left_as_it_was(
    upstream: Upstream,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    state: Callable[[Upstream], None],
) -> None:
    """Without it a bisect could lose the work of who runs it."""
    first = upstream.commit("one", NOW)
    second = upstream.commit("two (#2)", WRONG)
    state(upstream)
    before = snapshot(upstream.path)
    # As it is set under `git bisect run` and in hooks.
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    for origin in (upstream.path, upstream.path / "keras" / "src", upstream.path / ".git"):
        read_everything(origin, cache, tmp_path, first, second)
    assert snapshot(upstream.path) == before
    assert not (tmp_path / "index").exists()


def test_a_linked_worktree_serves(upstream: Upstream, cache: Path, tmp_path: Path) -> None:
    """Without it who keeps a worktree for each branch could not bisect from one."""
    first, second = upstream.commit("one", NOW), upstream.commit("two (#2)", WRONG)
    linked = tmp_path / "linked"
    upstream("worktree", "add", "--quiet", "--detach", str(linked), first)
    before = snapshot(upstream.path), snapshot(linked)
    read_everything(linked, cache, tmp_path, first, second)
    # HEAD is that of the worktree.
    assert Repository(linked, cache).resolve("HEAD").sha == first
    assert (snapshot(upstream.path), snapshot(linked)) == before


def test_a_read_only_clone_serves(upstream: Upstream, cache: Path, tmp_path: Path) -> None:
    """Without it a clone on a mounted disk could not be used."""
    first, second = upstream.commit("one", NOW), upstream.commit("two (#2)", WRONG)
    bare = tmp_path / "bare.git"
    upstream("clone", "--quiet", "--bare", str(upstream.path), str(bare))
    paths = [bare, *bare.rglob("*")]
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)
    before = snapshot(bare)
    try:
        read_everything(bare, cache, tmp_path, first, second)
        # Modes do not stop root.
        assert snapshot(bare) == before
    finally:
        for path in paths:
            path.chmod(path.stat().st_mode | 0o200)


def test_a_shallow_clone_says_what_it_lacks(
    upstream: Upstream, cache: Path, tmp_path: Path
) -> None:
    """Without it a cut history would be taken for the whole one, and a wrong commit named."""
    old = upstream.commit("old", NOW)
    upstream("checkout", "--quiet", "-b", "side")
    side = upstream.commit("side")
    upstream("checkout", "--quiet", "master")
    upstream.commit("middle", hours=24 * 30)
    new = upstream.commit("new", {"keras/src/ops.py": "x = 1\n"})
    shallow = tmp_path / "shallow"
    url = upstream.path.as_uri()
    upstream("clone", "--quiet", "--depth=2", "--no-single-branch", url, str(shallow))
    repository = Repository(shallow, cache)
    with pytest.raises(UsageError, match="--unshallow"):
        repository.resolve("v3.0.0")
    tip, branch = repository.resolve(new), repository.resolve(side)
    with pytest.raises(NotInRepository, match="--unshallow"):
        repository.between(branch, tip)
    with pytest.raises(NotInRepository, match="--unshallow"):
        repository.merge_base(branch, tip)
    early = nightly(tmp_path / "n", f"3.5.0.dev{START + timedelta(hours=3):%Y%m%d%H}", sources(NOW))
    with pytest.raises(NotInRepository, match="--unshallow"):
        repository.commit_of_nightly(early)
    assert Repository(upstream.path, cache).commit_of_nightly(early).commit.sha == old
    # What it does hold, it tells.
    assert len(repository.between(repository.resolve("HEAD~1"), tip)) == 2
    assert repository.tree(tip, Store(cache)).files


def test_nothing_is_fetched_into_a_partial_clone(
    upstream: Upstream, cache: Path, tmp_path: Path
) -> None:
    """Without it git would quietly fetch into a person's clone, one file after the other."""
    sha = upstream.commit("one", NOW)
    partial = tmp_path / "partial"
    url = upstream.path.as_uri()
    upstream("clone", "--quiet", "--bare", "--filter=blob:none", url, str(partial))
    before = snapshot(partial)
    repository = Repository(partial, cache)
    assert repository.resolve("master").sha == sha
    with pytest.raises(NotInRepository, match="partial"):
        repository.tree(repository.tip(), Store(cache))
    assert snapshot(partial) == before


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_what_is_no_repository_is_said(tmp_path: Path, cache: Path, kind: str) -> None:
    """Without it a mistyped path would end in git's own words, or in a traceback."""
    path = tmp_path / "clone"
    if kind == "empty":
        path.mkdir()
    elif kind == "file":
        path.write_text("")
    with pytest.raises(UsageError, match="--repo"):
        Repository(path, cache).tip()


def test_without_git(upstream: Upstream, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it a machine without git would show a traceback instead of what to do."""
    upstream.commit("one")
    monkeypatch.setenv("PATH", str(cache))
    with pytest.raises(HarnessError, match="Install it"):
        Repository(upstream.path, cache).tip()


def test_a_git_that_hangs_is_ended(
    upstream: Upstream, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it a bisect would wait for ever."""
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(
        git.run, "__kwdefaults__", {**(git.run.__kwdefaults__ or {}), "seconds": 0.3}
    )
    with pytest.raises(HarnessError, match="had not ended"):
        Repository(upstream.path, cache).tip()


@pytest.mark.parametrize("depth", [1, 50])
def test_a_shallow_clone_is_sure_of_what_it_holds(
    upstream: Upstream, cache: Path, tmp_path: Path, depth: int
) -> None:
    """Without it a clone that holds the whole range is refused, or a cut one trusted."""
    shas = [upstream.commit("root", NOW)]
    shas += [upstream.commit(f"{n}", {"keras/src/ops.py": f"x = {n}\n"}) for n in range(60)]
    shallow = tmp_path / "shallow"
    url = upstream.path.as_uri()
    upstream("clone", "--quiet", f"--depth={depth}", url, str(shallow))
    before = snapshot(shallow)
    repository = Repository(shallow, cache)
    with pytest.raises(UsageError, match=r"shallow clone.*--unshallow --tags"):
        repository.resolve(shas[0])
    held = [repository.resolve(sha) for sha in shas[-depth:]]
    assert repository.between(held[0], held[-1]) == tuple(held)
    if depth > 1:
        # Both ends are there, and all between them: this needs no more history.
        assert repository.relation(held[-1], held[0]) == "descendant"
        assert not repository.is_ancestor(held[-1], held[0])
        assert repository.merge_base(held[1], held[-1]) == held[1]
    assert snapshot(shallow) == before


def test_replaced_and_grafted_commits_are_read_as_they_were_made(
    upstream: Upstream, cache: Path
) -> None:
    """Without it a person's own replacements would name a commit that nobody else has."""
    shas = [upstream.commit(f"{n}", {"x": f"{n}"}) for n in range(5)]
    upstream("replace", "--graft", shas[3], shas[0])
    upstream("replace", shas[4], shas[1])
    (upstream.path / ".git/info").mkdir(exist_ok=True)
    (upstream.path / ".git/info/grafts").write_text(f"{shas[2]} {shas[0]}\n")
    repository = Repository(upstream.path, cache)
    first = repository.resolve(shas[4])
    assert first.subject == "4"
    line = repository.between(repository.resolve(shas[0]), first)
    assert [commit.sha for commit in line] == shas


def test_refs_that_look_like_something_else(upstream: Upstream, cache: Path) -> None:
    """Without it the name of a branch could be an option of git, or the wrong commit be taken."""
    one = upstream.commit("one", NOW)
    two = upstream.commit("two", WRONG)
    for name in ("--upload-pack=touch pwned", "-h", "--all"):
        target = f"refs/heads/{name}".replace(" ", "-")
        (upstream.path / ".git" / target).write_text(f"{one}\n")
    # What everyone means by a tag is not a branch of that name; a short hash is not a branch.
    upstream("update-ref", "refs/tags/v3.5.0", one)
    upstream("update-ref", "refs/heads/v3.5.0", two)
    upstream("update-ref", "refs/heads/HEAD", one)
    upstream("update-ref", f"refs/heads/{two}", one)
    repository = Repository(upstream.path, cache)
    assert repository.tip().sha == two
    assert repository.resolve("HEAD").sha == two
    assert repository.resolve("v3.5.0").sha == one
    assert repository.resolve(two).sha == two
    assert repository.resolve("refs/heads/--all").sha == one
    with pytest.raises(UsageError):
        repository.resolve("--all")


def test_a_clone_of_another_user(
    upstream: Upstream, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it who runs this as root is told that a clone is no clone of Keras."""
    upstream.commit("one")
    # git's own switch for its own tests: every folder is someone else's.
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(UsageError, match=r"another user.*--add safe\.directory \S+upstream"):
        Repository(upstream.path, cache).ready()


def test_settings_of_a_person_do_not_matter(
    upstream: Upstream, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it a clone would be refused, or read otherwise, where a person has changed git."""
    first, second = upstream.commit("one", NOW), upstream.commit("two (#2)", WRONG)
    bare = tmp_path / "bare.git"
    upstream("clone", "--quiet", "--bare", str(upstream.path), str(bare))
    settings = {
        "safe.bareRepository": "explicit",
        "log.showSignature": "true",
        "color.ui": "always",
        "diff.noprefix": "true",
        "core.quotePath": "true",
        "clone.defaultRemoteName": "theirs",
        "fetch.prune": "true",
    }
    config = tmp_path / "config"
    for name, value in settings.items():
        subprocess.run(["git", "config", "--file", str(config), name, value], check=True)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    read_everything(bare, cache, tmp_path, first, second)
    url = upstream.path.as_uri()
    mirrored = Repository(url, cache)
    assert mirrored.tip().sha == second
    three = upstream.commit("three")
    assert Repository(url, cache, max_age=timedelta(0)).tip().sha == three


@pytest.mark.parametrize("stale", [True, False])
def test_a_default_branch_that_was_renamed(
    upstream: Upstream, cache: Path, tmp_path: Path, stale: bool
) -> None:
    """Without it a clone from before would end where the old name does, a year ago."""
    one = upstream.commit("one")
    clone = tmp_path / "clone"
    upstream("clone", "--quiet", upstream.path.as_uri(), str(clone))
    upstream("branch", "--move", "master", "main")
    two = upstream.commit("two")
    upstream("-C", str(clone), "fetch", "--quiet", *([] if stale else ["--prune"]))
    assert (clone / ".git/refs/remotes/origin/HEAD").exists()
    repository = Repository(clone, cache)
    assert repository.tip().sha == two
    assert len(repository.between(repository.resolve(one), repository.tip())) == 2


def test_a_clone_without_commits(upstream: Upstream, cache: Path) -> None:
    """Without it an empty folder that `git init` was run in ends in git's own words."""
    with pytest.raises(UsageError, match="no commits"):
        Repository(upstream.path, cache).tip()
