"""Hypothesis strategies for cases: models of a few outputs, compiled and fed in all ways.

    from hypothesis import given
    from keras_repro.strategies import cases, trees

A case is drawn plain: outputs, losses, targets, loss weights, metrics, each in a form of its own.
Then come some twists (`keras_repro.twists`), each of which makes one more thing odd, independently
of the others. Each dimension shrinks to its plainest form on its own: no twist, fewer outputs, a
list before a tuple before a dict, one value before a list before a dict, nothing before something,
names to the start of the alphabet. Only what the rules of `contract.py` decide is drawn, see
`oracle.promised`.

Public: `cases`, `names`, and `trees`, `tree_cases` from `trees.strategies`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

from keras_repro.case import ByName, Case, Container, Entry, InOrder, One, Output
from keras_repro.oracle import CONSTANTS
from keras_repro.trees.strategies import tree_cases, trees
from keras_repro.twists import OFTEN, SCOPE, Twist, twisted

__all__ = ["cases", "names", "tree_cases", "trees"]

T = TypeVar("T")

CONTAINERS: tuple[Container, ...] = ("list", "tuple", "dict")
# The cheapest stand here more than once: an evaluation costs twice what a batch does, and a graph
# five times what an eager model does.
ENTRIES: tuple[Entry, ...] = (
    *("evaluate", "test_on_batch", "test_on_batch", "test_on_batch"),
    *("train_on_batch", "train_on_batch", "fit"),
)
MODES = (True, True, True, True, True, False)
MOST = 5
"""The most outputs. What is drawn an output is drawn for as many, and what is over is left out: so
to leave out an output moves nothing that is drawn after it, and Hypothesis can shrink to fewer."""
ORDERS = st.permutations(range(MOST))
COUNTS = ((1, 5), (2, 2), (2, 2), (2, 2), (2, 3), (2, 3), (3, 5))
"""The fewest and the most outputs of a case: with two nearly everything can be shown."""

# Names that have confused a sort or a prefix match somewhere: capitals sort before small letters,
# digits as text, one name is the beginning of another, some are words that Keras itself reports,
# some are as long as those that people choose.
SURPRISING = (
    *("B", "A", "a_b", "ab", "out_10", "out_2", "x1", "Z", "mae", "0", "10", "é", "日本", "x y"),
    *("val", "loss", "regression_head", "classification", "segmentation_output"),
)
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")

TWISTS_OF_A_CASE = (0, 1, 2, 2, 3, 3, 4, 5)
MORE_TWISTS = (0, 0, 1, 2)
"""How many there are beside those that come first."""


def names() -> st.SearchStrategy[str]:
    """Names that Keras accepts for a layer, or for a key of dict outputs."""
    return st.sampled_from(LETTERS + SURPRISING)


@st.composite
def cases(
    draw: st.DrawFn,
    *,
    max_outputs: int = 5,
    containers: Sequence[Container] = CONTAINERS,
    entries: Sequence[Entry] = ENTRIES,
    eager: bool | None = None,
    twists: Sequence[Twist] = OFTEN,
    first: Sequence[Sequence[Twist]] = (),
) -> Case:
    """Cases of one to five outputs.

    Args:
        max_outputs: at most this many outputs, up to 5.
        containers: of the outputs, the plainest first.
        entries: the methods that are called, the plainest first.
        eager: True and False fix `run_eagerly`; None draws it. A model with a name that a
            TensorFlow graph cannot take (`é`) is eager in any case.
        twists: what may be odd about a case, beside the forms of its arguments; () is nothing. A
            twist may need another container, entry or mode than those that are held.
        first: before those, one of each of these, such as `(MODELS, USES)`: most bugs need two
            things that are odd, which hardly meet where each is drawn by itself.
    """
    # The names are drawn from the last output to the first, so that a failure that needs them out
    # of order shrinks to `b, a`: the first that is drawn becomes an "a", the next the least after.
    least, most = (min(one, max_outputs) for one in draw(st.sampled_from(COUNTS)))
    drawn = draw(st.lists(names(), min_size=least, max_size=most, unique=True))[::-1]
    count = len(drawn)
    constants = CONSTANTS[count]
    container = draw(st.sampled_from(containers))
    keys: Sequence[str | None] = [None] * count
    if container == "dict":
        keys = drawn
        if draw(st.booleans()):
            drawn = draw(st.lists(names(), min_size=count, max_size=count, unique=True))
    outputs = tuple(map(Output, drawn, constants.predicts, keys))
    called = [output.name for output in outputs]
    losses = [draw(st.sampled_from(("mse", "mae"))) for _ in range(MOST)][:count]
    targets_by_name = draw(st.booleans())
    loss = draw(_loss(called, losses, partial=targets_by_name))
    by_name = _by_name(called, constants.targets)
    targets = draw(by_name) if targets_by_name else InOrder(constants.targets)
    partial = isinstance(loss, InOrder | ByName) and sum(map(bool, _values(loss))) < count
    weighted = count > 1 and not partial
    eagerly = draw(st.sampled_from(MODES)) if eager is None else eager
    graph = all(SCOPE.fullmatch(name) for name in (*called, *drawn))
    case = Case(
        outputs=outputs,
        container=container,
        loss=loss,
        targets=targets,
        loss_weights=draw(_optional(called, constants.weights)) if weighted else None,
        metrics=None if partial else draw(_metrics(called)),
        entry=draw(st.sampled_from(entries)),
        eager=eagerly or not graph,
    )
    for choices in first:
        case = _odder(draw, case, choices)
    some = (MORE_TWISTS if first else TWISTS_OF_A_CASE) if twists else (0,)
    for _ in range(draw(st.sampled_from(some))):
        case = twisted(draw, case, draw(st.sampled_from(twists)))
    return case


def _odder(draw: st.DrawFn, case: Case, choices: Sequence[Twist]) -> Case:
    """The case with one of these twists: most change nothing in some case."""
    for _ in range(3):
        found = twisted(draw, case, draw(st.sampled_from(choices)))
        if found != case:
            return found
    return case


def _values(given: InOrder[T] | ByName[T]) -> tuple[T, ...]:
    return given.values if isinstance(given, InOrder) else tuple(given.as_dict().values())


def _by_name(called: Sequence[str], values: Sequence[T]) -> st.SearchStrategy[ByName[T]]:
    """A dict in any order of its keys; the order of the outputs is the plainest."""
    pairs = list(zip(called, values, strict=True))
    return ORDERS.map(lambda order: ByName(tuple(pairs[i] for i in order if i < len(pairs))))


def _optional(
    called: Sequence[str], values: Sequence[T]
) -> st.SearchStrategy[InOrder[T] | ByName[T] | None]:
    nothing: st.SearchStrategy[Any] = st.none()
    return nothing | st.just(InOrder(tuple(values))) | _by_name(called, values)


@st.composite
def _loss(
    draw: st.DrawFn, called: Sequence[str], losses: Sequence[str], *, partial: bool
) -> One[str] | InOrder[str | None] | ByName[str | None]:
    form = draw(st.sampled_from(("one", "list", "dict")))
    if form == "one":
        return One(losses[0])
    given: list[str | None] = list(losses)
    # Which targets a list holds for outputs without a loss is not said anywhere, so only a dict of
    # targets goes with them; and a model without any loss is another matter.
    if partial and len(called) > 1 and draw(st.integers(0, 3)) == 3:
        given[draw(st.integers(0, len(called) - 1))] = None
    if form == "list":
        return InOrder(tuple(given))
    named = draw(_by_name(called, given))
    if None in given and draw(st.booleans()):
        return ByName(tuple((name, value) for name, value in named.items if value is not None))
    return named


@st.composite
def _metrics(
    draw: st.DrawFn, called: Sequence[str]
) -> InOrder[tuple[str, ...]] | ByName[tuple[str, ...]] | None:
    form = draw(st.sampled_from(("none", "dict", "list") if len(called) > 1 else ("none", "dict")))
    if form == "none":
        return None
    choice = st.sampled_from((("mae",), ("mse",), ("mae", "mse")))
    values = [draw(choice) for _ in range(MOST)][: len(called)]
    return InOrder(tuple(values)) if form == "list" else draw(_by_name(called, values))
