"""What can be tested, and how it comes onto this disk.

build      the kinds of build, and how a person writes them
index      what a package index offers: releases and nightlies, in order
wheel      from an index's word to the files of a build
local      Keras trees that are on this disk already
store      a build on disk: unpacked once, checked at each use; `pool`, `manifest`, `bytecode`
content    what makes two builds the same Keras
"""
