"""When the messages of two exceptions are one message. Pure.

Public: `normalise`, `alike`.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

__all__ = ["alike", "normalise"]

MESSAGE_KEPT = 400
"""Characters of a message that count."""
TYPO = 5
"""Letters of a word in which one that differs is a typo."""


def normalise(message: str) -> str:
    """A message without what changes from run to run: addresses, numbers, paths, white space.

    >>> normalise("Tensor at 0x7f3a of shape (2, 31) in /tmp/x1/repro.py")
    'Tensor at # of shape (#, #) in …/repro.py'
    """
    while (plainer := _plainer(message)) != message:
        message = plainer
    return message


def _plainer(message: str) -> str:
    message = re.sub("\x1b\\[[0-9;]*m", "", message)
    message = re.sub(r"(?:/[\w.+-]+)+/([\w.+-]+)", r"…/\1", message)
    message = re.sub(r"0x[0-9a-fA-F]+", "#", message)
    # Also `1.` and `.5`, as NumPy prints them, and versions.
    message = re.sub(r"(?<![\w.])-?\.?\d[\d.]*(?:e[-+]?\d+)?", "#", message)
    return " ".join(message.split())[:MESSAGE_KEPT]


def alike(message: str, other: str) -> bool:
    """Whether two messages are one, or one of them is the other with a typo mended.

    Whoever mends a typo is not to be blamed for the failure. What is quoted must be the same: it is
    what the message is about.

    >>> alike("got 1 losses and 2 weigths in all", "got 1 losses and 2 weights in all")
    True
    >>> alike("No module named 'keras.src.a'", "No module named 'keras.src.b'")
    False
    """
    if message == other:
        return True
    quoted = [re.findall(r"""'[^']*'|"[^"]*"|`[^`]*`""", one) for one in (message, other)]
    if quoted[0] != quoted[1] or len(message.split()) != len(other.split()):
        return False
    changed = [(a, b) for a, b in zip(message.split(), other.split(), strict=True) if a != b]
    return len(changed) == 1 and _is_typo(*changed[0])


def _is_typo(word: str, other: str) -> bool:
    """Whether a word of some length has one letter less, more or in another place."""
    word, other = word.rstrip(".,:;"), other.rstrip(".,:;")
    if min(len(word), len(other)) < TYPO or not (word + other).isalpha():
        return False
    same = SequenceMatcher(a=word, b=other, autojunk=False).get_matching_blocks()
    return max(len(word), len(other)) - sum(block.size for block in same) <= 1
