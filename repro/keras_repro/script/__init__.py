"""A case as the program that shows it: keras and numpy, expected beside observed, an exit code.

The text is what is run, filed and bisected, so it is what a person would write, already as a code
formatter leaves it. `layout` breaks lines, `model`, `data` and `render` write the parts, and
`table` reads what the program printed. Pure.
"""

from keras_repro.script.layout import literal
from keras_repro.script.render import render
from keras_repro.script.table import declined, read_table

__all__ = ["declined", "literal", "read_table", "render"]
