"""What comes out of a script, cut into pieces anywhere and mixed with anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keras_bisect.probe.child import report_line
from keras_bisect.probe.streams import REPORTS_LIMIT, Reports, Tail

TOKEN = "5ec2e7"

paths = st.text(min_size=1, max_size=20)
reports = st.one_of(
    st.fixed_dictionaries({"read": paths}),
    st.fixed_dictionaries({"beyond": paths}),
    st.just({"import_error": None}),
    st.just({"touched": True}),
    paths.map(lambda path: {"loaded": {"path": path, "version": "3.5.0", "tree": None}}),
    paths.map(
        lambda text: {"raised": {"type": "KeyError", "message": text, "frames": [], "line": 3}}
    ),
)
junk = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"\n[]\n", b'\n{"touched": true}\n', b"\n", b"[" * 2000, TOKEN.encode()]),
)
values = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["loaded", "raised", "import_error", "path", "type", "read"]), inner
        )
    ),
)


def read(data: bytes, cuts: Sequence[int] = ()) -> Reports:
    found = Reports(TOKEN)
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    for begin, end in pairwise(places):
        found.write(data[begin:end])
    return found


def shown(found: Reports) -> dict[str, Any]:
    names = ("loaded", "import_error", "raised", "touched", "read", "beyond")
    return {name: getattr(found, name) for name in names}


@given(
    told=st.lists(reports, max_size=8),
    noise=st.lists(junk, min_size=9, max_size=9),
    cuts=st.lists(st.integers(0, 2000), max_size=5),
)
def test_junk_changes_no_report(
    told: list[dict[str, Any]], noise: list[bytes], cuts: list[int]
) -> None:
    """Without it what a script happens to write could be taken for what was seen of it."""
    lines = [report_line(TOKEN, one) for one in told]
    mixed = noise[0] + b"".join(line + one for line, one in zip(lines, noise[1:], strict=False))
    assert shown(read(mixed, cuts)) == shown(read(b"".join(lines)))


def test_reports_are_read() -> None:
    """Without it the test above would hold of a reader that reads nothing."""
    told = [{"read": "b"}, {"beyond": "x"}, {"read": "a"}, {"touched": True}, {"beyond": "y"}]
    found = read(b"".join(report_line(TOKEN, one) for one in told))
    assert (found.read, found.beyond, found.touched) == (("a", "b"), "x, y", True)


@given(data=values)
def test_no_report_breaks_who_reads_it(data: Any) -> None:
    """Without it a script that knows the word could end a search as a fault of the harness."""
    read(f"\n{TOKEN}{json.dumps(data)}\n{TOKEN}{'[' * 50_000}\n".encode())


def test_reports_are_bounded() -> None:
    """Without it a script that forks without end would fill the memory of the toolkit."""
    found = Reports(TOKEN)
    for number in range(REPORTS_LIMIT + 5):
        found.write(report_line(TOKEN, {"read": str(number)}))
    assert len(found.read) == REPORTS_LIMIT and found.beyond == "reports more than is kept"


@given(parts=st.lists(st.binary(max_size=30)), limit=st.integers(2, 40).map(lambda n: 2 * n))
def test_a_stream_keeps_both_ends(parts: list[bytes], limit: int) -> None:
    """Without it the line that says what failed could be the one that is left out."""
    tail = Tail(limit)
    for part in parts:
        tail.write(part.hex().encode())
    whole = b"".join(parts).hex()
    if len(whole) <= limit:
        assert tail.text() == whole
    else:
        assert tail.text().startswith(whole[: limit // 2] + "\n")
        assert tail.text().endswith("\n" + whole[-(limit // 2) :])
        assert f" {len(whole) - limit:,} bytes" in tail.text()
