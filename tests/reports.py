"""Reports of a failure whose every part is known, made without a probe.

Public: `founding_report`, `report_with`, `HOSTILE`.
"""

from __future__ import annotations

from dataclasses import replace

from keras_bisect.outcome import Ended, Loaded, Outcome, Raised
from keras_bisect.transitions import Culprit, Entry, Place, Transition
from keras_bisect.verdict import Verdict
from keras_repro.case import ByName, Case, InOrder, One, Output
from keras_repro.contract import rule
from keras_repro.reading import CaseSignature, render
from keras_repro.report.facts import Facts, Misroute
from keras_repro.report.looking import FileDiff, Seen, Stage, Step
from keras_repro.report.neighbour import Neighbour
from keras_repro.report.report import Report

__all__ = ["HOSTILE", "founding_report", "report_with"]

HOSTILE = (
    "</script><script>document.title='run'</script>",
    "`` ` ```",
    "a|b||c",
    "say \"x\" 'y' \\",
    "line\nbreak\r\n# heading\n\n- item",
    "\u202eturned\u2066 \u200b",
    "x" * 10_000,
    "nul\0byte \x1b[31m",
    "\N{GRINNING FACE} \N{WOMAN}\u200d\N{GIRL} a\u0301\u0301\u0301",
    "{{ 7 * 7 }}{% raw %}{# c #}",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1)) ![y](http://a.b/c)",
    "<!-- ",
    "@someone #12 GH-12 www.a.b https://a.b/c",
    "\ud800 half",
    "$x^2$ ~~~ === --- | *a* _b_",
    "&lt;&#60;&amp;",
    "</pre></details></svg></style>",
    "1. one",
    "",
)
"""What names of outputs, messages and subjects of commits may hold."""

GOOD, BAD = Verdict.GOOD, Verdict.BAD
SHA = "8f5ad1e75b3ef27908bd3820e204a4c59b94c938"
PARENT = "8ca7cd8b790f891ec77770fb55c2270465e8b691"


def report_with(first: str = "b", second: str = "a", said: str = "", subject: str = "") -> Report:
    """The founding bug, for outputs of these names.

    Args:
        first: the first output.
        second: the second.
        said: an exception's message; without one, wrong numbers are reported.
        subject: of the culprit.
    """
    case = Case(
        outputs=(Output(first, 9.0), Output(second, 1.0)),
        container="list",
        loss=One("mse"),
        targets=ByName(((first, 3.0), (second, 4.0))),
    )
    script = render(case)
    rows = [("loss", 45.0, 29.0), (f"{first}_loss", 36.0, 25.0), (f"{second}_loss", 9.0, 4.0)]
    printed = [f"{n!r:10} expected {want!s:8} observed {got} <- wrong" for n, want, got in rows]
    raised = Raised("ValueError", said, ("src/trainers/compile_utils.py:call",), 22)
    outcome = Outcome(
        Ended.EXIT,
        1,
        0.4,
        Loaded("/x/keras/__init__.py", "3.5.0", "optree"),
        raised=raised if said else None,
        stdout="" if said else "\n".join(printed) + "\n",
    )
    place, after = Place("3.4.1", "3.4.1.dev2024071903", PARENT), Place("3.5.0", None, SHA)
    name = subject or "Simplify and improve `CompileLoss` (#20015)"
    culprit = Culprit(SHA, name, "2024-07-19T21:14:55+00:00", 20015)
    begun = Transition(
        "introduced", GOOD, BAD, place, after, culprit, ("keras/src/trainers/compile_utils.py",)
    )
    ended = Transition("fixed", BAD, GOOD, Place("3.6.0"), Place("3.7.0"))
    line = {"3.4.0": GOOD, "3.4.1": GOOD, "3.5.0": BAD, "3.6.0": BAD, "3.7.0": GOOD}
    signature = (
        "refused: ValueError: no" if said else "target: alphabet (dict targets, list outputs)"
    )
    facts = Facts(
        script=script,
        tree="optree",
        backend="tensorflow",
        signature=CaseSignature(case, signature),
        failure=signature,
        transitions=(begun, ended),
        timeline=tuple(Entry(build, verdict, said) for build, verdict in line.items()),
        shown="3.5.0",
        sentences=(
            f"the loss of output {first!r} was computed from the target of {second!r}",
            f"the loss of output {second!r} was computed from the target of {first!r}",
        ),
        rules=(rule("R11"),),
        strength="contract",
        misroutes=()
        if said
        else (Misroute("target", first, second), Misroute("target", second, first)),
        trees={"optree": "bad", "dm-tree": "bad"},
        case=case,
        command="keras-repro hunt --keras 3.5.0 --seed 0",
    )
    other = render(replace(case, targets=InOrder((3.0, 4.0)))).text
    steps = (
        Step(1, "3.4.1", GOOD, 0.3, 0.25),
        Step(2, "3.5.0", BAD, 0.4, 0.5),
    )
    seen = Seen(
        build="3.5.0",
        outcome=outcome,
        neighbour=Neighbour(
            "a list of targets",
            "3.5.0",
            other,
            (f"-y = {{{first!r}: 3.0}}", "+y = [3.0, 4.0]"),
        ),
        newest=(Entry("3.7.0", GOOD, "passes"),),
        environment={"Python": "CPython 3.11.7", "keras": "3.5.0", "numpy": "2.4.6"},
        diffs=(
            FileDiff(
                "keras/src/trainers/compile_utils.py",
                ("@@ -1,2 +1,2 @@", " def call(y):", f"-    return {said!r}", "+    return y"),
            ),
        ),
        stages=(Stage("releases", 5, steps, 0.7, (0.25, 0.5)),),
    )
    return Report(facts, seen)


def founding_report() -> Report:
    """The founding bug, as it was found."""
    return report_with()
