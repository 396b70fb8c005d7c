"""The oracle: every number that a case must report, from its names alone.

An output, its target, its loss, its weights and its metrics are brought together by the rules of
`contract.py` and by nothing else: no Keras is asked. The constants are such that any other way to
bring them together gives another total, so that a right number cannot be right by luck. A number
rests on rules, and on no more of them than it needs: a wrong one breaks one of these.

`values` knows the constants and functions, `numbers` brings them together, `rules` says by which
rule, and `promise` what may be judged at all, and how strictly. Pure.
"""

from keras_repro.oracle.numbers import (
    INSIDE,
    REFUSED,
    RESULTS,
    Expectation,
    Wire,
    expected,
    kept,
    misspelt,
    named,
    reports_each,
    wiring,
)
from keras_repro.oracle.promise import doubts, leeway, promised
from keras_repro.oracle.rules import (
    leading_rule,
    loss_rules,
    metric_rules,
    rules_of,
    target_rules,
    weight_rules,
)
from keras_repro.oracle.values import CONSTANTS, FUNCTIONS, LATER, Constants, number, scored

__all__ = [
    "CONSTANTS",
    "FUNCTIONS",
    "INSIDE",
    "LATER",
    "REFUSED",
    "RESULTS",
    "Constants",
    "Expectation",
    "Wire",
    "doubts",
    "expected",
    "kept",
    "leading_rule",
    "leeway",
    "loss_rules",
    "metric_rules",
    "misspelt",
    "named",
    "number",
    "promised",
    "reports_each",
    "rules_of",
    "scored",
    "target_rules",
    "weight_rules",
    "wiring",
]
