"""What can be taken out of a program, the biggest things first.

A program is its syntax tree. Each step takes one and yields programs that hold less, and nothing
that was not there before: no name is changed, no value made up but a small number. What a program
without one part cannot do without goes with it: whoever uses a name that is defined no more. Since
every step makes a program smaller in an order without cycles, taking them until none is kept ends.

    program   a program as a tree: read, written, mended
    parts     where each of its parts stands, and the program without some of them
    steps     what goes, in the order in which it is tried
    inline    what a name or a function stands for, in its place

Pure. Public: `STEPS`, `Step`, `Keep`, `Parts`, `parse`, `text_of`.
"""

from keras_repro.cuts.parts import Keep, Parts
from keras_repro.cuts.program import parse, text_of
from keras_repro.cuts.steps import STEPS, Step

__all__ = ["STEPS", "Keep", "Parts", "Step", "parse", "text_of"]
