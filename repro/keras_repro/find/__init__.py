"""Search one build for broken rules, tell what is found apart, and make each of it small.

Hypothesis draws the cases in this process, which never imports keras. A worker for each tree
implementation runs the script of each case, side by side. What an outcome shows is read
(`keras_repro.reading`), and its signature says which finding it belongs to.

A search goes on after a find. The find is made small (`keras_repro.shrink`), and the smallest
condition on cases that explains it is learned (`facts`, `condition`); what meets the condition is
avoided from then on, so that a common bug does not hide a rare one. Now and then an avoided case is
run all the same: if it passes, the condition was too wide, and if it fails in another way, that is
a find.

Public: `search`, `search_line`, `draw_cases`, `Budget`, `Condition`, `Finding`, `Found`, `Kept`,
`Searched`.
"""

from keras_repro.find.condition import Condition
from keras_repro.find.draw import draw_cases
from keras_repro.find.kept import Kept
from keras_repro.find.line import search_line
from keras_repro.find.loop import search
from keras_repro.find.model import Budget, Finding, Found, Searched

__all__ = [
    "Budget",
    "Condition",
    "Finding",
    "Found",
    "Kept",
    "Searched",
    "draw_cases",
    "search",
    "search_line",
]
