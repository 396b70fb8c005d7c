"""Bugs of `keras.tree` itself: structures, what is asked of them, and who broke which law.

    case         a structure of containers and leaves, as JSON and as Python
    structures   further structures that are made of it
    check        one call and its answer; `checks` is the table of all of them, `asked` says which
    script       the program that asks
    laws         what its output says
    strategies   structures, drawn; `shrink` makes them plain

Public: the modules.
"""
