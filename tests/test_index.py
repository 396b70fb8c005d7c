from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_bisect.builds.build import Wheel, parse_build
from keras_bisect.builds.index import Index, index_url
from keras_bisect.errors import NotCached, Unreachable, UsageError
from local_index import LocalIndex

DAY = datetime(2024, 7, 20, tzinfo=UTC)
NOWHERE = "http://127.0.0.1:9/simple/"


def wheel(filename: str, uploaded: datetime | None = DAY, sha256: str = "a" * 64) -> Wheel:
    return Wheel(filename, f"https://example.org/{filename}", sha256, uploaded)


def names(builds: object) -> list[str]:
    return [build.name for build in builds]  # type: ignore[attr-defined]


class Offer:
    """A client that offers the same wheels of every project, and counts how often it is asked."""

    def __init__(self, *wheels: Wheel) -> None:
        self.wheels = wheels
        self.asked = 0
        self.fails = False

    def __call__(self, url: str, project: str) -> tuple[Wheel, ...]:
        self.asked += 1
        if self.fails:
            raise Unreachable("The index is away.")
        return self.wheels


@given(
    st.lists(
        st.tuples(st.datetimes(datetime(2023, 10, 1), datetime(2030, 1, 1)), st.integers(0, 9)),
        unique_by=lambda pair: pair[0].strftime("%Y%m%d%H"),
    ),
    st.randoms(use_true_random=False),
)
def test_nightlies_come_in_the_order_in_which_they_were_made(
    made: list[tuple[datetime, int]], random: object
) -> None:
    """Without it a bisect could walk a line that jumps in time where a version goes down."""
    made.sort()
    right = [f"3.{minor}.0.dev{stamp:%Y%m%d%H}" for stamp, minor in made]
    offered = [wheel(f"keras_nightly-{version}-py3-none-any.whl") for version in right]
    random.shuffle(offered)  # type: ignore[attr-defined]
    with TemporaryDirectory() as folder:
        assert names(Index(Path(folder), client=Offer(*offered)).nightlies()) == right


def test_only_builds_that_run_are_offered(tmp_path: Path) -> None:
    """Without it Keras 2, candidates, native or unchecked wheels could stand in a timeline."""
    offer = Offer(
        wheel("keras-3.10.0-py3-none-any.whl"),
        wheel("keras-3.9.0-py3-none-any.whl"),
        wheel("keras-3.9.0rc1-py3-none-any.whl"),
        wheel("keras-3.8.0-cp311-cp311-linux_x86_64.whl"),
        wheel("keras-3.7.0-py3-none-any.whl", sha256=""),
        wheel("Keras-2.15.0-py2.py3-none-any.whl"),
        wheel("keras-3.12.1-py3-none-any.whl", DAY + timedelta(days=9)),
        wheel("keras-3.13.0-py3-none-any.whl"),
        wheel("nonsense.whl"),
    )
    found = names(Index(tmp_path, client=offer).releases())
    assert found == ["3.9.0", "3.10.0", "3.12.1", "3.13.0"]


def test_a_listing_is_read_from_a_real_server(tmp_path: Path, local_index: LocalIndex) -> None:
    """Without it the adapter could lose hashes, times or yanks between the index and a build."""
    right = (
        local_index.offer("3.5.0", yanked="broken"),
        local_index.offer("3.6.0", yanked=True),
        local_index.offer("3.7.0"),
    )
    found = Index(tmp_path, url=local_index.url).releases()
    assert found == right
    assert [build.yanked for build in found] == [True, True, False]
    # From the cache, by another index object, offline: the very same.
    assert Index(tmp_path, url=local_index.url, offline=True).releases() == right


def test_a_listing_is_kept_for_a_while(tmp_path: Path) -> None:
    """Without it every step could ask the index, or an old listing would never be renewed."""
    offer = Offer(wheel("keras-3.5.0-py3-none-any.whl"))
    Index(tmp_path, client=offer).releases()
    Index(tmp_path, client=offer).releases()
    assert offer.asked == 1
    Index(tmp_path, client=offer, max_age=timedelta(0)).releases()
    assert offer.asked == 2
    Index(tmp_path, client=offer, url="https://example.org/simple").releases()
    assert offer.asked == 3


def test_an_old_listing_serves_where_the_index_is_away(tmp_path: Path) -> None:
    """Without it a broken network would stop what the cache can answer, or be hidden."""
    offer = Offer(wheel("keras-3.5.0-py3-none-any.whl"))
    Index(tmp_path, client=offer).releases()
    offer.fails = True
    told: list[str] = []
    index = Index(tmp_path, client=offer, max_age=timedelta(0), notice=told.append)
    assert names(index.releases()) == ["3.5.0"]
    assert len(told) == 1
    assert "The index is away. Using the listing of" in told[0]


def test_an_unreachable_index_is_one_clear_error(tmp_path: Path) -> None:
    """Without it a refused connection could be a traceback of three libraries."""
    with pytest.raises(Unreachable, match=r"keras from http://127\.0\.0\.1:9/simple/.*--offline"):
        Index(tmp_path, url=NOWHERE).releases()


def test_secrets_of_an_index_address_are_not_shown_or_kept(tmp_path: Path) -> None:
    """Without it a password in PIP_INDEX_URL could end in a report or in the cache."""
    url = "http://me:secret@127.0.0.1:9/simple/"
    with pytest.raises(Unreachable) as caught:
        Index(tmp_path, url=url).releases()
    assert "secret" not in str(caught.value)
    Index(tmp_path, url=url, client=Offer(wheel("keras-3.5.0-py3-none-any.whl"))).releases()
    kept = [path.read_text() for path in (tmp_path / "index").iterdir()]
    assert kept
    assert not any("secret" in text for text in kept)


def test_offline_says_what_is_missing(tmp_path: Path) -> None:
    """Without it --offline could ask the index, or fail without saying what to do."""
    offer = Offer()
    with pytest.raises(NotCached, match=r"no usable listing of keras .* Run once without"):
        Index(tmp_path, client=offer, offline=True).releases()
    assert offer.asked == 0


@given(position=st.integers(0), byte=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_damaged_listing_is_never_believed(position: int, byte: int, cut: bool) -> None:
    """Without it one flipped digit in the cache could date a bug to the wrong release."""
    offer = Offer(wheel("keras-3.5.0-py3-none-any.whl"), wheel("keras-3.6.0-py3-none-any.whl"))
    with TemporaryDirectory() as folder:
        right = Index(Path(folder), client=offer).releases()
        (path,) = (Path(folder) / "index").iterdir()
        data = bytearray(path.read_bytes())
        at = position % len(data)
        data[at] = byte
        path.write_bytes(data[:at] if cut else data)
        assert Index(Path(folder), client=offer).releases() == right


def test_a_cache_that_cannot_be_written_still_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it a read-only cache would stop a listing that is at hand."""

    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr("keras_bisect.builds.index.write_atomic", refuse)
    told: list[str] = []
    offer = Offer(wheel("keras-3.5.0-py3-none-any.whl"))
    assert names(Index(tmp_path, client=offer, notice=told.append).releases()) == ["3.5.0"]
    assert "could not be kept" in told[0]


def world(tmp_path: Path) -> tuple[Index, Offer]:
    offer = Offer(
        *(wheel(f"keras-{v}-py3-none-any.whl") for v in ("3.4.1", "3.5.0", "3.6.0", "3.7.0")),
        *(
            wheel(f"keras_nightly-{v}-py3-none-any.whl")
            for v in ("3.4.1.dev2024071903", "3.4.1.dev2024072003", "3.4.1.dev2024072018")
        ),
    )
    return Index(tmp_path, client=offer), offer


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("3.5", "release", "3.5.0"),
        ("3.4.1.dev2024072003", "nightly", "3.4.1.dev2024072003"),
        ("nightly", "nightly", "3.4.1.dev2024072018"),
        ("nightly:2024-07-20", "nightly", "3.4.1.dev2024072018"),
        ("nightly:2024-07-19", "nightly", "3.4.1.dev2024071903"),
        ("git:v3.5.0", "commit", "git:v3.5.0"),
    ],
)
def test_words_mean_builds(tmp_path: Path, text: str, kind: str, name: str) -> None:
    """Without it --keras could take another build than the one that was named."""
    build = world(tmp_path)[0].resolve(parse_build(text))
    assert (build.kind, build.name) == (kind, name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3.99", r"release 3\.99\..*3\.6\.0, 3\.7\.0.*keras-repro builds"),
        ("3.5.1", r"3\.4\.1, 3\.5\.0, 3\.6\.0, 3\.7\.0"),
        ("3.5.0rc1", r"release 3\.5\.0rc1"),
        ("nightly:2024-07-21", r"2024-07-21 \(UTC\).*3\.4\.1\.dev2024072018"),
        ("3.4.1.dev2024072004", r"nightly.*dev2024072003, 3\.4\.1\.dev2024072018"),
        ("path:/no/such/folder", r"there is no such folder"),
    ],
)
def test_an_unknown_build_names_the_closest(tmp_path: Path, text: str, said: str) -> None:
    """Without it a person who mistypes a version is not told which ones there are."""
    with pytest.raises(UsageError, match=said):
        world(tmp_path)[0].resolve(parse_build(text))


def test_a_release_of_this_minute_is_found(tmp_path: Path) -> None:
    """Without it a release would not exist for an hour after it was made."""
    index, offer = world(tmp_path)
    index.releases()
    offer.wheels = (*offer.wheels, wheel("keras-3.8.0-py3-none-any.whl"))
    later = Index(tmp_path, client=offer)
    assert names(later.releases())[-1] == "3.7.0"
    assert later.resolve(parse_build("3.8.0")).name == "3.8.0"
    assert names(later.releases())[-1] == "3.8.0"


def test_a_folder_is_named_by_either_of_its_ends(tmp_path: Path) -> None:
    """Without it path: could put a folder on the path that holds no keras, or depend on the cwd."""
    (tmp_path / "keras").mkdir()
    with pytest.raises(UsageError, match="holds no keras/__init__"):
        world(tmp_path)[0].resolve(parse_build(f"path:{tmp_path}"))
    (tmp_path / "keras" / "__init__.py").touch()
    for path in (tmp_path, tmp_path / "keras"):
        build = world(tmp_path)[0].resolve(parse_build(f"path:{path}"))
        assert build.name == f"path:{tmp_path.resolve()}"


def test_the_index_is_chosen_as_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it a company's mirror, set for pip, could be passed by."""
    for name in ("KERAS_REPRO_INDEX_URL", "PIP_INDEX_URL", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(name, raising=False)
    assert index_url() == "https://pypi.org/simple/"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "mirror=https://uv.example/simple")
    assert index_url() == "https://uv.example/simple/"
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip.example/simple")
    assert index_url() == "https://pip.example/simple/"
    monkeypatch.setenv("KERAS_REPRO_INDEX_URL", "https://own.example/simple/")
    assert index_url() == "https://own.example/simple/"
    assert index_url("https://given.example/simple") == "https://given.example/simple/"


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    """Without it --help could wait for HTTP and validation libraries, or import keras."""
    heavy = "{'requests', 'pydantic', 'pypi_simple', 'filelock', 'keras', 'tensorflow'}"
    rooms = "keras_bisect.builds.index, keras_bisect.builds.store"
    code = f"import sys, {rooms}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.network
def test_the_real_index(real_cache: Path) -> None:
    """Without it nothing would notice that PyPI answers in another shape, or lists less."""
    index = Index(real_cache)
    releases, nightlies = index.releases(), index.nightlies()
    assert len(releases) >= 40
    assert releases[0].name == "3.0.0"
    assert len(nightlies) >= 900
    assert nightlies[0].name == "3.0.0.dev2023101616"
    made = [build.made for build in nightlies]
    assert None not in made
    assert made == sorted(made)  # type: ignore[type-var]
    near = index.resolve(parse_build("nightly:2024-07-20"))
    assert near.name == "3.4.1.dev2024072003"


def test_the_installed_keras_is_read_and_not_imported(tmp_path: Path) -> None:
    """Without it naming the installed Keras could import TensorFlow into the parent process."""
    code = (
        "import sys; from pathlib import Path; from keras_bisect.builds.index import Index\n"
        "from keras_bisect.builds.build import parse_build\n"
        "build = Index(Path(sys.argv[1]), offline=True).resolve(parse_build('installed'))\n"
        "assert 'keras' not in sys.modules; print(build.version)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == version("keras")
