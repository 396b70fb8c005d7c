from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_bisect.builds.build import Build, parse_build
from keras_bisect.builds.bytecode import CACHE_TAG, is_sound, pyc_path
from keras_bisect.builds.content import is_source
from keras_bisect.builds.index import Index
from keras_bisect.builds.store import Source, Store, cache_folder
from keras_bisect.errors import HarnessError, NotCached, Unreachable, UsageError
from local_index import LocalIndex, tree, wheel_bytes
from probing import fake_keras

MODULE = "VALUE = {}\n\ndef raises():\n    raise KeyError('here')\n"


def assert_right(source: Source, files: dict[str, bytes]) -> None:
    """On disk is what the wheel held and sound bytecode of it, and nothing that can be imported."""
    found = {
        path.relative_to(source.path).as_posix(): path.read_bytes()
        for path in (source.path / "keras").rglob("*")
        if path.is_file()
    }
    for path, data in files.items():
        pyc = found.pop(pyc_path(path), None)
        if pyc is not None:
            assert is_sound(pyc, data), path
        assert found.pop(path) == data
    assert not found
    assert source.files.keys() == files.keys()
    assert not list(source.path.glob("*.py*"))


def in_process(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def python(source: Source, code: str) -> str:
    """What a Python that has the source first on its path prints."""
    code = f"import sys; sys.path.insert(0, {str(source.path)!r}); {code}"
    command = [sys.executable, "-B", "-S", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


GET = """
import sys
from pathlib import Path
from keras_bisect.builds.build import parse_build
from keras_bisect.builds.index import Index
from keras_bisect.builds.store import Store

cache, url, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
build = Index(cache, url=url).resolve(parse_build(name))
{before}
source = Store(cache).get(build)
print(source.content, len(source.files))
"""


# -- a build comes into the cache ----------------------------------------------


def test_a_build_is_fetched_once(tmp_path: Path, local_index: LocalIndex) -> None:
    """Without it each probe could download its build again, or run other files than the wheel's."""
    build = local_index.offer("3.5.0", tree("3.5.0", module=MODULE))
    source = Store(tmp_path).get(build)
    assert_right(source, tree("3.5.0", module=MODULE))
    assert source.version == "3.5.0"
    assert Store(tmp_path, offline=True).get(build) == source
    assert local_index.downloads() == 1


def test_tests_and_strangers_of_a_wheel_are_left_out(
    tmp_path: Path, local_index: LocalIndex
) -> None:
    """Without it a third of some wheels would be compiled for nothing, or shadow other packages."""
    files = tree("3.5.0")
    more = {
        "keras/src/layers/layer_test.py": b"import nothing_there",
        "benchmarks/layer.py": b"",
        "numpy.py": b"raise SystemExit('shadowed')",
    }
    source = Store(tmp_path).get(local_index.offer("3.5.0", files | more))
    assert_right(source, files)
    assert is_source("keras/src/testing/test_case.py")


def test_bytecode_is_used_whatever_the_writer_was_told(
    tmp_path: Path, local_index: LocalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it each probe would compile 500 files again, or show paths of another build."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    store = Store(tmp_path)
    first = store.get(local_index.offer("3.5.0", tree("3.5.0", module=MODULE)))
    second = store.get(local_index.offer("3.6.0", tree("3.6.0", other=MODULE)))
    code = (
        "import keras.src.{0} as m, traceback\n"
        "try: m.raises()\n"
        "except KeyError as e: print(m.__cached__, traceback.extract_tb(e.__traceback__)[-1][0])"
    )
    for source, stem in ((first, "module"), (second, "other")):
        path = source.path / "keras" / "src" / f"{stem}.py"
        cached = source.path / pyc_path(f"keras/src/{stem}.py")
        # Python would rather read the bytecode than look at the source: the loader shows it.
        assert python(source, f"exec({code.format(stem)!r})") == f"{cached} {path}"
        assert cached.stat().st_nlink == 3


def test_a_source_that_does_not_compile_is_kept_without_bytecode(
    tmp_path: Path, local_index: LocalIndex
) -> None:
    """Without it one broken file of one nightly would stop every bisect that crosses it."""
    files = tree("3.5.0", broken="def (:\n", null="\0", odd="x = '\\d'\n")
    build = local_index.offer("3.5.0", files)
    source = Store(tmp_path).get(build)
    assert_right(source, files)
    assert not (source.path / pyc_path("keras/src/broken.py")).exists()
    assert (source.path / pyc_path("keras/src/odd.py")).exists()
    assert Store(tmp_path, offline=True).get(build) == source


def test_equal_files_are_on_disk_once(tmp_path: Path, local_index: LocalIndex) -> None:
    """Without it 900 nightlies would take 900 times the space and the compiling."""
    one, two = (Store(tmp_path).get(local_index.offer(v)) for v in ("3.5.0", "3.6.0"))
    path = "keras/src/layers/layer.py"
    for name in (path, pyc_path(path)):
        assert (one.path / name).samefile(two.path / name)
    assert not (one.path / path).stat().st_mode & 0o222


def test_where_links_are_impossible_files_are_copied(
    tmp_path: Path, local_index: LocalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it a file system without links, or a file with too many, would be an error."""

    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    for version in ("3.5.0", "3.6.0"):
        build = local_index.offer(version)
        assert_right(Store(tmp_path).get(build), tree(version))
        assert_right(Store(tmp_path, offline=True).get(build), tree(version))


# -- what makes two builds the same --------------------------------------------


def test_the_version_is_no_part_of_the_content(tmp_path: Path, local_index: LocalIndex) -> None:
    """Without it no two nightlies would be the same, and equal ones would be probed twice."""
    store = Store(tmp_path)
    old = {"keras/__init__.py": b'import os\n__version__ = "3.1.0.dev2024031003"\n'}
    new = {"keras/__init__.py": b'import os\n__version__ = "3.1.0.dev2024031103"\n'}
    first = store.get(local_index.offer("3.1.0.dev2024031003", tree("3.1.0") | old))
    second = store.get(local_index.offer("3.1.0.dev2024031103", tree("3.1.1") | new))
    third = store.get(local_index.offer("3.1.0.dev2024031203", tree("3.1.1", module=MODULE) | new))
    assert first.content == second.content != third.content
    assert first.exact != second.exact
    # As `keras.__version__` will be, which is not what keras/src/version.py says here.
    assert first.version == "3.1.0.dev2024031003"


@given(
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["x = 1\n", "x = 2\n", ""])),
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["x = 1\n", "x = 2\n", ""])),
)
@settings(max_examples=15, deadline=None)
def test_content_is_equal_exactly_where_the_sources_are(
    one: dict[str, str], two: dict[str, str]
) -> None:
    """Without it two different builds could share a verdict."""
    with tempfile.TemporaryDirectory() as folder:
        contents = []
        for name, modules in (("one", one), ("two", two)):
            for path, data in tree("3.5.0", **modules).items():
                file = Path(folder, name, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            build = Build("folder", f"path:{Path(folder, name)}")
            contents.append(Store(Path(folder, "cache")).get(build).content)
        assert (contents[0] == contents[1]) == (one == two)
        assert not Path(folder, "cache").exists()


# -- what must never be unpacked -----------------------------------------------


def nothing_kept(cache: Path) -> bool:
    return not any(path.is_file() and path.suffix != ".lock" for path in cache.rglob("*"))


def test_a_wheel_with_another_hash_is_refused(tmp_path: Path, local_index: LocalIndex) -> None:
    """Without it a changed wheel could be run, and its verdict believed."""
    build = local_index.offer("3.5.0", sha256="0" * 64)
    with pytest.raises(HarnessError, match=r"expected sha256 0+, found .*Nothing was kept"):
        Store(tmp_path).get(build)
    assert nothing_kept(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["/etc/keras.py", "../keras.py", "keras/../../x.py", "keras\\..\\..\\x.py", "C:\\x.py"],
)
def test_hostile_names_are_refused(tmp_path: Path, local_index: LocalIndex, name: str) -> None:
    """Without it a wheel could write outside of the cache."""
    build = local_index.offer("3.5.0", tree("3.5.0") | {name: b""})
    with pytest.raises(HarnessError, match="names files outside of itself"):
        Store(tmp_path).get(build)
    assert nothing_kept(tmp_path)


@pytest.mark.parametrize("data", [b"", b"no zip at all", wheel_bytes({}), "cut", "flipped"])
def test_a_wheel_that_is_no_keras_is_refused(
    tmp_path: Path, local_index: LocalIndex, data: bytes | str
) -> None:
    """Without it a damaged archive could be half unpacked, or end in a traceback."""
    whole = bytearray(wheel_bytes(tree("3.5.0", module=MODULE * 50)))
    if data == "flipped":
        at = whole.index(b"keras/src/module.py") + 40
        whole[at] ^= 0xFF
    raw = bytes(whole) if data == "flipped" else bytes(whole[:-30]) if data == "cut" else data
    build = local_index.offer("3.5.0")
    assert isinstance(raw, bytes)
    with pytest.raises(HarnessError, match="cannot be used"):
        Store(tmp_path, fetch=lambda wheel: raw).get(build)
    assert nothing_kept(tmp_path)


def test_a_download_that_breaks_off_is_refused(tmp_path: Path, local_index: LocalIndex) -> None:
    """Without it half a wheel could be unpacked, or a broken connection be a traceback."""
    build = local_index.offer("3.5.0", cut=50)
    with pytest.raises(Unreachable, match=r"Could not fetch keras-3\.5\.0"):
        Store(tmp_path).get(build)
    assert nothing_kept(tmp_path)


def test_a_server_that_is_away_is_one_clear_error(tmp_path: Path, local_index: LocalIndex) -> None:
    """Without it a refused connection would be told as a traceback, or as a verdict."""
    build = local_index.offer("3.5.0")
    local_index.stop()
    with pytest.raises(Unreachable, match="--offline"):
        Store(tmp_path).get(build)


def test_offline_says_what_is_missing(tmp_path: Path, local_index: LocalIndex) -> None:
    """Without it --offline could fetch, or fail without saying what to do."""
    build = local_index.offer("3.5.0")
    with pytest.raises(NotCached, match=r"Keras 3\.5\.0 is not in .*Run once without --offline"):
        Store(tmp_path, offline=True).get(build)
    assert local_index.downloads() == 0
    assert not list(tmp_path.iterdir())


# -- damage --------------------------------------------------------------------

FILES = {
    "3.5.0": tree("3.5.0", module=MODULE.format(1)),
    "3.6.0": tree("3.6.0", module=MODULE.format(2)),
}


def garbage(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"\0garbage" * 9)


def truncated(path: Path) -> None:
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size // 2)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def removed(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"VALUE = 'another'\n")


def joined(path: Path) -> None:
    (path.parent / "extra.py").write_text("raise SystemExit('extra')")


def joined_by_bytecode(path: Path) -> None:
    (path.parent / "extra.pyc").write_bytes(b"garbage")


def touched(path: Path) -> None:
    os.utime(path, ns=(1, 1))


HARMS = (garbage, truncated, flipped, removed, replaced, joined, joined_by_bytecode, touched)


@given(
    st.lists(st.tuples(st.integers(0), st.sampled_from(HARMS)), min_size=1, max_size=4),
    st.permutations(["3.5.0", "3.6.0"]),
)
@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_damage_ever_reaches_a_probe(
    local_index: LocalIndex, harms: list[tuple[int, object]], order: list[str]
) -> None:
    """Without it a damaged cache (any file of it) could give a verdict about code nobody wrote."""
    local_index.offered.clear()
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        for version, content in FILES.items():
            local_index.offer(version, content)
        index = Index(cache, url=local_index.url)
        builds = {build.name: build for build in index.releases()}
        for version in order:
            Store(cache).get(builds[version])
        for position, harm in harms:
            files = sorted(path for path in cache.rglob("*") if path.is_file())
            if files:
                harm(files[position % len(files)])  # type: ignore[operator]
        again = {build.name: build for build in Index(cache, url=local_index.url).releases()}
        assert again == builds
        for version in order:
            assert_right(Store(cache).get(builds[version]), FILES[version])
            # Repaired for good: nothing is missing now.
            assert_right(Store(cache, offline=True).get(builds[version]), FILES[version])
        assert not list((cache / "tmp").iterdir())


def test_a_file_written_through_one_build_is_noticed_in_the_other(
    tmp_path: Path, local_index: LocalIndex
) -> None:
    """Without it shared files would carry an edit in one build into all others, unseen."""
    one, two = (local_index.offer(v) for v in ("3.5.0", "3.6.0"))
    store = Store(tmp_path)
    first = store.get(one)
    store.get(two)
    flipped(first.path / "keras/src/layers/layer.py")
    assert_right(store.get(two), tree("3.6.0"))
    # The pool is right again by now, so the other one needs no network.
    local_index.stop()
    assert_right(store.get(one), tree("3.5.0"))


@given(st.lists(st.tuples(st.integers(0), st.sampled_from(HARMS)), min_size=1, max_size=4))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_what_was_right_once_is_not_believed_for_ever(
    local_index: LocalIndex, harms: list[tuple[int, object]]
) -> None:
    """Without it what a store remembers of shared files would let damage into its next build."""
    local_index.offered.clear()
    builds = [local_index.offer(version, content) for version, content in FILES.items()]
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        store = Store(cache)
        store.get(builds[0])
        files = sorted(path for path in cache.rglob("*") if path.is_file())
        for position, harm in harms:
            if (path := files[position % len(files)]).exists():
                harm(path)  # type: ignore[operator]
        for build in reversed(builds):
            assert_right(store.get(build), FILES[build.name])
        assert not list((cache / "tmp").iterdir())


def test_offline_damage_is_told(tmp_path: Path, local_index: LocalIndex) -> None:
    """Without it --offline on a damaged cache could run what is there."""
    build = local_index.offer("3.5.0")
    flipped(Store(tmp_path).get(build).path / "keras/src/layers/layer.py")
    with pytest.raises(NotCached, match=r"3\.5\.0 is damaged in .*without --offline"):
        Store(tmp_path, offline=True).get(build)


def test_a_copied_cache_is_still_good(tmp_path: Path, local_index: LocalIndex) -> None:
    """Without it a cache that a CI service saved and restored would be fetched again."""
    build = local_index.offer("3.5.0")
    Store(tmp_path / "old").get(build)
    shutil.copytree(tmp_path / "old", tmp_path / "new", copy_function=shutil.copyfile)
    assert_right(Store(tmp_path / "new", offline=True).get(build), tree("3.5.0"))
    assert local_index.downloads() == 1


def test_bytecode_of_another_python_is_added(
    tmp_path: Path, local_index: LocalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it a cache filled by one Python would be slow, or wrong, for the next."""
    build = local_index.offer("3.5.0")
    store = Store(tmp_path)
    monkeypatch.setattr("keras_bisect.builds.bytecode.CACHE_TAG", "other-1")
    monkeypatch.setattr("keras_bisect.builds.manifest.CACHE_TAG", "other-1")
    monkeypatch.setattr("keras_bisect.builds.manifest.RECORD", "bytecode-other-1.json")
    foreign = {path.name for path in store.get(build).path.rglob("*.pyc")}
    monkeypatch.undo()
    both = {path.name for path in store.get(build).path.rglob("*.pyc")}
    assert foreign < both
    assert any(name.endswith(f".{CACHE_TAG}.pyc") for name in both - foreign)
    assert local_index.downloads() == 1


# -- several at once, and the end of one ---------------------------------------


def test_two_processes_at_once(tmp_path: Path, local_index: LocalIndex) -> None:
    """Without it two hunts could unpack over each other, or fetch everything twice."""
    local_index.offer("3.5.0", tree("3.5.0", **{f"m{i}": f"x = {i}\n" for i in range(100)}))
    Index(tmp_path, url=local_index.url).releases()
    code = GET.format(before="sys.stdin.readline()")
    command = [sys.executable, "-c", code, str(tmp_path), local_index.url, "3.5.0"]
    pipe = subprocess.PIPE
    both = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(2)
    ]
    for process in both:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in both]
    assert answers[0] == answers[1]
    assert answers[0][0].endswith(" 105\n"), answers
    assert local_index.downloads() == 1


def test_threads_share_one_store(tmp_path: Path, local_index: LocalIndex) -> None:
    """Without it prefetching builds from threads could mix them up or dead-lock."""
    builds = [local_index.offer(f"3.{minor}.0") for minor in range(8)]
    store = Store(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        sources = list(pool.map(store.get, builds * 3))
    for build, source in zip(builds * 3, sources, strict=True):
        assert source.build == build
        assert_right(source, tree(build.name))
    assert local_index.downloads() == 8


def test_scratch_folders_go_with_their_owner(tmp_path: Path) -> None:
    """Without it each killed bisect would leave a Keras, and a lock, in the cache for ever."""
    source = fake_keras(tmp_path / "folder")
    cache = tmp_path / "cache"
    text = "import os, pathlib; from keras_bisect.builds.workplace import Workplace\n"
    text += f"Workplace(pathlib.Path({str(cache)!r})).scratch(); os._exit(0)"
    subprocess.run([sys.executable, "-c", text], check=True)
    (cache / "locks" / "scratch-0.lock").touch()
    assert list((cache / "tmp").iterdir()) and len(list((cache / "locks").iterdir())) == 2
    with Store(cache) as store:
        assert not list((cache / "tmp").iterdir()) and not list((cache / "locks").iterdir())
        overlay = store.overlay(source, source, ())
        with Store(cache):
            # Its owner lives.
            assert overlay.path.exists()


def test_a_killed_run_leaves_nothing_in_the_way(tmp_path: Path, local_index: LocalIndex) -> None:
    """Without it `kill -9` could leave half a build that is believed, or rubbish for ever."""
    build = local_index.offer("3.5.0")
    other = local_index.offer("3.6.0")
    die = "Path.rename = lambda *_: __import__('os').kill(__import__('os').getpid(), 9)"
    process = in_process(GET.format(before=die), tmp_path, local_index.url, "3.5.0")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert list((tmp_path / "tmp").iterdir())
    assert not (tmp_path / "builds").exists() or not list((tmp_path / "builds").iterdir())
    # Whoever comes next cleans up, because nobody holds the lock.
    with Store(tmp_path) as store:
        assert not list((tmp_path / "tmp").iterdir())
        store.get(other)
    assert_right(Store(tmp_path).get(build), tree("3.5.0"))


def test_what_another_process_is_making_is_left_alone(
    tmp_path: Path, local_index: LocalIndex
) -> None:
    """Without it cleaning up could remove a folder that another run is about to finish."""
    local_index.offer("3.5.0")
    wait = "Path.rename = lambda *_: (print('here', flush=True), __import__('time').sleep(60))"
    process = in_process(GET.format(before=wait), tmp_path, local_index.url, "3.5.0")
    try:
        assert process.stdout
        assert process.stdout.readline() == "here\n"
        Store(tmp_path).get(local_index.offer("3.6.0"))
        assert len(list((tmp_path / "tmp").iterdir())) == 1
    finally:
        process.kill()
        process.communicate()


# -- a cache that cannot be written --------------------------------------------


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of this machine can reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
    shutil.rmtree(folder)


UNPRIVILEGED = """
import os
import filelock, requests, pypi_simple, pydantic
Index(cache, url=url).resolve(parse_build(name))
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
assert not os.access(cache, os.W_OK)
"""


def read_only(cache: Path, index: LocalIndex, name: str, then: str = "") -> tuple[str, str]:
    """What getting a build prints for a user who may only read the cache."""
    subprocess.run(["chmod", "-R", "a-w,a+rX", str(cache)], check=True)
    process = in_process(GET.format(before=UNPRIVILEGED) + then, cache, index.url, name)
    return process.communicate(timeout=60)


def test_a_read_only_cache_serves_what_it_holds(open_folder: Path, local_index: LocalIndex) -> None:
    """Without it a shared cache (an image, another user's) could not be used at all."""
    build = local_index.offer("3.5.0")
    Index(open_folder, url=local_index.url).releases()
    source = Store(open_folder).get(build)
    assert read_only(open_folder, local_index, "3.5.0") == (f"{source.content} 5\n", "")
    # Times that differ, as in a copied cache, are settled by reading the files.
    os.utime(source.path / "keras/__init__.py", ns=(1, 1))
    assert read_only(open_folder, local_index, "3.5.0") == (f"{source.content} 5\n", "")


OVERLAY = """
other = Index(cache, url=url).resolve(parse_build("3.6.0"))
with Store(cache) as store:
    mixed = store.overlay(source, store.get(other), ["keras/src/version.py"])
    print(mixed.version, len(list(mixed.path.rglob("*.pyc"))))
print(mixed.path.exists())
"""


def test_a_read_only_cache_can_be_narrowed_to_files(
    open_folder: Path, local_index: LocalIndex
) -> None:
    """Without it the last step of a bisect would fail where the cache cannot be written."""
    for version in ("3.5.0", "3.6.0"):
        Store(open_folder).get(local_index.offer(version))
    Index(open_folder, url=local_index.url).releases()
    # Nothing can be shared from here on, not even what has to be compiled.
    shutil.rmtree(open_folder / "bytecode")
    out, error = read_only(open_folder, local_index, "3.5.0", OVERLAY)
    assert out.splitlines()[1:] == ["3.6.0 5", "False"], error


def test_a_read_only_cache_says_what_it_cannot_do(
    open_folder: Path, local_index: LocalIndex
) -> None:
    """Without it a missing or damaged build there would be a traceback, or be run."""
    build = local_index.offer("3.5.0")
    local_index.offer("3.6.0")
    Index(open_folder, url=local_index.url).releases()
    source = Store(open_folder).get(build)
    said = f"The cache folder {open_folder} cannot be written"
    assert said in read_only(open_folder, local_index, "3.6.0")[1]
    for path in ("keras/src/layers/layer.py", pyc_path("keras/src/layers/layer.py")):
        flipped(source.path / path)
        error = read_only(open_folder, local_index, "3.5.0")[1]
        assert said in error
        assert "KERAS_REPRO_CACHE" in error


def test_a_cache_that_is_a_file_is_told(tmp_path: Path, local_index: LocalIndex) -> None:
    """Without it a wrong KERAS_REPRO_CACHE would be a traceback."""
    (tmp_path / "cache").touch()
    with pytest.raises(HarnessError, match=r"cache folder .*KERAS_REPRO_CACHE"):
        Store(tmp_path / "cache").get(local_index.offer("3.5.0"))


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without it the remedy that every message names would not work."""
    monkeypatch.setenv("KERAS_REPRO_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("KERAS_REPRO_CACHE")
    assert cache_folder().name == "keras-repro"


def test_builds_that_are_unpacked_at_once_share_their_files(
    tmp_path: Path, local_index: LocalIndex
) -> None:
    """Without it builds that are fetched ahead, in threads, would each hold files of their own."""
    modules = {f"module{n}": f"x = {n}\n" for n in range(40)}
    builds = [local_index.offer(f"3.{n}.0", tree("3.0.0", **modules)) for n in range(8)]
    store = Store(tmp_path)
    with ThreadPoolExecutor(len(builds)) as pool:
        first, *others = pool.map(store.get, builds)
    for source in others:
        for path in (*source.files, *map(pyc_path, source.files)):
            assert (source.path / path).samefile(first.path / path), path


# -- trees that are made from others -------------------------------------------


def test_an_overlay_is_the_base_with_some_files_of_the_other(
    tmp_path: Path, local_index: LocalIndex
) -> None:
    """Without it a bisect over files could blame the wrong file."""
    before = tree("3.5.0", both="x = 1\n", gone="x = 1\n", same="x = 1\n")
    after = tree("3.6.0", both="x = 2\n", new="x = 2\n", same="x = 1\n")
    named = ("keras/src/both.py", "keras/src/gone.py", "keras/src/new.py")
    with Store(tmp_path) as store:
        base = store.get(local_index.offer("3.5.0", before))
        other = store.get(local_index.offer("3.6.0", after))
        mixed = store.overlay(base, other, named)
        assert_right(mixed, tree("3.5.0", both="x = 2\n", new="x = 2\n", same="x = 1\n"))
        assert mixed.content == other.content
        assert mixed.version == "3.5.0"
        assert python(mixed, "import keras.src.both as m; print(m.x, m.__file__)") == (
            f"2 {mixed.path / 'keras/src/both.py'}"
        )
        assert store.overlay(base, other, reversed(named)) == mixed
        assert store.overlay(base, other, []).exact == base.exact
        assert store.overlay(base, other, {*base.files, *other.files}).exact == other.exact
        with pytest.raises(UsageError, match=r"nowhere\.py is neither in"):
            store.overlay(base, other, ["keras/src/nowhere.py"])
    assert not mixed.path.exists()
    assert not list((tmp_path / "tmp").iterdir())
    assert not list((tmp_path / "locks").glob("scratch*"))
    assert_right(base, before)


def test_an_overlay_shares_the_files_of_its_builds(tmp_path: Path, local_index: LocalIndex) -> None:
    """Without it each changed file of a bisect would cost the reading of a whole Keras."""
    with Store(tmp_path) as store:
        base = store.get(local_index.offer("3.5.0", tree("3.5.0", module="x = 1\n")))
        other = store.get(local_index.offer("3.6.0", tree("3.6.0", module="x = 2\n")))
        # Another Python, which may not write here, has no bytecode beside the sources.
        (base.path / pyc_path("keras/src/layers/layer.py")).unlink()
        mixed = store.overlay(base, other, ["keras/src/module.py"])
        assert_right(mixed, tree("3.5.0", module="x = 2\n"))
        for path in (*mixed.files, *map(pyc_path, mixed.files)):
            origin = other if "module" in path else base
            if "layer." not in path:
                assert (mixed.path / path).samefile(origin.path / path)
            assert (mixed.path / path).is_file()
        (base.path / "keras/src/layers/layer.py").unlink()
        with pytest.raises(HarnessError, match="changed while they were used"):
            store.overlay(base, other, [])


def test_an_overlay_of_folders_never_shares_their_files(tmp_path: Path) -> None:
    """Without it the files a person edits could become part of the cache."""
    sources = []
    for name, text in (("one", "x = 1\n"), ("two", "x = 2\n")):
        for path, data in tree("3.5.0", module=text).items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        build = Build("folder", f"path:{tmp_path / name}")
        sources.append(Store(tmp_path / "cache").get(build))
    with Store(tmp_path / "cache") as store:
        one, two = sources
        mixed = store.overlay(one, two, ["keras/src/module.py"])
        assert mixed.content == two.content
        for path in mixed.files:
            assert not any((mixed.path / path).samefile(s.path / path) for s in sources)


def test_a_folder_is_used_as_it_is(tmp_path: Path) -> None:
    """Without it a checkout could be run as it was a moment ago, or be written into."""
    for path, data in tree("3.9.9").items():
        file = tmp_path / "work" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    build = Index(tmp_path / "cache").resolve(parse_build(f"path:{tmp_path / 'work'}"))
    store = Store(tmp_path / "cache")
    source = store.get(build)
    assert (source.path, source.version) == (tmp_path / "work", "3.9.9")
    (tmp_path / "work/keras/src/layers/layer.py").write_text("x = 1\n")
    assert store.get(build).content != source.content
    assert not list((tmp_path / "work").rglob("__pycache__"))
    assert not (tmp_path / "cache").exists()


def test_a_commit_has_no_wheel(tmp_path: Path) -> None:
    """Without it a commit could be taken for a release of the same name."""
    with pytest.raises(UsageError, match=r"git:v3\.5\.0"):
        Store(tmp_path).get(Build("commit", "git:v3.5.0"))


# -- the real thing ------------------------------------------------------------


@pytest.mark.network
def test_real_wheels(real_cache: Path) -> None:
    """Without it nothing would show that real wheels unpack, share and check as promised."""
    index, store = Index(real_cache), Store(real_cache)

    def get(name: str) -> Source:
        return store.get(index.resolve(parse_build(name)))

    release = get("3.5.0")
    assert release.version == "3.5.0"
    assert len(release.files) == 516
    before, after = get("3.4.1.dev2024071903"), get("3.4.1.dev2024072003")
    paths = {*before.files, *after.files}
    changed = {path for path in paths if before.files.get(path) != after.files.get(path)}
    assert len(changed) == 10
    assert "keras/src/trainers/compile_utils.py" in changed
    shared = [p for p in before.files if (before.path / p).samefile(after.path / p)]
    assert set(shared) == set(before.files) - changed
    # Two nightlies of days on which nothing was committed.
    same = [get(name) for name in ("3.1.0.dev2024031003", "3.1.0.dev2024031103")]
    assert same[0].content == same[1].content
    assert same[0].exact != same[1].exact
    with store:
        mixed = store.overlay(before, after, changed)
        assert mixed.exact == after.exact
