"""A search over commits as a log that `git bisect replay` accepts. Pure.

git knows one change only, and that every commit with it is new and every one without it is old. So
of the verdicts it is told those that agree with the answer; the others are comments. What failed
in another way, or could not be tested, is a `skip`. git goes by the last commit it was told to be
new, so the answer is told last.

A merge whose first parent is where the branch was is asked for with `--first-parent`: else git
would want every commit that it brought. Where it is the second parent (see `history`) git has no
such word: what was brought is skipped, and git names it beside the merge.

Public: `Step`, `bisect_log`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keras_bisect.history.commit import Commit, main_parent
from keras_bisect.verdict import Verdict

__all__ = ["Step", "bisect_log"]

HEAD = "# Written by keras-repro. In a clone of Keras, `git bisect replay FILE` goes on from here."
ASIDE = "# Not told to git, which knows one change only:"


@dataclass(frozen=True)
class Step:
    """A commit whose verdict is known, tested or not: one with the same sources counts, too."""

    commit: Commit
    verdict: Verdict
    reason: str = ""
    """Why it could not be tested, or how else it failed."""


def bisect_log(
    good: Commit,
    bad: Commit,
    steps: Sequence[Step],
    culprit: Commit | None,
    *,
    fixed: bool,
    is_ancestor: Callable[[Commit, Commit], bool],
    brought: Sequence[Commit] = (),
) -> str:
    r"""Write the log.

    Args:
        good: the end that is good: the older one, or where a fix was looked for the newer.
        bad: the other end.
        steps: what was found out, in order. The last word on a commit counts. The log is complete
            if the commit before the culprit on its line is among them or is an end.
        culprit: the answer; None where there is none, or none yet.
        fixed: whether a fix was looked for. git's words are then `broken` and `fixed`.
        is_ancestor: whether the second commit holds the first, as `Repository.is_ancestor`.
        brought: what the culprit merged, as `Repository.brought`.

    Returns:
        Lines of UTF-8 text, each ended by "\n".
    """
    words = {Verdict.GOOD: "good", Verdict.BAD: "bad"}
    if fixed:
        words = {Verdict.GOOD: "fixed", Verdict.BAD: "broken"}
    older, newer = (Verdict.BAD, Verdict.GOOD) if fixed else (Verdict.GOOD, Verdict.BAD)
    known = [Step(bad, Verdict.BAD), Step(good, Verdict.GOOD), *steps]
    latest = {step.commit.sha: number for number, step in enumerate(known)}
    known = [step for number, step in enumerate(known) if latest[step.commit.sha] == number]
    lines = [HEAD, _start(culprit, fixed=fixed)]
    old: list[Commit] = []
    # Without an answer it is narrowed as git does: from the new end on.
    new, told = culprit or (good if fixed else bad), None
    for step in known:
        commit = step.commit
        if step.verdict is older:
            agrees = not is_ancestor(new, commit)
        elif step.verdict is not newer:
            agrees = culprit is None or commit.sha != culprit.sha
        elif culprit is not None:
            agrees = is_ancestor(culprit, commit)
        else:
            agrees = is_ancestor(commit, new) and not any(is_ancestor(commit, c) for c in old)
        said = _said(words.get(step.verdict, step.verdict), commit, step.reason)
        if not agrees:
            lines += [ASIDE, said]
            continue
        lines += [said, f"git bisect {words.get(step.verdict, 'skip')} {commit.sha}"]
        if step.verdict is older:
            old.append(commit)
        elif step.verdict is newer:
            told = commit
            new = culprit or commit
    if culprit is not None:
        for commit in brought if _is_pull(culprit) else ():
            if commit.sha not in {culprit.sha, *latest}:
                lines += [
                    _said("not tested", commit, "brought by the merge"),
                    f"git bisect skip {commit.sha}",
                ]
        if told is None or told.sha != culprit.sha:
            lines.append(f"git bisect {words[newer]} {culprit.sha}")
        lines.append(_said(f"first {words[newer]} commit", culprit))
    return "".join(f"{line}\n" for line in lines)


def _start(culprit: Commit | None, *, fixed: bool) -> str:
    # git reads back only what is quoted.
    options = ["--term-new", "fixed", "--term-old", "broken"] if fixed else []
    if culprit is not None and len(culprit.parents) > 1 and not _is_pull(culprit):
        options.append("--first-parent")
    return " ".join(["git bisect start", *(f"'{option}'" for option in options)])


def _is_pull(commit: Commit) -> bool:
    """Whether it is a merge whose first parent is not where the branch was."""
    return len(commit.parents) > 1 and main_parent(commit) != commit.parents[0]


def _said(word: str, commit: Commit, reason: str = "") -> str:
    # What follows a line break would be a line of its own, and could be a command.
    subject, why = (" ".join(text.split()) for text in (commit.subject, reason))
    return f"# {word}: [{commit.sha}] {subject}" + (f" ({why})" if why else "")
