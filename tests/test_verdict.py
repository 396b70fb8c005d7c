"""Verdicts: what an outcome means, given the failure that is looked for."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bisect.messages import normalise
from keras_bisect.outcome import Ended, Loaded, Outcome, Raised
from keras_bisect.verdict import Failure, Verdict, first_look, judge, learn

G, B, D, U = Verdict.GOOD, Verdict.BAD, Verdict.DIFFERENT, Verdict.UNTESTABLE
HERE = Loaded("/x/keras/__init__.py", "3.5.0", "optree")


def exits(code: int, stdout: str = "", loaded: Loaded | None = HERE) -> Outcome:
    return Outcome(Ended.EXIT, code, 0.1, loaded, stdout=stdout)


def raises(kind: str, message: str, *frames: str) -> Outcome:
    return replace(exits(1), raised=Raised(kind, message, frames))


GOOD, ONE, SEVEN, GAVE_UP = exits(0), exits(1, "b 3 5\n"), exits(7), exits(125, "no such layer\n")
EARLY_0, EARLY_1 = exits(0, loaded=None), exits(1, loaded=None)
KEY = raises("KeyError", "'b'", "src/trainers/compile_utils.py:call")
VALUE = raises("ValueError", "Expected 2 targets, got 3 for the model functional_1")
CRASH = Outcome(Ended.SIGNAL, int(signal.SIGSEGV), 0.1, HERE)
HANG = Outcome(Ended.TIMEOUT, None, 30.0, HERE)
HUNGRY = Outcome(Ended.MEMORY, None, 3.0, HERE)
EARLY_HANG = Outcome(Ended.TIMEOUT, None, 30.0, None)
BROKEN = replace(exits(1), import_error=Raised("ImportError", "cannot import name 'x' from 'y'"))
CAUGHT = replace(BROKEN, code=0)
SAID_SO = replace(BROKEN, code=125)

EVERY = [
    GOOD, ONE, SEVEN, GAVE_UP, EARLY_0, EARLY_1, KEY, VALUE, CRASH, HANG, HUNGRY, EARLY_HANG,
    BROKEN, CAUGHT, SAID_SO,
]  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "verdict", "detail"),
    [
        (GOOD, G, "passes"),
        (ONE, B, "exits 1: b 3 5"),
        (SEVEN, B, "exits 7"),
        (GAVE_UP, U, "the script exits 125: no such layer"),
        (EARLY_0, U, "the script ended before it imported keras: exits 0"),
        (EARLY_1, U, "the script ended before it imported keras: exits 1"),
        (KEY, B, "KeyError: 'b'"),
        (CRASH, B, "is killed by SIGSEGV"),
        (HANG, U, "does not end within 30 s"),
        (HUNGRY, U, "uses more memory than it was given"),
        (EARLY_HANG, U, "the script ended before it imported keras: does not end within 30 s"),
        (BROKEN, U, "keras does not import: ImportError: cannot import name 'x' from 'y'"),
        (CAUGHT, U, "keras does not import: ImportError: cannot import name 'x' from 'y'"),
        (
            SAID_SO,
            U,
            "the script exits 125: keras does not import: ImportError: cannot import name "
            "'x' from 'y'",
        ),
    ],
)
def test_first_look(outcome: Outcome, verdict: Verdict, detail: str) -> None:
    """Without it `run` could tell `git bisect run` that a build is bad that was never tested."""
    judged = first_look(outcome)
    assert (judged.verdict, judged.detail) == (verdict, detail)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (ONE, "exits 1"),
        (SEVEN, "exits 7"),
        (KEY, "raises KeyError: 'b'"),
        (VALUE, "raises ValueError: Expected # targets, got # for the model functional_1"),
        (CRASH, "is killed by SIGSEGV"),
        (HANG, "does not end"),
        (HUNGRY, "uses more memory than it was given"),
        (BROKEN, "importing Keras raises ImportError: cannot import name 'x' from 'y'"),
    ],
)
def test_a_failure_is_learned(outcome: Outcome, said: str) -> None:
    """Without it a bisect of a hang or of a broken import could not begin."""
    failure = learn(outcome)
    assert failure is not None
    assert str(failure) == said
    assert judge(outcome, failure).verdict is B


@pytest.mark.parametrize("outcome", [GOOD, GAVE_UP, EARLY_0, EARLY_1, EARLY_HANG, CAUGHT, SAID_SO])
def test_nothing_is_learned_from_what_is_no_failure(outcome: Outcome) -> None:
    """Without it a bisect would search for the first build under which a script says nothing."""
    assert learn(outcome) is None


def test_judged_by_an_exit_code() -> None:
    """Without it every way of failing would count as the one that is looked for."""
    failure = Failure.of(ONE)
    expected = dict(zip(map(id, EVERY), [G, B, D, U, U, U, D, D, D, U, U, U, U, U, U], strict=True))
    for outcome in EVERY:
        assert judge(outcome, failure).verdict is expected[id(outcome)], outcome


@pytest.mark.parametrize(
    ("learned", "bad"), [(HANG, HANG), (HUNGRY, HUNGRY), (BROKEN, BROKEN), (CRASH, CRASH)]
)
def test_what_usually_says_nothing_is_bad_if_it_is_what_was_asked_about(
    learned: Outcome, bad: Outcome
) -> None:
    """Without it nobody could ask since when Keras hangs, or does not import."""
    failure = learn(learned)
    assert failure is not None
    assert judge(bad, failure).verdict is B
    assert judge(GOOD, failure).verdict is G
    assert judge(ONE, failure).verdict is D
    for outcome in (HANG, HUNGRY, BROKEN):
        assert judge(outcome, failure).verdict is (B if outcome == bad else U)


def test_who_mends_a_typo_in_a_message_is_not_to_blame() -> None:
    """Lost: a commit called "Fix typos" is named as the cause, and its author with it."""
    old, new = (
        raises("ValueError", f"got 1 losses and 2 {word}.") for word in ("weigths", "weights")
    )
    signature = learn(new)
    assert signature is not None and judge(old, signature).verdict is B
    other = raises("ValueError", "got 1 losses and 2 metrics.")
    assert judge(other, signature).verdict is D


@given(st.sampled_from(EVERY), st.sampled_from([ONE, SEVEN, KEY, VALUE, CRASH, HANG, BROKEN]))
def test_verdicts_agree_with_each_other(outcome: Outcome, learned: Outcome) -> None:
    """Without it a build could be good at first sight and bad when it is looked at again."""
    judged, first = judge(outcome, Failure.of(learned)).verdict, first_look(outcome).verdict
    assert (judged is G) == (first is G)
    if judged is D:
        assert first is B
    if first is B:
        assert judged in (B, D)
    assert judge(outcome, Failure.of(learned)).detail


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("shape (2, 31) is not (3, 31)", "shape (4, 7) is not (5, 7)"),
        ("loss [1.  2.5] at 1.5e-07", "loss [0.5 3.] at -2e9"),
        ("<Layer at 0x7f3a00>", "<Layer at 0x55aF01>"),
        ("No file /tmp/a1/keras/x.json here", "No file /home/of a/keras/x.json here"),
        ("\x1b[1mLayer\x1b[0m  failed\n\nnow", "Layer failed now"),
        ("needs keras 3.15.1, not 3.5.0", "needs keras 3.4.1, not 3.0.0"),
    ],
)
def test_messages_that_say_the_same(one: str, other: str) -> None:
    """Without it one failure would be several, as its numbers, addresses and paths change."""
    if "of a" in other:
        other = other.replace("of a", "a")
    assert normalise(one) == normalise(other)
    assert judge(raises("ValueError", one), Failure.of(raises("ValueError", other))).verdict is B


@pytest.mark.parametrize(
    "other",
    [
        raises("TypeError", "Expected 2 targets, got 3 for the model functional_1"),
        raises("ValueError", "Expected 2 outputs, got 3 for the model functional_1"),
        replace(VALUE, code=2),
        replace(VALUE, raised=None, import_error=VALUE.raised),
    ],
)
def test_other_failures_are_other_failures(other: Outcome) -> None:
    """Without it a bisect would end at whatever broke the script in any way."""
    assert judge(other, Failure.of(VALUE)).verdict in (D, U)


def test_frames_tell_apart_what_a_message_does_not() -> None:
    """Without it every `KeyError: 'b'` would be the same, or each refactoring a new failure."""
    elsewhere = raises("KeyError", "'b'", "src/models/functional.py:call")
    assert judge(elsewhere, Failure.of(KEY)).verdict is D
    message = "Expected 2 targets, got 3"
    one = raises("ValueError", message, "src/trainers/trainer.py:fit")
    other = raises("ValueError", message, "src/backend/tensorflow/trainer.py:fit")
    assert judge(one, Failure.of(other)).verdict is B


PIECES = [
    "\x1b[1m",
    "\x1b[",
    "0m",
    "/",
    "/tmp/a.b/c",
    "…",
    "0x7f",
    "0x",
    "12",
    "1.",
    ".5",
    "-3",
    "e-7",
]
PIECES += ["1e5", "#", " ", "\n", "a", "_", "'b'", "x" * 390, "٣"]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_a_normal_form_is_its_own_normal_form(message: str) -> None:
    """Without it a signature that was kept, and read again, could stop matching."""
    once = normalise(message)
    assert normalise(once) == once
    assert len(once) <= 400
