"""The smallest set of things that has an effect: one at a time, then in groups. Pure.

Public: `smallest`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["smallest"]

Items = tuple[str, ...]
Test = Callable[[Sequence[Items]], Iterable[tuple[Items, bool]]]
"""Sets in, (set, whether it has the effect) out: in any order, as early as known.

Whoever asked may stop listening."""

MOST = 40
"""Items of which sets are looked for: of more, it would take hundreds of tests."""


def smallest(items: Sequence[str], test: Test, *, suspects: Sequence[Items] = ()) -> Items | None:
    """A smallest set of `items` with the effect; None if even all of them together do not have it.

    Of more than `MOST` items only single ones are tried.

    A single item is found if there is one. Otherwise the set is 1-minimal: it loses the effect when
    any one item is taken out (delta debugging, Zeller and Hildebrandt 2002; the smallest of all
    sets would take 2^n tests).

    Args:
        items: what can be in the set.
        test: tells which sets have the effect.
        suspects: single items to try before the others.
    """
    whole = tuple(items)
    first = [s for s in dict.fromkeys(suspects) if len(s) == 1 and s[0] in whole]
    others = [(item,) for item in whole if (item,) not in first]
    for singles in (first, others):
        if (found := _first(singles, test)) is not None:
            return found
    if not 2 <= len(whole) <= MOST or _first([whole], test) is None:
        return None
    return _minimise(whole, test)


def _minimise(whole: Items, test: Test) -> Items:
    """ddmin: go on with a part that suffices, else with all but one part, else split finer."""
    current, parts = whole, 2
    while len(current) > 2:
        chunks = list(_split(current, parts))
        complements = [tuple(i for i in current if i not in chunk) for chunk in chunks]
        # Single items were tried before anything else.
        candidates = [chunk for chunk in chunks if len(chunk) > 1]
        if (found := _first(candidates, test)) is not None:
            current, parts = found, 2
        elif parts > 2 and (found := _first(complements, test)) is not None:
            current, parts = found, max(parts - 1, 2)
        elif parts < len(current):
            parts = min(len(current), parts * 2)
        else:
            break
    return current


def _first(sets: Sequence[Items], test: Test) -> Items | None:
    """The first set with the effect, in the order of the sets, not of the answers."""
    if not sets:
        return None
    known: dict[Items, bool] = {}
    for tested, effect in test(sets):
        known[tested] = effect
        for candidate in sets:
            if candidate not in known:
                break
            if known[candidate]:
                return candidate
    return None


def _split(items: Items, parts: int) -> Iterator[Items]:
    size, extra = divmod(len(items), parts)
    start = 0
    for part in range(parts):
        end = start + size + (part < extra)
        if end > start:
            yield items[start:end]
        start = end
