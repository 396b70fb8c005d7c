"""By which rules a case is judged: those of each argument, and those of what stands around it.

Public: `rules_of`, its parts, and `leading_rule`, which a fault is filed under.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keras_repro.case import LEVEL, ByName, Case, Form, InOrder, Like, One, is_dict

__all__ = [
    "context_rules",
    "leading_rule",
    "loss_rules",
    "metric_rules",
    "ordered",
    "refusal_rules",
    "report_rules",
    "rules_of",
    "sample_rules",
    "target_rules",
    "weight_rules",
]


def rules_of(case: Case) -> tuple[str, ...]:
    """Return the ids of all rules that the numbers of `case` rest on, in the contract's order."""
    return ordered(
        loss_rules(case),
        target_rules(case),
        weight_rules(case),
        metric_rules(case),
        sample_rules(case),
        report_rules(case),
        context_rules(case),
    )


def loss_rules(case: Case) -> set[str]:
    """Return the ids of the rules by which the losses of `case` are paired with its outputs."""
    return _pairing(case, case.loss, one="R1", in_order="R2", by_name="R3") | (
        {"R4"} if partial(case) else set()
    )


def weight_rules(case: Case) -> set[str]:
    """Return the ids of the rules by which the loss weights of `case` reach its outputs."""
    return _pairing(case, case.loss_weights, one="R5", in_order="R5", by_name="R5")


def metric_rules(case: Case) -> set[str]:
    """Return the ids of the rules by which the metrics of `case` are paired with its outputs."""
    found = _pairing(case, case.metrics, one="R7", in_order="R7", by_name="R7")
    if case.weighted_metrics is not None:
        found |= _pairing(case, case.weighted_metrics, one="R9", in_order="R9", by_name="R9")
    return found | ({"R8"} if case.metrics or case.weighted_metrics else set())


def target_rules(case: Case) -> set[str]:
    """Return the ids of the rules by which the targets of `case` are paired with its outputs."""
    by_name = isinstance(case.targets, ByName) and not is_dict(case.container)
    return _pairing(case, case.targets, one="R10", in_order="R10", by_name="R10") | (
        {"R11"} if by_name else set()
    )


def sample_rules(case: Case) -> set[str]:
    """Return the ids of the rules by which the weights of samples reach the outputs."""
    found = _pairing(case, case.sample_weight, one="R14", in_order="R14", by_name="R14")
    return found | ({"R15"} if case.class_weight is not None else set())


def report_rules(case: Case) -> set[str]:
    """Return the ids of the rules on what is reported of each output, where that is asked."""
    if case.entry != "each loss":
        return {"R23"} if case.metric_names != "own" else set()
    return {"R23"} | ({"R6"} if case.loss_weights is not None else set())


def refusal_rules(case: Case) -> set[str]:
    """Return the ids of the rules by which a case must be refused."""
    if case.class_weight is not None:
        return {"R15"}
    if extra_keys(case):
        return {"R24"}
    return {"R10"} if case.untargeted else {"R21"}


def context_rules(case: Case) -> set[str]:
    """Return the ids of the rules on what stands around the arguments: model, data, call."""
    return set(_context(case))


def leading_rule(case: Case) -> str | None:
    """Return the rule that a fault of `case` is filed under, whatever its arguments are.

    A case is shrunk first: what stands around its arguments then stands there because the numbers
    are right without it.
    """
    return next(_context(case), None)


def _context(case: Case) -> Iterator[str]:
    """The ids of these rules, the most particular first."""
    if case.refused:
        yield from refusal_rules(case)
    if case.joint:
        yield "R29"
    if case.trip != "none":
        yield "R26" if case.trip == "weights" else "R20"
    if case.inner:
        yield "R28"
    called_before = case.before is not None and case.earlier != "another compile"
    if called_before or case.data != "arrays" or case.jit:
        yield "R19"
    if case.batches > 1 or case.steps_per_execution > 1 or case.entry in ("validation", *LEVEL):
        yield "R19"
    if extra_keys(case):
        yield "R24"
    if case.entry == "evaluate as list":
        yield "R22"
    if case.entry == "symbolic call":
        yield "R27"
    if case.inputs is not None and case.inputs.fed_none:
        yield "R25"
    if case.inputs is not None:
        yield "R21"
    if odd_dicts(case):
        yield "R18"
    if case.predicting:
        yield "R16"
    if case.nest is not None:
        yield "R13"


def partial(case: Case) -> bool:
    """Whether some output has no loss."""
    match case.loss:
        case One(value):
            return value is None
        case InOrder(values) | Like(values):
            return None in values
        case ByName():
            losses = case.loss.as_dict()
            return any(losses.get(name) is None for name in case.names)
    return False


def extra_keys(case: Case) -> bool:
    """Whether some dict has a key that no output, or input, has."""
    inputs = case.inputs
    fed = inputs.fed if inputs is not None else None
    if inputs is not None and isinstance(fed, ByName) and set(fed.names) - set(inputs.names):
        return True
    nested = [fed, *(given for _, given in case.forms())]
    return any(isinstance(given, Like) and given.more != "nothing" for given in nested) or any(
        isinstance(given, ByName) and set(given.names) - set(case.names)
        for _, given in case.forms()
    )


def odd_dicts(case: Case) -> bool:
    """Whether some dict is of another kind than `dict`."""
    kinds = [given.kind for _, given in case.forms() if isinstance(given, ByName)]
    kinds += [given.dicts for _, given in case.forms() if isinstance(given, Like)]  # type: ignore[misc]
    kinds += [case.within] if case.within == "OrderedDict" else []
    kinds += [kind for kind in (case.container,) if is_dict(kind)]  # type: ignore[misc]
    if case.inputs is not None:
        kinds += [kind for kind in (case.inputs.container,) if is_dict(kind)]  # type: ignore[misc]
        kinds += [case.inputs.inside] if case.inputs.inside == "OrderedDict" else []
        fed = case.inputs.fed
        kinds += [fed.kind] if isinstance(fed, ByName) else []
        kinds += [fed.dicts] if isinstance(fed, Like) else []  # type: ignore[list-item]
    return any(kind not in ("dict", "the same") for kind in kinds) or any(
        kind in ("OrderedDict", "defaultdict") for kind in nest_kinds(case)
    )


def nest_kinds(case: Case) -> Iterator[str]:
    """Yield the kinds of the containers that the outputs, and inputs, are nested in."""
    if case.nest is not None:
        yield from case.nest.kinds()
    if case.inputs is not None and case.inputs.nest is not None:
        yield from case.inputs.nest.kinds()


def _pairing(
    case: Case, given: Form[Any] | None, *, in_order: str, by_name: str, one: str
) -> set[str]:
    match given:
        case None:
            return set()
        case One():
            # For one output there is nothing to apply one loss to but that output.
            return {one}
        case InOrder(_, kind):
            odd = case.container == "tuple" or kind == "tuple"
            return {in_order} | ({"R12"} if odd else set())
        case ByName(items):
            return {by_name} | ({"R17"} if len(items) > 1 else set())
        case Like(_, turned, swapped):
            marks = {"R17": turned, "R12": swapped, "R13": True}
            return {one} | {rule for rule, marked in marks.items() if marked}


def ordered(*rules: set[str]) -> tuple[str, ...]:
    """Return all of these ids, in the contract's order."""
    return tuple(sorted(set().union(*rules), key=lambda rule: int(rule[1:])))
