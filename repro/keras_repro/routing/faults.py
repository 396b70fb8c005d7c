"""What reached the wrong output, as a fault: the component, how it went wrong, the rule.

Public: `Fault`, `Routing`, `Component`, `How`, `fault`, `faults_of`, and the rules of arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from keras_repro.case import ByName, Case, InOrder, Like, One, is_dict
from keras_repro.contract import Strength, strongest
from keras_repro.oracle import Wire, doubts, leading_rule, rules_of, wiring
from keras_repro.routing.ways import How, Order, named_orders

__all__ = ["Component", "Fault", "How", "Routing", "fault", "faults_of", "loss_rule", "target_rule"]

Component = Literal[
    "target",
    "loss",
    "weight",
    "sample weight",
    "metric target",
    "metric",
    "metric weight",
    "name",
    "total",
    "input",
    "prediction",
    "class weight",
    "reported loss",
    "inner metrics",
]


BY_NAMES: Final = ("alphabet", "key order", "closed up")
"""Orders that some names have, and others not."""
ALTOGETHER: Final[Mapping[How, str]] = {
    "other number": "the model has more weights, or fewer, than it should",
    "by place": "weights go to the outputs by their place, whatever their names are",
    "shifted": "a key that none of them has moves what the others are given",
    "covered": "a number is not reported, as another is called the same",
    "merged": "outputs that have one metric object report the same number, which is of all of them",
    "kept": "metrics of the `compile` before are reported still",
    "lost": "the compiled model inside does not report its own loss and metrics",
    "inner model": "the loss that is reported is that of the compiled model inside",
}
"""What is said of a fault that is of no output in particular."""
NOT_REFUSED: Final[Mapping[Component, str]] = {
    "class weight": "class weights of several outputs are not refused in so many words",
    "input": "an input is not given under its name, and that is not refused",
    "target": "a loss is given no target under its output's name, and that is not refused",
}
OF_EACH: Final[Mapping[How, str]] = {
    "other container": "{} is in another container than before",
    "other keys": "the {} are in another order than before",
    "not loaded": "the weights of output {!r} were not loaded",
    "weighted": "the loss of output {!r} is reported weighted",
    "by batch": "the loss of output {!r} is the mean of its batches, whatever their size",
    "in part": "the loss of output {!r} is reported as a part of what it is",
    "doubled": "{!r} is reported, which no output has",
}
"""What is said of each output, where none other has to do with it."""


@dataclass(frozen=True)
class Fault:
    """One component that did not reach its outputs, how it went wrong, the rule that says so.

    `went` pairs each output that was wronged with the output whose share it was given (None: no
    output's, or it cannot be told).
    """

    component: Component
    how: How
    rule: str
    given: str
    went: tuple[tuple[str, str | None], ...] = ()
    doubtful: bool = False
    """Whether the case rests on less than what Keras says, see `oracle.doubts`."""
    own: str = ""
    """The rule of the component alone, whatever stands around the arguments."""

    @property
    def signature(self) -> str:
        """What went wrong, without the names of outputs and their number."""
        return f"{self.component}: {self.how} ({self.given})"

    @property
    def strength(self) -> Strength:
        """That of the rule, where nothing in the case is in doubt."""
        return "inconsistent" if self.doubtful else strongest([self.rule])

    @property
    def sentences(self) -> tuple[str, ...]:
        """The fault in words, one sentence an output."""
        if self.how == "unexplained":
            what = {"metric": "metrics", "prediction": "predictions"}
            numbers = what.get(self.component, "losses")
            return (
                f"no pairing of losses, targets and weights with the outputs gives the {numbers}",
            )
        if self.how == "not refused":
            return (NOT_REFUSED[self.component],)
        if self.how in ALTOGETHER:
            return (ALTOGETHER[self.how],)
        if not self.went:
            said = {"name": "the numbers of outputs are reported under the names of others"}
            said |= {"total": "the total is not reported", "metric": "some metric is not reported"}
            return (said.get(self.component, "some loss is not reported"),)
        if self.how == "doubled" and self.went[0][0] == "a metric":
            return ("more numbers are reported than there are metrics",)
        if self.how in OF_EACH:
            return tuple(OF_EACH[self.how].format(what) for what, _ in self.went)
        return tuple(_sentence(self.component, output, other) for output, other in self.went)


@dataclass(frozen=True)
class Routing:
    """What the observed numbers say about a case: its faults, the gravest first; none is right."""

    faults: tuple[Fault, ...]

    @property
    def right(self) -> bool:
        """Whether every number is as the rules say."""
        return not self.faults

    @property
    def signature(self) -> str:
        """What makes two failures the same failure: the first fault. `right` without one."""
        return self.faults[0].signature if self.faults else "right"

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules that are broken, that of the signature first."""
        return tuple(dict.fromkeys(fault.rule for fault in self.faults))

    @property
    def sentences(self) -> tuple[str, ...]:
        """What went wrong, in words."""
        return tuple(sentence for fault in self.faults for sentence in fault.sentences)


def faults_of(
    case: Case,
    wires: Sequence[Wire],
    components: Sequence[Component],
    orders: Sequence[Order],
) -> tuple[Fault, ...]:
    """Return the faults of one way to wire a case: an order for each component."""
    named = named_orders(case)
    same = tuple(range(len(wires)))
    faults = []
    for component, order in zip(components, orders, strict=True):
        if order == same:
            continue
        how: How = named.get(order, "other order")
        if -1 in order:
            how = "left out"
        elif len(set(order)) < len(order):
            how = "one for all"
        went = tuple(
            (wires[index].name, None if other < 0 else wires[other].name)
            for index, other in enumerate(order)
            if index != other
        )
        faults.append(fault(case, component, how, went))
    return tuple(faults)


def fault(
    case: Case,
    component: Component,
    how: How,
    went: tuple[tuple[str, str | None], ...] = (),
) -> Fault:
    """Return the fault of a component, with the rule that it breaks and the forms it concerns."""
    loaded = case.trip == "weights" and component == "prediction"
    if loaded and how not in ("not loaded", "other number") and went:
        how = "other order"  # whichever it is hangs on the names alone
    if how in BY_NAMES and _ordered(case, component):
        how = "other order"
    if how in BY_NAMES and component == "name" and case.entry == "evaluate as list":
        how = "alphabet"  # no Nones and no keys are in it that could be the reason
    if how not in ("left out", "unexplained", "kept", "doubled", "not refused"):
        how = _by_name(case, component) or how
    rule = {
        "target": target_rule(case),
        "metric target": target_rule(case),
        "loss": loss_rule(case),
        "weight": "R5",
        "sample weight": "R14" if case.class_weight is None else "R15",
        "metric": "R9" if case.metrics is None and how != "kept" else "R7",
        "metric weight": "R9",
        "name": "R23",
        "total": loss_rule(case),
        "input": "R21",
        "prediction": "R16",
        "class weight": "R15",
        "inner metrics": "R28",
        "reported loss": "R6" if how == "weighted" else "R23",
    }[component]
    if how not in ("alphabet", "key order") and rule == loss_rule(case) and "R4" in rules_of(case):
        rule = "R4"
    if how == "key order":
        rule = "R17"
    given = forms_of(case, component, how)
    if how in ("other container", "other keys"):
        given = f"{went[0][0]} {given}"
    doubtful = bool(doubts(case))
    return Fault(component, how, leading_rule(case) or rule, given, went, doubtful, own=rule)


def _trained(case: Case) -> int:
    """How many outputs have a loss."""
    return sum(wire.loss is not None for wire in wiring(case))


def _ordered(case: Case, component: Component) -> bool:
    """Whether what was passed is nested with an `OrderedDict` in it."""
    if case.nest is None:
        return False
    _, given = _passed(case).get(component, ("", None))
    kinds = set(case.nest.kinds())
    dicts = given.dicts if isinstance(given, Like) else "the same"
    return "OrderedDict" in (kinds if dicts == "the same" else {dicts, *kinds})


def _by_name(case: Case, component: Component) -> How | None:
    """How values go astray that have not the names of the outputs: that hangs on nothing else."""
    field = {"target": "targets", "metric target": "targets", "weight": "loss_weights"}
    field |= {"sample weight": "sample_weight", "metric weight": "sample_weight"}
    given = getattr(case, field[component]) if component in field else None
    if not isinstance(given, ByName):
        return None
    # Which targets may be left out, and with what else, is another question.
    if set(case.names) - set(given.names) and "target" not in component:
        return "by place"
    return "shifted" if set(given.names) - set(case.names) else None


def forms_of(case: Case, component: Component, how: How = "unexplained") -> str:
    """The forms that a fault of a component is about, in words."""
    outputs = {"dict": "dict outputs", "nested": "nested outputs"}.get(
        "dict" if is_dict(case.container) else case.container, "list outputs"
    )
    if component == "prediction" and case.trip == "weights":
        return f"layers in a {case.heads}"
    if how in ("other container", "other keys", "other number"):
        return "after a round trip"
    if how in ("by batch", "in part", "weighted"):
        return "of each output"
    if how == "kept":
        return "of an earlier compile"
    if how == "merged":
        return "one metric object"
    if component == "reported loss" and how == "left out" and _trained(case) == 1:
        return "of the only one"
    if case.entry == "evaluate as list" and (component == "name" or how == "doubled"):
        return "a list of results"
    if (component, how) == ("target", "not refused"):
        return "dict targets"
    if how == "covered":
        called = {
            "loss": "a metric called loss",
            "prefixed": "a metric called as that of another output",
        }
        return called.get(case.metric_names, "metrics of one name")
    if component == "total" and how == "left out":
        return "of all outputs"
    if case.inner and component == "total":
        return "compiled model inside"
    if component == "input" and case.inputs is not None:
        if case.inputs.inside != "nothing":
            return f"{case.inputs.inside} inputs of a model inside"
        held = case.inputs.container
        if held == "nested" and how not in ("shifted", "not refused"):
            return "nested inputs" + (", fed OrderedDicts" if case.inputs.fed_ordered else "")
        held = "dict" if is_dict(held) and held != "OrderedDict" else held
        held = "list" if held in ("tuple", "namedtuple") else held
        fed = case.inputs.fed
        if how in ("shifted", "not refused"):
            return f"{held} inputs"
        if case.inputs.fed_ordered:
            return f"{held} inputs, fed an OrderedDict"
        return f"{held} inputs, fed a {'dict' if isinstance(fed, ByName) else 'list'}"
    word, value = _passed(case).get(component, ("", None))
    if not word:
        return f"{case.within} of a model inside" if case.within != "nothing" else outputs
    kinds = {One: "one ", InOrder: "list ", ByName: "dict ", Like: "nested "}
    passed = f"{kinds.get(type(value), '')}{word}"
    # What goes by its place does so whatever holds the outputs.
    return passed if how == "by place" else f"{passed}, {outputs}"


def _passed(case: Case) -> dict[Component, tuple[str, object]]:
    """What each component is passed as, and what was passed."""
    return {
        "target": ("targets", case.targets),
        "metric target": ("targets", case.targets),
        "loss": ("loss", case.loss),
        "total": ("loss", case.loss),
        "weight": ("weights", case.loss_weights),
        "sample weight": (
            "sample weights" if case.class_weight is None else "class weights",
            case.sample_weight,
        ),
        "metric weight": ("sample weights", case.sample_weight),
        "metric": ("metrics", case.weighted_metrics if case.metrics is None else case.metrics),
    }


def target_rule(case: Case) -> str:
    """Return the rule by which targets reach their outputs."""
    by_name = isinstance(case.targets, ByName) and not is_dict(case.container)
    return "R11" if by_name else "R10"


def loss_rule(case: Case) -> str:
    """Return the rule by which losses reach their outputs."""
    match case.loss:
        case InOrder():
            return "R2"
        case ByName():
            return "R3"
        case Like():
            return "R13"
    return "R1"


def _sentence(component: Component, output: str, other: str | None) -> str:
    if other is None:
        return {
            "loss": f"the loss of output {output!r} is not in the total",
            "weight": f"the weight of output {output!r} was not used",
            "sample weight": f"the sample weights of output {output!r} were not used",
            "input": f"input {output!r} was given what belongs to no input",
            "reported loss": f"the loss of output {output!r} is not reported",
        }.get(component, f"the {component} of output {output!r} is nobody's")
    return {
        "target": f"the loss of output {output!r} was computed from the target of {other!r}",
        "loss": f"output {output!r} was given the loss function of {other!r}",
        "weight": f"the loss of output {output!r} was weighted with the weight of {other!r}",
        "sample weight": f"the loss of output {output!r} used the sample weights of {other!r}",
        "metric target": (
            f"the metrics of output {output!r} were computed from the target of {other!r}"
        ),
        "metric": f"output {output!r} was given the metrics of {other!r}",
        "metric weight": f"the metrics of output {output!r} used the sample weights of {other!r}",
        "name": f"the numbers of output {output!r} were reported under the name of {other!r}",
        "input": f"input {output!r} was fed what belongs to input {other!r}",
        "prediction": f"the prediction of output {output!r} is that of {other!r}",
    }[component]
