"""A case as a regression test for Keras' own suite: what its script shows, asserted.

The test is made from the script, statement by statement, so that both ask the same: the imports
become those of a test, the statements the body of a method, what was printed is asserted, and an
end with 125 skips. Lines are laid out anew, since Keras has shorter ones and a method is indented.

Public: `regression_test`. Pure.
"""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from keras_bisect.outcome import Tree
from keras_repro.contract import Rule
from keras_repro.script import literal
from keras_repro.script.layout import WIDTH, After, Call, Node, columns, listed, statement

__all__ = ["regression_test"]

NARROWER: Final = WIDTH - 80
"""By how much the lines of Keras are shorter than those of scripts."""
BODY: Final = 8
"""Where the body of a method begins."""
NAME: Final = 60
"""Characters of a test's name, at most."""

_NUMBERS: Final = """\
for name, value in expected.items():
    if name in observed or each or not name.endswith("_loss"):
        self.assertAllClose(observed[name], value, rtol=1e-5, msg=name)
"""
_ALL: Final = """\
for name, value in expected.items():
    self.assertAllClose(observed[name], value, rtol=1e-5, msg=name)
"""
_NO_OTHERS: Final = f"""\
{_ALL}self.assertEqual(observed.keys() - {{"loss"}}, expected.keys())
"""


def regression_test(script: str, rules: Sequence[Rule], tree: Tree = "optree") -> str:
    """The test that fails where `script` exits with 1, and passes where it exits with 0.

    Args:
        script: as `render` makes them, of either kind of case.
        rules: what the docstring says; the rules that are broken, where they are known.
        tree: the implementation that a law of `keras.tree` is asked of: Keras' own tests name it.
    """
    module = ast.parse(script)
    title = ast.get_docstring(module) or ""
    kind, _, title = " ".join(title.split()).partition(": ")
    statements, end = _asserted(module.body[1:])
    body = "".join(_Lines(script).of(statements, BODY)) + textwrap.indent(end, " " * BODY)
    name = "TreeTest" if kind == "keras.tree" else "RoutingTest"
    return (
        f"{_imports(module, body, tree)}\n\n\n"
        f"class {name}(testing.TestCase):\n"
        f"    def {_name(title)}(self):\n"
        f"{_docstring(rules, title)}{body}"
    )


def _name(title: str) -> str:
    words = re.sub(r"\W+", "_", title.lower(), flags=re.ASCII).strip("_")
    return "test_" + (words if len(words) <= NAME else words[:NAME].rpartition("_")[0])


def _docstring(rules: Sequence[Rule], title: str) -> str:
    said = "\n\n".join(
        textwrap.fill(rule.sentence, 80 - BODY - 3) + f"\n{rule.source}" for rule in rules
    )
    text = textwrap.indent(f'"""{said or title}\n"""\n', " " * BODY)
    return re.sub(" +$", "", text, flags=re.MULTILINE)


# -- imports ---------------------------------------------------------------------------------------


def _imports(module: ast.Module, body: str, tree: Tree) -> str:
    """What the body uses, one name a line, in the groups and the order that Keras asks for."""
    used = {
        node.id
        for node in ast.walk(ast.parse("if True:\n" + body))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    groups: dict[str, list[tuple[object, ...]]] = {"standard": [], "other": [], "keras": []}
    groups["keras"].append((1, "keras.src", True, "testing", "from keras.src import testing"))
    for node in ast.walk(module):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        for alias in node.names:
            if (alias.asname or alias.name) not in used or (
                isinstance(node, ast.Import) and alias.name in CHECKED
            ):
                continue
            line = f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
            source = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if source == "keras":
                source = "keras.src"
            if (source, alias.name, tree) == ("keras.src", "tree", "dm-tree"):
                source, line = "keras.src.tree", "import dmtree_impl as tree"
            if source:
                line = f"from {source} {line}"
            home = (source or alias.name).partition(".")[0]
            group = "keras" if home == "keras" else "standard" if home in STANDARD else "other"
            small = alias.name[0].islower()
            groups[group].append((int(bool(source)), source, small, alias.name, line))
    shown = [[str(one[-1]) for one in sorted(set(group))] for group in groups.values()]
    return "\n\n".join("\n".join(lines) for lines in shown if lines)


CHECKED: Final = ("optree", "tree")
"""Imported by a script to see whether they are there; `from keras import tree` is another."""
STANDARD: Final = ("collections", "inspect", "os", "sys", "tempfile")


# -- statements ------------------------------------------------------------------------------------


def _asserted(body: Sequence[ast.stmt]) -> tuple[list[ast.stmt], str]:
    """The statements between the imports and the end, and what is asserted in the end's place."""
    kept = [
        node
        for node in body
        if not isinstance(node, ast.Import | ast.ImportFrom) and not _only_imports(node)
    ]
    for place, node in enumerate(kept):
        if ast.unparse(node) == "wrong = False":
            rows = ast.unparse(kept[place + 1])
            losses = "each" in rows
            return kept[:place], _NUMBERS if losses else _NO_OTHERS if "there" in rows else _ALL
    match kept[-1]:
        case ast.Expr(ast.Call(args=[ast.IfExp(ast.Compare(left, _, [right]))])):
            shown = (node for node in kept[:-1] if not ast.unparse(node).startswith("print("))
            end = f"self.assertEqual({ast.unparse(left)}, {ast.unparse(right)})\n"
            return list(shown), _quoted(end)
        case ast.Expr(ast.Call(args=[ast.IfExp(ast.Name("bad"))])):
            return kept[:-1], "self.assertEqual(bad, [])\n"
    raise AssertionError("a script ends in another way")


def _only_imports(node: ast.stmt) -> bool:
    return isinstance(node, ast.Try) and all(
        isinstance(one, ast.Import | ast.ImportFrom) for one in node.body
    )


class _Lines:
    """The statements of a script as lines of a test."""

    def __init__(self, script: str) -> None:
        self._script = script
        self._lines = script.splitlines()

    def of(self, body: Sequence[ast.stmt], indent: int) -> Iterator[str]:
        """Statements, with an empty line around functions and classes."""
        if ended := _ended(body):
            yield f"{' ' * indent}{ended}\n"
            return
        apart, first = False, indent > BODY
        for node in body:
            defines = isinstance(node, ast.FunctionDef | ast.ClassDef)
            if (apart or defines) and not first:
                yield "\n"
            yield from self._statement(node, indent)
            apart, first = defines, False
        if apart and indent == BODY:
            yield "\n"

    def _statement(self, node: ast.stmt, indent: int) -> Iterator[str]:
        margin = " " * indent
        match node:
            case ast.FunctionDef() | ast.ClassDef() | ast.If() | ast.For():
                for one in getattr(node, "decorator_list", ()):
                    yield f"{margin}@{self._text(one)}\n"
                yield from self._header(node.lineno, margin)
                yield from self.of(node.body, indent + 4)
            case ast.Try(body, handlers):
                yield f"{margin}try:\n"
                yield from self.of(body, indent + 4)
                for handler in handlers:
                    shown = _ended(handler.body) or " ".join(map(ast.unparse, handler.body))
                    used = "error" in shown
                    kind = self._text(handler.type) if handler.type else "Exception"
                    yield f"{margin}except {kind}{' as error' if used else ''}:\n"
                    yield from self.of(handler.body, indent + 4)
            case ast.Assign([target], value):
                yield self._laid(f"{self._text(target)} = ", value, indent)
            case ast.AugAssign(target, ast.BitOr(), value):
                yield self._laid(f"{self._text(target)} |= ", value, indent)
            case ast.Return(ast.expr() as value):
                yield self._laid("return ", value, indent)
            case ast.Expr(ast.Yield()):
                yield f"{margin}{self._text(node)}\n"
            case ast.Expr(value):
                yield self._laid("", value, indent)
            case _:
                yield f"{margin}{self._text(node)}\n"

    def _header(self, number: int, margin: str) -> Iterator[str]:
        """The line that opens a block; its comment above it where both are too long together."""
        line = self._lines[number - 1].strip()
        line = re.sub(r"^if not \((.+) in (.+)\):$", r"if \1 not in \2:", line)
        code, mark, comment = line.partition("  # ")
        if mark and len(margin) + len(line) > WIDTH - NARROWER:
            yield f"{margin}# {comment}\n"
            line = code
        before, bracket, inside = line.removesuffix("):").rpartition("(")
        if bracket and len(margin) + len(line) > WIDTH - NARROWER and line.endswith("):"):
            line = f"{before}(\n{margin}    {inside}\n{margin}):"
        yield f"{margin}{line}\n"

    # -- layout ----------------------------------------------------------------------------------

    def _laid(self, before: str, value: ast.expr, indent: int) -> str:
        """A statement, broken where it does not fit Keras' lines."""
        if isinstance(value, ast.DictComp | ast.ListComp):
            return self._comprehension(before, value, indent)
        wide = statement(before, self._node(value), indent + NARROWER)
        return "".join(line[NARROWER:] for line in wide.splitlines(keepends=True))

    def _comprehension(self, before: str, value: ast.DictComp | ast.ListComp, indent: int) -> str:
        """As `_laid`; there can be no comma at its end."""
        margin, text = " " * indent, self._text(value)
        if indent + columns(before + text) <= WIDTH - NARROWER:
            return f"{margin}{before}{text}\n"
        inside = f"{margin}    {text[1:-1]}\n"
        if columns(inside.rstrip()) > WIDTH - NARROWER:
            last = value.value if isinstance(value, ast.DictComp) else value.elt
            made = self._text(value.key) + ": " if isinstance(value, ast.DictComp) else ""
            inside = self._laid(made, last, indent + 4)
            for one in value.generators:
                head = f"for {self._text(one.target)} in "
                inside += self._laid(head, one.iter, indent + 4)
                inside += "".join(f"{margin}    if {self._text(test)}\n" for test in one.ifs)
        return f"{margin}{before}{text[0]}\n{inside}{margin}{text[-1]}\n"

    def _node(self, value: ast.expr) -> Node | str:
        """An expression as what `layout` can break."""
        match value:
            case ast.List([_, *_] as entries):
                return listed(map(self._node, entries))
            case ast.Tuple([_, *_] as entries):
                return listed(map(self._node, entries), "tuple")
            case ast.Dict([_, *_] as keys, values):
                held = (
                    After(f"{self._text(key)}: ", self._node(one))
                    for key, one in zip(keys, values, strict=True)
                    if key is not None
                )
                return Call("", "{", tuple(held), "}")
            case ast.Lambda(arguments, of):
                words = f"lambda {ast.unparse(arguments)}".rstrip()
                return After(f"{words}: ", self._node(of))
            case ast.BinOp(left, ast.BitOr(), right):
                return After(f"{self._text(left)} | ", self._node(right))
            case ast.Attribute(of, name):
                found = self._node(of)
                if isinstance(found, Call):
                    return replace(found, closing=f"{found.closing}.{name}")
            case ast.Call(function, given, keywords) if given or keywords:
                found = self._node(function)
                passed = [self._node(one) for one in given]
                passed += [
                    After(f"{one.arg}=" if one.arg else "**", self._node(one.value))
                    for one in keywords
                ]
                if isinstance(found, Call):
                    # The brackets of the first call are opened, those of the second are not.
                    rest = ", ".join(map(self._text, [*given, *keywords]))
                    return replace(found, closing=f"{found.closing}({rest})")
                return Call("", f"{found}(", tuple(passed), ")")
        return self._text(value)

    def _text(self, node: ast.AST) -> str:
        """What stands in the script, on one line."""
        found = ast.get_source_segment(self._script, node) or ""
        return found if "\n" not in found else _quoted(ast.unparse(node))


def _ended(body: Sequence[ast.stmt]) -> str:
    """What a test does where the script ends early; empty where it does not."""
    last = ast.unparse(body[-1]) if body else ""
    if not last.startswith("sys.exit("):
        return ""
    if last == "sys.exit(0)":
        return "return"
    return "self.skipTest(" + ("str(error))" if len(body) > 1 else '"not in this Keras")')


def _quoted(text: str) -> str:
    """Python with the quotes that formatters choose."""
    lines = text.splitlines(keepends=True)
    for token in reversed(list(tokenize.generate_tokens(io.StringIO(text).readline))):
        if token.type == tokenize.STRING and token.string[0] in "\"'":
            (row, start), (_, end) = token.start, token.end
            shown = literal(ast.literal_eval(token.string))
            lines[row - 1] = lines[row - 1][:start] + shown + lines[row - 1][end:]
    return "".join(lines)
