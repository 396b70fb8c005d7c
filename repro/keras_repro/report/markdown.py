"""Text of others, made safe for GitHub's Markdown: nothing that a name holds can become markup.

Names of outputs, messages of exceptions and subjects of commits may hold anything. Here each is
made into a piece of Markdown that shows it and does nothing else, and `environment` refuses to put
into a template what did not come through here: forgetting to escape is an error, not a hole.

Public: `Markdown`, `code`, `prose`, `fence`, `link`, `mermaid`, `visible`, `environment`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

import jinja2

__all__ = ["Markdown", "code", "environment", "fence", "link", "mermaid", "prose", "visible"]

LONG: Final = 200
"""Characters of a name or message that are shown."""

_MARKUP: Final = re.compile(r"[\\`*\[\]<>|~$]|(?<!\w)_|_(?!\w)|&(?=[#\w])")
_START: Final = re.compile(r"^(?=[#=+:-])")
_NUMBERED: Final = re.compile(r"^(\d{1,9})(?=[.)](?:\s|$))")
_REFERENCE: Final = re.compile(
    r"(?<=@)(?=\w)|(?<=#)(?=\d)|(?<=GH-)(?=\d)|(?<=http)(?=s?:)|(?<=www)(?=\.)"
)
"""Where GitHub would make a link of words, to a person, an issue or a site."""


class Markdown(str):
    """Text that is Markdown already."""

    __slots__ = ()


def visible(text: str, long: int = LONG) -> str:
    r"""`text` on one line, of bounded length, with what cannot be seen written as escapes.

    Control characters, those that turn the direction of writing, and lone surrogates could make a
    line show another thing than it holds.

    >>> visible("a\nb\u202ec")
    'a\\nb\\u202ec'
    """
    if len(text) > long:
        text = text[: long - 1] + "…"
    return "".join(_seen(character) for character in text)


def _seen(character: str) -> str:
    if character == " " or character.isprintable():
        # A mark that combines with its neighbours is harmless up to a point, and then is not.
        return character if not unicodedata.combining(character) else _escape(character)
    return _escape(character)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def code(text: str, long: int = LONG) -> Markdown:
    """`text` as a span of code, fit for a table, too.

    >>> code("a`b")
    '`` a`b ``'
    """
    shown = visible(text, long).replace("|", "\\|") or " "
    ticks = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if len(ticks) > 1 or shown != shown.strip() else ""
    return Markdown(f"{ticks}{pad}{shown}{pad}{ticks}")


def prose(text: str, long: int = 4 * LONG) -> Markdown:
    """`text` as plain words of a sentence: no markup, no mention of a person, no link.

    >>> print(prose("see *this* @one of x86_64"))
    see \\*this\\* @<!-- -->one of x86_64
    """
    plain = _START.sub(r"\\", _MARKUP.sub(r"\\\g<0>", visible(text, long)))
    plain = _NUMBERED.sub(r"\g<0>\\", plain)
    return Markdown(_REFERENCE.sub("<!-- -->", plain))


def fence(text: str, language: str = "") -> Markdown:
    """`text`, line by line, in a block of code that nothing in it can end.

    >>> print(fence("x = 1", "python"))
    ```python
    x = 1
    ```
    """
    longest = max((len(run) for run in re.findall("`{3,}", text)), default=2)
    ticks = "`" * (longest + 1)
    return Markdown(f"{ticks}{language}\n{text.rstrip(chr(10))}\n{ticks}")


def link(text: str, address: str) -> Markdown:
    """A link; plain words where there is no address."""
    if not address:
        return prose(text)
    return Markdown(f"[{_MARKUP.sub(chr(92) + chr(92) + 'g<0>', visible(text))}]({address})")


def mermaid(text: str) -> Markdown:
    """`text` as the label of a node of a diagram, quotes included.

    >>> mermaid('say "b"')
    '"say #34;b#34;"'
    """
    shown = visible(text, 40)
    safe = (c if c.isalnum() or c in " _.,-" else f"#{ord(c)};" for c in shown)
    return Markdown('"' + "".join(safe) + '"')


def environment() -> jinja2.Environment:
    """Templates of Markdown: what is put in must be `Markdown` or a whole number."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_repro.report"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_only_markdown,
        autoescape=False,
    )
    made.filters |= {
        "code": code,
        "prose": prose,
        "fence": fence,
        "mermaid": mermaid,
    }
    return made


def _only_markdown(value: Any) -> Any:
    if isinstance(value, Markdown | int):
        return value
    raise TypeError(f"{value!r:.80} was put into a template as it is: it needs code or prose")
