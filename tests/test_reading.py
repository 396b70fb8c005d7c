"""Without these, an outcome could be read as another failure, or as none."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from keras_bisect.errors import UsageError
from keras_bisect.outcome import Ended, Loaded, Outcome, Raised
from keras_bisect.verdict import Verdict, judge
from keras_repro.case import ByName, Case, InOrder, One, Output
from keras_repro.reading import AnyCase, CaseSignature, dump, explain, load, render, was_right
from keras_repro.strategies import cases, tree_cases
from keras_repro.trees.case import Node, TreeCase
from test_case import FOUNDING

LOADED = Loaded("/x/keras/__init__.py", "3.5.0", "optree")
RENAMED = Case(
    (Output("z", 9.0), Output("y", 1.0)),
    "list",
    ByName((("z", "mse"), ("y", "mse"))),
    ByName((("z", 3.0), ("y", 4.0))),
)
TREE = TreeCase(Node("dict", (1, 2), ("b", "a")), "T2")

RIGHT = "'loss'     expected 45.0     observed 45.0 \n"
SWAPPED = "'loss'     expected 45.0     observed 29.0 <- wrong\n"
"""9 against 4 and 1 against 3: 25 and 4, 29 in all."""
SWAPPED_TARGETS = "target: alphabet (dict targets, list outputs)"


def ended(stdout: str = "", code: int | None = 1, how: Ended = Ended.EXIT) -> Outcome:
    return Outcome(how, code, 0.1, LOADED, stdout=stdout)


def raised(kind: str, message: str) -> Outcome:
    return replace(ended(), raised=Raised(kind, message, ("src/trainers/compile_utils.py:call",)))


def test_a_swap_is_read_from_the_numbers() -> None:
    """Lost: the line that says which output was given the target of which."""
    reading = explain(FOUNDING, ended(SWAPPED))
    assert reading is not None
    assert reading.signature == SWAPPED_TARGETS
    assert (reading.rules, reading.strength, reading.refused) == (("R11",), "contract", False)
    assert reading.sentences[0] == ("the loss of output 'b' was computed from the target of 'a'")
    assert [fault.went for fault in reading.faults] == [(("b", "a"), ("a", "b"))]


@pytest.mark.parametrize(
    "outcome",
    [
        ended(RIGHT, 0),
        # The exit code decides: what a passing script prints is its own affair.
        ended(SWAPPED, 0),
        ended(SWAPPED, 125),
        ended("", None, Ended.TIMEOUT),
        ended(SWAPPED, None, Ended.MEMORY),
    ],
)
@pytest.mark.parametrize("case", [FOUNDING, TREE])
def test_what_passes_or_cannot_say_is_no_failure(case: AnyCase, outcome: Outcome) -> None:
    """Lost: a slow machine, or a script that gives up, would be filed as a bug of Keras."""
    assert explain(case, outcome) is None


@pytest.mark.parametrize("case", [FOUNDING, TREE])
@pytest.mark.parametrize(
    "outcome, signature",
    [
        (ended(RIGHT, 11, Ended.SIGNAL), "failed: is killed by SIGSEGV"),
        (ended(RIGHT, 6, Ended.SIGNAL), "failed: is killed by SIGABRT"),
    ],
)
def test_a_crash_is_a_failure_whatever_was_printed(
    case: AnyCase, outcome: Outcome, signature: str
) -> None:
    """Lost: a Keras that kills its process would pass, since its numbers were right until then."""
    reading = explain(case, outcome)
    assert reading is not None and reading.signature == signature
    assert reading.rules


def test_right_numbers_and_a_wrong_exit_code_is_no_swap() -> None:
    """Lost: a failure at exit would be taken for a bug of numbers that are right."""
    reading = explain(FOUNDING, ended(RIGHT, 3))
    assert reading is not None and reading.signature == "failed: exits 3"


def test_a_refusal_is_the_same_under_other_names() -> None:
    """Lost: a refusal could not be shrunk, nor followed over releases that list other names."""
    message = "Expected keys ['{}', '{}'] in loss dict, but found loss.keys()=['{}']"
    one = explain(FOUNDING, raised("ValueError", message.format("b", "a", "b")))
    other = explain(RENAMED, raised("ValueError", message.format("z", "y", "z")))
    assert one is not None and other is not None
    assert one.signature == other.signature
    assert one.signature.startswith("refused: ValueError: ")
    assert one.refused and not one.faults
    another = explain(FOUNDING, raised("TypeError", "no such thing"))
    assert another is not None and another.signature != one.signature


def test_what_the_script_raises_by_itself_is_no_refusal() -> None:
    """Lost: an `evaluate` that returns None would be filed as a refusal, in words of Python's."""
    own = Raised("TypeError", "unsupported operand type(s) for |: 'dict' and 'NoneType'", line=24)
    reading = explain(FOUNDING, replace(ended(), raised=own))
    assert reading is not None and not reading.refused
    assert reading.signature.startswith("failed: raises TypeError: unsupported operand")
    assert reading.strength == "inconsistent"
    called = replace(FOUNDING, loss=None, targets=None, entry="call")
    others = (own, Raised("KeyError", "0", line=20))
    read = [explain(called, replace(ended(), raised=one)) for one in others]
    said = {one.signature for one in read if one is not None}
    assert said == {"failed: a prediction of another structure"}


def test_a_law_that_is_broken_is_told_with_its_container() -> None:
    """Lost: bugs of keras.tree would all be one failure."""
    text = "flatten(structure)\n  expected [2, 1]\n  observed [1, 2]\n"
    reading = explain(TREE, ended(text))
    assert reading is not None
    assert reading.rules == ("T2",)
    assert reading.signature == "T2 flatten dict: gave the leaves in another order"
    assert len(reading.sentences) == 1


def test_a_refused_structure_breaks_its_law() -> None:
    """Lost: a refusal of keras.tree would be no finding, or one without a rule."""
    reading = explain(TREE, raised("builtins.ValueError", "no"))
    assert reading is not None
    assert reading.rules == ("T2",)
    assert reading.signature == "T2 flatten: raised ValueError"


def test_a_law_that_holds_and_a_wrong_exit_code_is_a_failure() -> None:
    """Lost: as above, for structures."""
    text = "flatten(structure)\n  expected [2, 1]\n  observed [2, 1]\n"
    reading = explain(TREE, ended(text, 3))
    assert reading is not None and reading.signature == "failed: exits 3"


@pytest.mark.parametrize(
    "outcome, verdict",
    [
        (ended(SWAPPED), Verdict.BAD),
        # A release that reports each loss: other numbers, the same failure.
        (
            ended(
                "'loss'     expected 45.0     observed 29.0 <- wrong\n"
                "'b_loss'   expected 36.0     observed 25.0 <- wrong\n"
                "'a_loss'   expected 9.0      observed 4.0 <- wrong\n"
            ),
            Verdict.BAD,
        ),
        (ended(RIGHT, 0), Verdict.GOOD),
        (ended("'loss'     expected 45.0     observed 7777.0 <- wrong\n"), Verdict.DIFFERENT),
        (raised("KeyError", "'b'"), Verdict.DIFFERENT),
        (ended("", 11, Ended.SIGNAL), Verdict.DIFFERENT),
        (ended("", 125), Verdict.UNTESTABLE),
        (ended("", None, Ended.TIMEOUT), Verdict.UNTESTABLE),
    ],
)
def test_the_failure_is_recognised_in_other_builds(outcome: Outcome, verdict: Verdict) -> None:
    """Lost: a timeline would change its mind where a release reports more, or fails otherwise."""
    signature = CaseSignature(FOUNDING, SWAPPED_TARGETS)
    assert judge(outcome, signature).verdict is verdict
    assert str(signature) == SWAPPED_TARGETS


# -- files -----------------------------------------------------------------------------


@given(cases() | tree_cases())
def test_a_case_comes_back_from_its_file(
    tmp_path_factory: pytest.TempPathFactory, case: AnyCase
) -> None:
    """Lost: `bisect case.json` would go on with another case than the one that was found."""
    path = tmp_path_factory.getbasetemp() / "case.json"
    path.write_text(dump(case), "utf-8")
    assert load(path) == case


@pytest.mark.parametrize(
    "text, field",
    [
        ("", "JSON"),
        ("[]", "the case"),
        ("{}", "container"),
        ('{"kind": "tree"}', "schema"),
        ('{"kind": "tree", "schema": 1}', "structure"),
        ('{"kind": "tree", "schema": 1, "structure": {"heap": []}}', "heap"),
        ('{"kind": "tree", "schema": 1, "structure": 1, "law": "T99"}', "T99"),
        (dump(FOUNDING).replace('"evaluate"', '"guess"'), "entry"),
        (dump(FOUNDING).replace('"schema": 2', '"schema": 99'), "schema"),
        (dump(FOUNDING).replace('"a": 4.0', '"b": 4.0'), "targets.b"),
        (dump(FOUNDING).replace('"predicts": 9.0', '"predicts": "nine"'), "outputs[0].predicts"),
        (dump(FOUNDING).replace("routing", "rooting"), "kind"),
    ],
)
def test_a_bad_file_is_refused_by_its_name_and_field(tmp_path: Path, text: str, field: str) -> None:
    """Lost: whoever edits a case by hand would be shown a traceback instead of their mistake."""
    path = tmp_path / "edited.json"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert field in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """Lost: a misspelt name would be a traceback."""
    (tmp_path / "latin.json").write_bytes('{"é": 1}'.encode("latin-1"))
    for name in ("missing.json", "latin.json", "."):
        with pytest.raises(UsageError, match="cannot be read"):
            load(tmp_path / name)


@pytest.mark.parametrize(
    "change, missing",
    [
        ({"loss": {"b": "mse"}, "targets": {"b": 3.0}, "metrics": {"a": ["mae"]}}, "output 'a'"),
        ({"loss": "huber"}, "huber"),
        ({"metrics": {"b": ["auc"]}}, "auc"),
    ],
)
def test_a_case_without_a_known_answer_is_refused_when_it_is_read(
    tmp_path: Path, change: dict[str, object], missing: str
) -> None:
    """Lost: a case that no number can be told of would be a traceback in the middle of a run."""
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(json.loads(dump(FOUNDING)) | change), "utf-8")
    with pytest.raises(UsageError, match=missing):
        render(load(path))


# -- scripts ---------------------------------------------------------------------------


@given(cases() | tree_cases())
def test_the_script_for_dm_tree_hides_optree_before_keras_is_imported(case: AnyCase) -> None:
    """Lost: a script filed as one of dm-tree would run under optree, and pass."""
    text = render(case, "dm-tree").text
    body = ast.parse(text).body
    kinds = [type(node) for node in body]
    hidden = next(
        index
        for index, node in enumerate(body)
        if ast.unparse(node) == "sys.modules['optree'] = None"
    )
    assert "import sys" in [ast.unparse(node) for node in body[:hidden]]
    assert hidden < kinds.index(ast.Try)
    assert "keras" in ast.unparse(body[kinds.index(ast.Try)])
    plain = render(case).text
    if "optree_impl" in plain:
        # All implementations answer side by side, so it names them.
        return
    assert "optree" not in plain
    assert [line for line in text.splitlines() if "optree" not in line and line] == [
        line for line in plain.splitlines() if line
    ]


def test_a_single_value_and_a_list_have_no_table_of_names() -> None:
    """Lost: a table without any row would pass for one in which every number is right."""
    case = Case((Output("a", 9.0),), "list", One("mse"), InOrder((3.0,)))
    reading = explain(case, ended("nothing that is a row\n"))
    assert reading is not None and reading.signature == "total: left out (of all outputs)"


@pytest.mark.parametrize(
    "code, stdout, right",
    [
        (0, "'loss'  expected 45.0  observed 45.0\n", True),
        (0, "Keras refuses it, and no rule says that it must not: KeyError('a')\n", False),
        (1, "'loss'  expected 45.0  observed 29.0 <- wrong\n", False),
    ],
)
def test_a_refusal_that_is_allowed_is_no_evidence(code: int, stdout: str, right: bool) -> None:
    """Lost: a condition would say "no call before", where that is refused for its own sake."""
    assert was_right(Outcome(Ended.EXIT, code, 0.1, stdout=stdout)) is right
