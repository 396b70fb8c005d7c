"""Observed numbers, read back: which target, loss, weight and metrics reached which output.

A case is made so that every other way to wire it gives other numbers. So the ways are tried, the
plainest first (all right; something taken in the order of the alphabet; in the order of a dict's
keys; in any other order; left out), until one gives the numbers that were observed. What it wires
wrongly are the faults. The signature is that of the first fault: it names no output and counts
none, so a failure stays the same while its case shrinks, and from a release that reports the total
alone to one that reports the loss of each output.

`ways` lists the ways, `read` tries them, `losses` and `metrics` those of what is reported,
`clashes` those of metrics that are called alike; `faults` says what a way means, `beside` holds two
models against each other, and `refusal` reads an exception. Pure.
"""

from keras_repro.routing.faults import Component, Fault, How, Routing
from keras_repro.routing.read import read
from keras_repro.routing.refusal import Refusal, refusal

__all__ = ["Component", "Fault", "How", "Refusal", "Routing", "read", "refusal"]
