"""Logs that git itself reads: after `git bisect replay` it must name what the search named."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_bisect.history.gitlog import Step, bisect_log
from keras_bisect.history.repository import Commit, Repository
from keras_bisect.verdict import Verdict
from upstream import GITHUB, START, Upstream

GOOD, BAD = Verdict.GOOD, Verdict.BAD


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "upstream")


@pytest.fixture
def repository(upstream: Upstream, tmp_path: Path) -> Repository:
    return Repository(upstream.path, tmp_path / "cache")


def replay(upstream: Upstream, log: str) -> str:
    """All that git says when it replays a log in a checkout."""
    file = upstream.path.with_name("log")
    file.write_bytes(log.encode())
    done = subprocess.run(
        ["git", "-C", str(upstream.path), "bisect", "replay", str(file)],
        env=os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    upstream("bisect", "reset")
    return done.stdout + done.stderr


def line_of(repository: Repository, shas: Sequence[str]) -> list[Commit]:
    return [repository.resolve(sha) for sha in shas]


def write(
    repository: Repository,
    good: Commit,
    bad: Commit,
    steps: Sequence[Step],
    culprit: Commit | None,
    *,
    fixed: bool = False,
) -> str:
    brought = repository.brought(culprit) if culprit else ()
    ancestor = repository.is_ancestor
    return bisect_log(good, bad, steps, culprit, fixed=fixed, is_ancestor=ancestor, brought=brought)


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("at", [1, 4, 6])
def test_git_names_the_same_commit(
    upstream: Upstream, repository: Repository, at: int, fixed: bool
) -> None:
    """Lost otherwise: that a search can be checked with git, and gone on with."""
    line = line_of(repository, [upstream.commit(f"{n} (#{n})") for n in range(8)])
    old, new = (BAD, GOOD) if fixed else (GOOD, BAD)
    order = [3, 5, 1, at, at - 1, 6]
    steps = [Step(line[n], new if n >= at else old) for n in order]
    good, bad = (line[7], line[0]) if fixed else (line[0], line[7])
    log = write(repository, good, bad, steps, line[at], fixed=fixed)
    said = replay(upstream, log)
    word = "fixed" if fixed else "bad"
    assert f"{line[at].sha} is the first {word} commit" in said
    assert log.endswith(f"# first {word} commit: [{line[at].sha}] {at} (#{at})\n")
    assert f"# good: [{good.sha}]" in log or fixed


def test_the_steps_are_told_in_their_order() -> None:
    """Lost otherwise: what `git bisect log` is read for, how the answer was come by."""
    line = [Commit(f"{n}" * 40, f"c{n}", START, START, None) for n in range(5)]
    steps = [
        Step(line[2], Verdict.UNTESTABLE, "no keras/src/version.py"),
        Step(line[3], BAD),
        Step(line[1], GOOD),
    ]

    def older(one: Commit, other: Commit) -> bool:
        return one.sha <= other.sha

    log = bisect_log(line[0], line[4], steps, None, fixed=False, is_ancestor=older)
    assert [row for row in log.splitlines() if row.startswith("git")] == [
        "git bisect start",
        f"git bisect bad {line[4].sha}",
        f"git bisect good {line[0].sha}",
        f"git bisect skip {line[2].sha}",
        f"git bisect bad {line[3].sha}",
        f"git bisect good {line[1].sha}",
    ]
    assert f"# untestable: [{line[2].sha}] c2 (no keras/src/version.py)" in log


@pytest.mark.parametrize("fixed", [False, True])
def test_what_could_not_be_tested_leaves_a_range(
    upstream: Upstream, repository: Repository, fixed: bool
) -> None:
    """Lost otherwise: git would name one commit where nobody knows."""
    line = line_of(repository, [upstream.commit(f"{n}") for n in range(7)])
    old, new = (BAD, GOOD) if fixed else (GOOD, BAD)
    steps = [
        Step(line[3], Verdict.UNTESTABLE, "exit code 125"),
        Step(line[2], old),
        Step(line[4], Verdict.DIFFERENT, "KeyError"),
        Step(line[5], new),
    ]
    good, bad = (line[6], line[0]) if fixed else (line[0], line[6])
    said = replay(upstream, write(repository, good, bad, steps, None, fixed=fixed))
    assert "only 'skip'ped commits left" in said
    named = said.partition("could be any of:")[2]
    assert {commit.sha for commit in line if commit.sha in named} == {c.sha for c in line[3:6]}


def test_git_goes_on_from_a_log_without_an_answer(
    upstream: Upstream, repository: Repository
) -> None:
    """Lost otherwise: who stopped a search could not go on with git."""
    line = line_of(repository, [upstream.commit(f"{n}") for n in range(9)])
    said = replay(upstream, write(repository, line[0], line[8], [Step(line[4], BAD)], None))
    assert f"[{line[2].sha}]" in said


@pytest.mark.parametrize("fixed", [False, True])
def test_verdicts_that_go_to_and_fro_are_told_as_comments(
    upstream: Upstream, repository: Repository, fixed: bool
) -> None:
    """Lost otherwise: git would refuse a log of a history with several changes, or go astray."""
    line = line_of(repository, [upstream.commit(f"{n}") for n in range(12)])
    verdicts = [GOOD, GOOD, BAD, BAD, BAD, GOOD, GOOD, BAD, BAD, GOOD, BAD, BAD]
    steps = [Step(line[n], verdicts[n]) for n in (6, 3, 9, 1, 2, 8, 5, 4, 7, 10)]
    culprit, good, bad = (line[5], line[9], line[2]) if fixed else (line[2], line[0], line[11])
    log = write(repository, good, bad, steps, culprit, fixed=fixed)
    word = "fixed" if fixed else "bad"
    assert f"{culprit.sha} is the first {word} commit" in replay(upstream, log)
    # Nothing is left out.
    assert all(step.commit.sha in log for step in steps)
    later = write(repository, line[0], line[11], steps, line[7])
    assert f"{line[7].sha} is the first bad commit" in replay(upstream, later)
    # Without an answer it is what git would have made of it.
    assert "commit" in replay(upstream, write(repository, line[0], line[11], steps, None))


def test_a_flaky_commit_has_one_verdict(upstream: Upstream, repository: Repository) -> None:
    """Lost otherwise: git refuses a commit that is both good and bad."""
    line = line_of(repository, [upstream.commit(f"{n}") for n in range(5)])
    said = [(2, GOOD), (3, BAD), (2, BAD), (1, GOOD), (2, Verdict.UNTESTABLE), (2, BAD)]
    steps = [Step(line[n], verdict) for n, verdict in said]
    log = write(repository, line[0], line[4], steps, line[2])
    assert f"{line[2].sha} is the first bad commit" in replay(upstream, log)
    assert len([row for row in log.splitlines() if row.endswith(f" {line[2].sha}")]) == 1


def test_an_end_on_a_release_branch(upstream: Upstream, repository: Repository) -> None:
    """Lost otherwise: git would refuse, or test again, where the good end is no ancestor."""
    shas = [upstream.commit("base"), upstream.commit("part", {"x": "1"})]
    upstream("checkout", "--quiet", "-b", "r3.5")
    release = repository.resolve(upstream.commit("release", {"v": "3.5.1"}))
    upstream("checkout", "--quiet", "master")
    shas += [upstream.commit(f"{n}") for n in range(6)]
    line = line_of(repository, shas)
    assert repository.relation(release, line[-1]) == "diverged"
    base = repository.merge_base(release, line[-1])
    steps = [Step(base, GOOD), Step(line[5], BAD), Step(line[3], GOOD), Step(line[4], BAD)]
    log = write(repository, release, line[-1], steps, line[4])
    assert f"{line[4].sha} is the first bad commit" in replay(upstream, log)
    # Where nothing more is known, git tests the merge base first, as was done here.
    said = replay(upstream, write(repository, release, line[-1], [], None))
    assert "a merge base must be tested" in said
    said = replay(upstream, write(repository, release, line[-1], steps[:2], None))
    assert "left to test" in said
    # A fix that the release branch made alone.
    mended = write(repository, release, base, [], release, fixed=True)
    assert f"{release.sha} is the first fixed commit" in replay(upstream, mended)


def test_a_merge_that_was_pulled(upstream: Upstream, repository: Repository) -> None:
    """Lost otherwise: git would search what others did meanwhile, where the answer is known."""
    base = upstream.commit("base")
    pushed = [upstream.commit("theirs (#1)", {"x": "1"}), upstream.commit("theirs (#2)")]
    upstream("checkout", "--quiet", "-b", "local", base)
    local = [upstream.commit("mine", {"y": "1"}), upstream.commit("mine, too", {"y": "2"})]
    merge = upstream.merge("master", f"Merge branch 'master' of {GITHUB}")
    last = upstream.commit("last")
    line = line_of(repository, [base, *pushed, merge, last])
    assert repository.between(line[0], line[-1]) == tuple(line)
    # A commit beside it is found as ever.
    for at in (1, 2, 4):
        steps = [Step(c, BAD if n >= at else GOOD) for n, c in enumerate(line)]
        log = write(repository, line[0], line[-1], steps, line[at])
        assert f"{line[at].sha} is the first bad commit" in replay(upstream, log)
    # Itself it is told with what it brought: any of these may be it, and none was tested.
    steps = [Step(c, BAD if n >= 3 else GOOD) for n, c in enumerate(line)]
    said = replay(upstream, write(repository, line[0], line[-1], steps, line[3]))
    named = said.partition("could be any of:")[2]
    assert {sha for sha in (base, *pushed, *local, merge, last) if sha in named} == {*local, merge}
    # Once they were, it alone is left.
    steps += [Step(repository.resolve(sha), GOOD) for sha in local]
    log = write(repository, line[0], line[-1], steps, line[3])
    assert f"{merge} is the first bad commit" in replay(upstream, log)


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_git_agrees_in_any_history(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Lost otherwise: some mixture of merges would make git name another commit.

    The world: what `master` was after each push, and one push that broke it.
    """
    folder = tmp_path_factory.mktemp("world")
    upstream = Upstream(folder / "upstream")
    states = [upstream.commit("root"), upstream.commit("first")]
    kinds = st.lists(st.sampled_from(["commit", "pull", "feature"]), min_size=1, max_size=6)
    for number, kind in enumerate(data.draw(kinds)):
        if kind == "commit":
            states.append(upstream.commit(f"{number} (#{number})"))
            continue
        # Someone worked from an older state meanwhile.
        upstream("checkout", "--quiet", "-b", f"b{number}", states[-2])
        upstream.commit(f"work {number}", {f"f{number}": "1"})
        if kind == "pull":
            states.append(upstream.merge("master", f"Merge branch 'master' of {GITHUB}"))
            upstream("branch", "--force", "master", f"b{number}")
            upstream("checkout", "--quiet", "master")
        else:
            upstream("checkout", "--quiet", "master")
            states.append(upstream.merge(f"b{number}", f"Merge pull request #{number} from a/b"))
    repository = Repository(upstream.path, folder / "cache")
    line = line_of(repository, states)
    at = data.draw(st.integers(1, len(line) - 1))
    fixed = data.draw(st.booleans())
    old, new = (BAD, GOOD) if fixed else (GOOD, BAD)
    order = data.draw(st.permutations(range(len(line))))
    tested = [n for n in order if n in (at, at - 1) or data.draw(st.booleans())]
    steps = [Step(line[n], new if n >= at else old) for n in tested]
    good, bad = (line[-1], line[0]) if fixed else (line[0], line[-1])
    said = replay(upstream, write(repository, good, bad, steps, line[at], fixed=fixed))
    if line[at].subject.startswith("Merge branch"):
        assert line[at].sha in said.partition("could be any of:")[2]
        assert not any(c.sha in said.partition("could be any of:")[2] for c in line[:at])
    else:
        assert f"{line[at].sha} is the first {'fixed' if fixed else 'bad'} commit" in said


@given(subject=st.text(), reason=st.text())
def test_no_subject_is_a_command(subject: str, reason: str) -> None:
    """Lost otherwise: the subject of a commit could mark another one, or break the log."""
    commit = Commit("a" * 40, subject, START, START, None)
    hostile = f"x\n{reason}\rgit bisect good {subject}"
    steps = [Step(commit, Verdict.UNTESTABLE, hostile)]
    others = [Commit(c * 40, hostile, START, START, None) for c in "bc"]

    def older(one: Commit, other: Commit) -> bool:
        return "bac".index(one.sha[0]) <= "bac".index(other.sha[0])

    log = bisect_log(*others, steps, None, fixed=False, is_ancestor=older)
    rows = log.removesuffix("\n").split("\n")
    assert all(row.startswith(("# ", "git bisect ")) for row in rows)
    assert len([row for row in rows if row.startswith("git")]) == 4
    assert "\r" not in log


def test_odd_subjects_are_replayed(upstream: Upstream, repository: Repository) -> None:
    """Lost otherwise: a quotation mark in a subject would end the replay."""
    odd = ['it\'s "quoted" `$(touch x)`', "— Zürich 東京 \\n", "git bisect good HEAD", "# no"]
    line = line_of(repository, [upstream.commit(subject) for subject in ("first", *odd, "last")])
    steps = [Step(commit, BAD if n >= 3 else GOOD) for n, commit in enumerate(line)]
    log = write(repository, line[0], line[-1], steps, line[3])
    assert f"{line[3].sha} is the first bad commit" in replay(upstream, log)
    assert odd[1] in log
