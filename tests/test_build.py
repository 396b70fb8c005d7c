from __future__ import annotations

import string
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from keras_bisect.builds.build import (
    Build,
    Commit,
    Folder,
    Installed,
    NewestNightly,
    NightlyOn,
    Numbered,
    Spec,
    Wheel,
    nightly_stamp,
    parse_build,
)
from keras_bisect.errors import KerasBisectError, UsageError

numbers = st.integers(0, 40)
versions = st.builds("3.{}.{}".format, numbers, numbers)
stamps = st.datetimes(datetime(2023, 10, 1), datetime(2099, 1, 1)).map("{:%Y%m%d%H}".format)
nightlies = st.builds("{}.dev{}".format, versions, stamps)
words = st.text(string.ascii_letters + string.digits + "/._-~^", min_size=1)
specs: st.SearchStrategy[Spec] = st.one_of(
    (versions | nightlies).map(Version).map(Numbered),
    st.just(NewestNightly()),
    st.dates(date(1000, 1, 1)).map(NightlyOn),
    words.filter(lambda word: not word.startswith("-")).map(Commit),
    words.map(Folder),
    st.just(Installed()),
)


@given(specs)
def test_what_is_shown_can_be_typed(spec: Spec) -> None:
    """Without it a report could name a build in words that --keras does not take back."""
    assert parse_build(str(spec)) == spec


@given(st.text())
def test_any_text_is_a_build_or_a_usage_error(text: str) -> None:
    """Without it a typing error could end in a traceback instead of exit code 2."""
    try:
        spec = parse_build(text)
    except UsageError as error:
        assert str(error)
    else:
        assert parse_build(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("newest", "not a build"),
        ("2.15.0", "expected a Keras 3"),
        ("nightly:2024-13-01", "year-month-day"),
        ("nightly:yesterday", "year-month-day"),
        ("git:", "expected a revision"),
        ("git:--upload-pack=evil", "expected a revision"),
        ("path:", "expected a folder"),
        ("", "not a build"),
    ],
)
def test_a_wrong_word_is_told_what_is_right(text: str, said: str) -> None:
    """Without it a refusal need not say how a build is written, and git could be passed options."""
    with pytest.raises(UsageError, match=said):
        parse_build(text)


def test_equal_versions_are_equal_specs() -> None:
    """Without it 3.5 and 3.5.0 could be two builds, each probed by itself."""
    assert parse_build("3.5") == parse_build(" 3.5.0 ")


def test_when_a_build_was_made() -> None:
    """Without it nightlies could be ordered and dated by their upload instead of their sources."""
    upload = datetime(2024, 7, 21, tzinfo=UTC)
    wheel = Wheel("k.whl", "https://example.org/k.whl", "0" * 64, upload)
    version = Version("3.4.1.dev2024072003")
    stamp = datetime(2024, 7, 20, 3, tzinfo=UTC)
    assert nightly_stamp(version) == stamp
    assert nightly_stamp(Version("3.4.1.dev7")) is None
    assert Build("nightly", str(version), version, wheel).made == stamp
    assert Build("release", "3.5.0", Version("3.5.0"), wheel).made == upload
    assert Build("installed", "installed").made is None


def test_every_error_has_an_exit_code_of_the_contract() -> None:
    """Without it a new error could end the program with a code that no script expects."""

    def family(kind: type[KerasBisectError]) -> list[type[KerasBisectError]]:
        return [kind, *(below for child in kind.__subclasses__() for below in family(child))]

    assert {kind.exit_code for kind in family(KerasBisectError)} == {2, 3, 4, 5}
