from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from keras_bisect.builds.build import Build
from keras_bisect.builds.store import Source, Store
from keras_bisect.errors import Unreachable, UsageError
from keras_bisect.history import git, layout
from keras_bisect.history.layout import as_built, as_written, git_hash
from keras_bisect.history.repository import Commit, NotInRepository, Repository, main_parent
from upstream import GITHUB, NOW, START, THEN, Upstream, nightly, sources, stamped


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "upstream")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


# -- commits -------------------------------------------------------------------


def test_a_revision_becomes_a_commit(upstream: Upstream, cache: Path) -> None:
    """Without it the culprit would be shown with another date, subject or pull request."""
    sha = upstream.commit("Fix `Dense` — again (#854) (#20015)")
    upstream("tag", "-a", "v3.5.0", "-m", "annotated")
    repository = Repository(upstream.path, cache)
    for rev in ("HEAD", "master", "v3.5.0", sha, sha[:10]):
        commit = repository.resolve(rev)
        assert (commit.sha, commit.pull) == (sha, 20015)
    assert commit.subject == "Fix `Dense` — again (#854) (#20015)"
    assert commit.author_date == commit.commit_date == START + timedelta(hours=1)
    assert repository.tag_of("3.5.0") == repository.tag_of(Version("3.5.0")) == commit
    assert repository.tag_of("3.6.0") is None


@pytest.mark.parametrize(
    ("subject", "pull"),
    [
        ("Merge pull request #12 from a/b", 12),
        ("Fix #19991 (#20008)", 20008),
        ("Fix #19991", None),
        ("Merge branch 'master' of github.com:keras-team/keras", None),
    ],
)
def test_pull_requests_are_read_from_subjects(
    upstream: Upstream, cache: Path, subject: str, pull: int | None
) -> None:
    """Without it the report would link the issue that was fixed, or nothing."""
    upstream.commit(subject)
    assert Repository(upstream.path, cache).tip().pull == pull


@pytest.mark.parametrize(
    "rev",
    [
        *("--upload-pack=touch pwned", "-h", "", "master..HEAD", "no-such", "HEAD\n", "a b"),
        *("f" * 40, "HEAD:README.md", "HEAD^{tree}", "\0", "refs/heads/*", "$(touch pwned)"),
    ],
)
def test_what_is_no_commit_is_refused(upstream: Upstream, cache: Path, rev: str) -> None:
    """Without it text from a command line would be an option of git, or a tree a commit."""
    upstream.commit("one", NOW)
    with pytest.raises(UsageError) as caught:
        Repository(upstream.path, cache).resolve(rev)
    assert "git:" in str(caught.value)
    assert not list(upstream.path.rglob("pwned"))


@pytest.mark.parametrize("origin", ["--upload-pack=touch pwned", "-x", "", "ext::sh -c true"])
def test_hostile_origins_are_refused(cache: Path, origin: str) -> None:
    """Without it --repo could run a program."""
    with pytest.raises((UsageError, Unreachable)):
        Repository(origin, cache).tip()


@pytest.mark.parametrize("origin", ["ext::touch {}", "ext://touch {}", "ext::touch://{}"])
def test_a_transport_that_runs_programs_is_refused(
    tmp_path: Path, cache: Path, origin: str
) -> None:
    """Without it a URL could run a program."""
    with pytest.raises((UsageError, Unreachable)):
        Repository(origin.format(tmp_path / "pwned"), cache).tip()
    assert not (tmp_path / "pwned").exists()


# -- lines ---------------------------------------------------------------------


def test_a_line_of_squashed_commits(upstream: Upstream, cache: Path) -> None:
    """Without it a bisect would miss a commit, or test one twice."""
    shas = [upstream.commit(f"{n} (#{n})") for n in range(5)]
    repository = Repository(upstream.path, cache)
    a, b = repository.resolve(shas[1]), repository.resolve(shas[4])
    assert [commit.sha for commit in repository.between(a, b)] == shas[1:]
    assert repository.between(b, b) == (b,)


def test_a_merged_branch_is_one_step(upstream: Upstream, cache: Path) -> None:
    """Without it commits that master never was at would be tested, and some of them fail."""
    base = upstream.commit("base")
    upstream("checkout", "--quiet", "-b", "feature")
    work = [upstream.commit("half", {"x": "1"}), upstream.commit("whole", {"x": "2"})]
    upstream("checkout", "--quiet", "master")
    other = upstream.commit("other", {"y": "1"})
    merge = upstream.merge("feature", "Merge pull request #7 from a/master")
    repository = Repository(upstream.path, cache)
    last, first = repository.resolve(base), repository.resolve(merge)
    assert [c.sha for c in repository.between(last, first)] == [base, other, merge]
    assert [c.sha for c in repository.brought(first)] == work
    assert repository.touched(first) == ("x",)
    # From a commit of the branch there is a line too.
    half = repository.resolve(work[0])
    assert [c.sha for c in repository.between(half, first)] == [*work, merge]


def test_a_pull_that_merged_master_is_read_the_other_way_round(
    upstream: Upstream, cache: Path
) -> None:
    """Without it a local pull hides what others did: sixty merges of Keras are of this kind."""
    base = upstream.commit("base")
    pushed = [upstream.commit("theirs (#1)", {"x": "1"}), upstream.commit("theirs (#2)")]
    upstream("checkout", "--quiet", "-b", "local", base)
    local = upstream.commit("minor fix", {"y": "1"})
    merge = upstream.merge("master", f"Merge branch 'master' of {GITHUB}")
    repository = Repository(upstream.path, cache)
    first = repository.resolve(merge)
    line = repository.between(repository.resolve(base), first)
    assert [commit.sha for commit in line] == [base, *pushed, merge]
    assert [commit.sha for commit in repository.brought(first)] == [local]
    assert repository.touched(first) == ("y",)


@pytest.mark.parametrize(
    ("subject", "parent"),
    [
        ("Merge branch 'master' of github.com:keras-team/keras", 1),
        ("Merge branches 'master' and 'master' of github.com:keras-team/keras", 1),
        ("Merge remote-tracking branch 'origin/main'", 1),
        ("Merge branch 'master' into preproc", 1),
        ("Merge master", 1),
        ("Merge branch 'fix-main-loop'", 0),
        ("Merge branch 'feature' into master", 0),
        ("Merge pull request #3 from someone/master", 0),
        ("Fix merge conflict.", 0),
    ],
)
def test_the_subject_of_a_merge_says_where_the_branch_was(subject: str, parent: int) -> None:
    """Without it one wrong word would lead a line into a contributor's branch."""
    commit = Commit("0" * 40, subject, START, START, None, ("a" * 40, "b" * 40))
    assert main_parent(commit) == commit.parents[parent]
    assert main_parent(Commit("0" * 40, subject, START, START, None, ("a",))) == "a"
    assert main_parent(Commit("0" * 40, subject, START, START, None)) is None


def test_a_release_branch_parts_from_the_line(upstream: Upstream, cache: Path) -> None:
    """Without it a fix that was picked onto a release would be looked for on the wrong side."""
    base = upstream.commit("base", {"x": "1"})
    upstream.commit("master goes on", {"y": "1"})
    fix = upstream.commit("fix (#9)", {"x": "2"})
    upstream("checkout", "--quiet", "-b", "r3.5", base)
    upstream.hours += 1
    upstream("cherry-pick", fix)
    upstream("tag", "v3.5.1")
    repository = Repository(upstream.path, cache)
    release, master = repository.tag_of("3.5.1"), repository.resolve("master")
    assert release is not None
    assert repository.merge_base(release, master).sha == base
    assert not repository.is_ancestor(release, master)
    with pytest.raises(UsageError, match=base[:10]):
        repository.between(release, master)
    assert len(repository.between(repository.resolve(base), release)) == 2


def test_histories_without_a_common_commit(upstream: Upstream, cache: Path) -> None:
    """Without it two unrelated revisions would end in a traceback."""
    one = upstream.commit("one")
    upstream("checkout", "--quiet", "--orphan", "other")
    two = upstream.commit("two")
    repository = Repository(upstream.path, cache)
    with pytest.raises(UsageError, match="no commit in common"):
        repository.merge_base(repository.resolve(one), repository.resolve(two))


def test_what_two_commits_are_to_each_other(upstream: Upstream, cache: Path) -> None:
    """Without it a search would go the wrong way, or along a line that is none."""
    base = upstream.commit("base")
    upstream("checkout", "--quiet", "-b", "side")
    side = upstream.commit("side", {"y": "1"})
    upstream("checkout", "--quiet", "master")
    main = upstream.commit("main", {"x": "1"})
    merge = upstream.merge("side", "Merge pull request #1 from a/side")
    upstream("checkout", "--quiet", "--orphan", "other")
    other = upstream.commit("other")
    repository = Repository(upstream.path, cache)
    a, b, c, d, e = (repository.resolve(sha) for sha in (base, side, main, merge, other))
    told = {(x, y): repository.relation(x, y) for x in (a, b, c, d, e) for y in (a, b, c, d, e)}
    back = {"ancestor": "descendant", "descendant": "ancestor"}
    assert all(told[y, x] == back.get(relation, relation) for (x, y), relation in told.items())
    assert all((relation == "same") == (x == y) for (x, y), relation in told.items())
    assert all(told[a, x] == told[x, d] == "ancestor" for x in (b, c))
    assert told[b, c] == "diverged"
    assert all(told[x, e] == "unrelated" for x in (a, b, c, d))
    # The merge, and the commit that it merged.
    assert repository.count(c, d) == 2
    assert repository.count(a, d) == 3
    assert repository.count(d, a) == repository.count(d, d) == 0


def test_branches_that_were_merged_crosswise(upstream: Upstream, cache: Path) -> None:
    """Without it one of several places where histories part would be taken for the only one."""
    upstream.commit("base")
    upstream("checkout", "--quiet", "-b", "side")
    side = upstream.commit("side", {"y": "1"})
    upstream("checkout", "--quiet", "master")
    main = upstream.commit("main", {"x": "1"})
    one = upstream.merge("side", "one way")
    upstream("checkout", "--quiet", "side")
    two = upstream.merge(main, "the other way")
    repository = Repository(upstream.path, cache)
    bases = repository.merge_bases(repository.resolve(one), repository.resolve(two))
    assert {commit.sha for commit in bases} == {side, main}
    assert repository.merge_base(repository.resolve(one), repository.resolve(two)) == bases[0]
    assert repository.relation(repository.resolve(one), repository.resolve(two)) == "diverged"


def test_the_commits_of_a_line_that_touch_a_file(upstream: Upstream, cache: Path) -> None:
    """Without it a suspected file would lead to commits that never were a state of master."""
    shas = [upstream.commit("base", {"keras/a.py": "0"}), upstream.commit("b", {"keras/b.py": "1"})]
    upstream("checkout", "--quiet", "-b", "side")
    upstream.commit("on the side", {"keras/a.py": "1"})
    upstream("checkout", "--quiet", "master")
    shas.append(upstream.commit("other", {"keras/*.py": "1"}))
    shas.append(upstream.merge("side", "Merge pull request #1 from a/side"))
    shas.append(upstream.commit("a again", {"keras/a.py": "2"}))
    repository = Repository(upstream.path, cache)
    last, first = repository.resolve(shas[0]), repository.resolve(shas[-1])
    assert repository.touching("keras/a.py", last, first) == (shas[3], shas[4])
    assert repository.touching("keras", last, first) == tuple(shas[1:])
    assert repository.touching("keras/*.py", last, first) == (shas[2],)
    assert repository.touching("no/such.py", last, first) == ()
    assert repository.touching("keras/a.py", last, last) == ()


def test_what_a_commit_touched(upstream: Upstream, cache: Path) -> None:
    """Without it the report would name other files than the culprit's."""
    first = upstream.commit("one", {"a.py": "1", "b/c d.py": "1"})
    (upstream.path / "a.py").rename(upstream.path / "ä.py")
    second = upstream.commit("two")
    repository = Repository(upstream.path, cache)
    assert repository.touched(repository.resolve(first)) == ("a.py", "b/c d.py")
    assert repository.touched(repository.resolve(second)) == ("a.py", "ä.py")


@settings(max_examples=8, deadline=None)
@given(steps=st.lists(st.sampled_from(["commit", "pull", "feature"]), min_size=1, max_size=6))
def test_a_line_is_what_master_was(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    """Without it a mixture of merges could make the line skip or repeat a state of master.

    The world: what `master` was after each push is written down as it happens.
    """
    folder = tmp_path_factory.mktemp("world")
    upstream = Upstream(folder / "upstream")
    states = [upstream.commit("root"), upstream.commit("first")]
    for number, step in enumerate(steps):
        if step == "commit":
            states.append(upstream.commit(f"{number} (#{number})"))
            continue
        # Someone worked from an older state meanwhile.
        upstream("checkout", "--quiet", "-b", f"b{number}", states[-2])
        upstream.commit(f"work {number}", {f"f{number}": "1"})
        if step == "pull":
            states.append(upstream.merge("master", f"Merge branch 'master' of {GITHUB}"))
            upstream("branch", "--force", "master", f"b{number}")
            upstream("checkout", "--quiet", "master")
        else:
            upstream("checkout", "--quiet", "master")
            states.append(upstream.merge(f"b{number}", f"Merge pull request #{number} from a/b"))
    repository = Repository(upstream.path, folder / "cache")
    line = repository.between(repository.resolve(states[0]), repository.resolve("master"))
    assert [commit.sha for commit in line] == states


# -- nightlies -----------------------------------------------------------------


def test_a_nightly_is_recognised_by_its_sources(
    upstream: Upstream, cache: Path, tmp_path: Path
) -> None:
    """Without it the commits of a transition would be those of another day."""
    upstream.commit("one", NOW)
    changed = {"keras/src/ops.py": "def add(x, y):\n    return y\n"}
    two = upstream.commit("two", changed)
    same = upstream.commit("docs and tests", {"README.md": "!", "keras/src/ops_test.py": "!"})
    upstream.commit("three", {"keras/src/ops.py": "x = 3\n"})
    repository = Repository(upstream.path, cache)
    source = nightly(tmp_path / "n", stamped(repository.tip()), sources(NOW | changed))
    found = repository.commit_of_nightly(source)
    # Of two commits with the same sources, the later.
    assert found.exact
    assert found.commit.sha == found.earliest.sha == found.latest.sha == same != two


def test_the_nightlies_around_a_commit_bracket_it(
    upstream: Upstream, cache: Path, tmp_path: Path
) -> None:
    """Without it the culprit could lie outside of the commits that are tested."""
    trees = [NOW | {"keras/src/ops.py": f"x = {n}\n"} for n in range(6)]
    shas = [upstream.commit(f"{n} (#{n})", tree, hours=5) for n, tree in enumerate(trees)]
    repository = Repository(upstream.path, cache)
    a, b = (
        repository.commit_of_nightly(
            nightly(tmp_path / str(n), stamped(repository.resolve(shas[n])), sources(trees[n]))
        )
        for n in (1, 4)
    )
    assert [c.sha for c in repository.between(a.commit, b.commit)] == shas[1:5]


def test_an_unknown_nightly_goes_by_the_time(
    upstream: Upstream, cache: Path, tmp_path: Path
) -> None:
    """Without it a nightly that was built in another way would stop the bisect, or mislead it."""
    for number in range(20):
        upstream.commit(f"{number}", {**NOW, "keras/src/ops.py": f"x = {number}\n"}, hours=12)
    repository = Repository(upstream.path, cache)
    commits = repository.between(repository.resolve("HEAD~19"), repository.tip())
    made = stamped(commits[10], 1)
    found = repository.commit_of_nightly(nightly(tmp_path / "n", made, {"keras/src/a.py": "?"}))
    assert not found.exact
    assert found.commit == commits[10]
    assert found.earliest == commits[8]
    assert found.latest == commits[13]


def test_a_nightly_after_the_clone_ends(upstream: Upstream, cache: Path, tmp_path: Path) -> None:
    """Without it an old clone would name its last commit for whatever came later."""
    upstream.commit("one", NOW)
    repository = Repository(upstream.path, cache)
    late = f"3.5.0.dev{START + timedelta(days=40):%Y%m%d%H}"
    with pytest.raises(NotInRepository, match="git fetch"):
        repository.commit_of_nightly(nightly(tmp_path / "a", late, {"keras/src/a.py": "?"}))
    # No commits since: the last one is still its.
    same = nightly(tmp_path / "b", late, sources(NOW))
    assert repository.commit_of_nightly(same).commit == repository.tip()
    release = Build("release", "3.5.0", Version("3.5.0"))
    with pytest.raises(UsageError, match="nightly"):
        repository.commit_of_nightly(Source(release, tmp_path, "", "", None, {}))


# -- trees ---------------------------------------------------------------------


def test_a_tree_is_laid_out_as_its_wheel(upstream: Upstream, cache: Path) -> None:
    """Without it a commit and the nightly with the same sources would be two builds."""
    sha = upstream.commit("one", NOW)
    repository = Repository(upstream.path, cache)
    source = repository.tree(repository.resolve(sha), Store(cache))
    assert source.build == Build("commit", f"git:{sha}")
    assert source.version == "3.5.0"
    assert set(source.files) == {
        *("keras/__init__.py", "keras/api/__init__.py", "keras/_tf_keras/__init__.py"),
        *("keras/src/__init__.py", "keras/src/version.py", "keras/src/ops.py"),
    }
    text = (source.path / "keras/_tf_keras/__init__.py").read_text()
    assert text == "from keras._tf_keras import keras\n"
    flat = {"keras/__init__.py": "# This file should NEVER be packaged!\nfrom keras.api import *\n"}
    flat |= {"keras/api/__init__.py": "from keras import _tf_keras\n", "pip_build.py": ""}
    flat |= {"keras/api/_tf_keras/__init__.py": "from keras._tf_keras import keras\n"}
    later = repository.resolve(upstream.commit("two", flat))
    assert set(repository.tree(later, Store(cache)).files) == {
        *("keras/__init__.py", "keras/_tf_keras/__init__.py"),
        *("keras/src/__init__.py", "keras/src/version.py", "keras/src/ops.py"),
    }


def test_a_tree_has_the_bytes_that_were_committed(upstream: Upstream, cache: Path) -> None:
    """Without it attributes and settings would change what is tested (`git archive` obeys them)."""
    odd = {"keras/src/odd.py": "x = '$Format:%H$'\n\ty = 1\n", "keras/data.txt": "kept\n"}
    attributes = {".gitattributes": "*.py export-subst eol=crlf\nkeras/data.txt export-ignore\n"}
    upstream.commit("one", NOW | odd)
    (upstream.path / "keras/src/link.py").symlink_to("ops.py")
    upstream.commit("two", attributes)
    repository = Repository(upstream.path, cache)
    source = repository.tree(repository.tip(), Store(cache))
    for path, text in odd.items():
        assert (source.path / path).read_bytes() == text.encode()
    assert "keras/src/link.py" not in source.files


def test_a_tree_is_read_once_and_repaired(
    upstream: Upstream, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it each probe of a commit would read git again, or run what was damaged."""
    upstream.commit("one", NOW)
    repository = Repository(upstream.path, cache)
    tip = repository.tip()
    source = repository.tree(tip, Store(cache))
    target = source.path / "keras/src/ops.py"
    target.unlink()
    assert repository.tree(tip, Store(cache)) == source
    assert target.read_text() == NOW["keras/src/ops.py"]
    monkeypatch.setattr(git, "run", None)
    assert repository.tree(tip, Store(cache)) == source


def test_a_commit_before_public_names_takes_those_of_a_wheel(
    upstream: Upstream, cache: Path, tmp_path: Path
) -> None:
    """Without it no commit of Keras 3.0 to 3.2 could be tested, or its failures would differ."""
    upstream.commit("one", THEN)
    repository = Repository(upstream.path, cache)
    tip = repository.tip()
    assert repository.needs_names(tip)
    with pytest.raises(UsageError, match="2024-04-16"):
        repository.tree(tip, Store(cache))
    built = {
        path.replace("keras/", "keras/src/"): as_built(text.encode()).decode()
        for path, text in THEN.items()
        if "_test" not in path
    }
    public = {"keras/__init__.py": "from keras.src.ops import add\n\n__version__ = '3.0.0.dev1'\n"}
    names = nightly(tmp_path / "n", stamped(tip), built | public)
    source = repository.tree(tip, Store(cache), names=[names])
    assert source.files == names.files
    assert source.content == names.content
    assert repository.commit_of_nightly(names).commit == tip
    assert repository.commit_of_nightly(names).exact


def test_what_is_no_keras_3(upstream: Upstream, cache: Path) -> None:
    """Without it a commit of Keras 2 would be tested as a broken Keras 3."""
    upstream.commit("one", {"keras/__init__.py": "__version__ = '2.15.0'\n"})
    repository = Repository(upstream.path, cache)
    with pytest.raises(UsageError, match="no Keras 3"):
        repository.tree(repository.tip(), Store(cache))
    assert not list((cache / "builds").glob("*"))


LINES = st.sampled_from(
    [
        *("import keras", "    import keras", "import keras.ops", "from keras import ops", ""),
        *("from keras.ops import add", '"""Doc.', '"""', '"""One line."""', "import keras_core"),
        *("x = 'from keras import y'", "import numpy", "import keras as k", "\r", "from kerasx.a"),
    ]
)


@given(lines=st.lists(LINES, max_size=12))
def test_what_namex_rewrote_can_be_undone(lines: list[str]) -> None:
    """Without it the nightlies of half a year would have no exact commit."""
    data = "\n".join(lines).encode()
    assert as_written(as_built(data)) == data


@settings(max_examples=20)
@given(data=st.binary(max_size=200))
def test_hashes_are_git_s(data: bytes) -> None:
    """Without it no nightly would ever be recognised."""
    command = ["git", "hash-object", "--stdin"]
    told = subprocess.run(command, input=data, capture_output=True, check=True).stdout
    assert git_hash(data) == told.decode().strip()


def test_a_recipe_is_never_part_of_a_tree() -> None:
    """Without it a `pip_build.py` on the path would shadow what a script imports."""
    for tree in (NOW, THEN):
        files = {path: text.encode() for path, text in (tree | {"pip_build.py": "x"}).items()}
        made = layout.as_wheel({p: d for p, d in files.items() if p != "README.md"}, {})
        assert all(path.startswith("keras/") for path in made)


# -- links ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("remotes", "home"),
    [
        ({"origin": GITHUB}, "https://github.com/keras-team/keras"),
        ({"origin": "git@github.com:keras-team/keras"}, "https://github.com/keras-team/keras"),
        (
            {"origin": "https://github.com/me/keras.git", "up": "git@github.com:keras-team/keras"},
            "https://github.com/keras-team/keras",
        ),
        ({"origin": "https://gitlab.com/keras-team/keras"}, None),
        ({}, None),
    ],
)
def test_links_lead_to_the_project(
    upstream: Upstream, cache: Path, remotes: dict[str, str], home: str | None
) -> None:
    """Without it a report would link a fork, where the pull request does not exist."""
    upstream.commit("one")
    upstream.commit("two (#2)")
    for name, url in remotes.items():
        upstream("remote", "add", name, url)
    repository = Repository(upstream.path, cache)
    b = repository.tip()
    assert repository.commit_link(b) == (home and f"{home}/commit/{b.sha}")


def test_the_default_branch_is_the_project_s(
    upstream: Upstream, cache: Path, tmp_path: Path
) -> None:
    """Without it nightlies would be looked for on whatever branch a person is working."""
    pushed = upstream.commit("pushed")
    clone = tmp_path / "clone"
    upstream("clone", "--quiet", str(upstream.path), str(clone))
    upstream("-C", str(clone), "checkout", "--quiet", "-b", "mine")
    upstream("-C", str(clone), "commit", "--quiet", "--allow-empty", "-m", "local")
    assert Repository(clone, cache).tip().sha == pushed
