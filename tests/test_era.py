"""Environments of another time: made by the real uv from an index whose past is known."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bisect.builds.index import PYPI
from keras_bisect.errors import HarnessError, NotCached, Unreachable, UsageError
from keras_bisect.outcome import Ended
from keras_bisect.probe import era as room
from keras_bisect.probe import uv
from keras_bisect.probe.era import KERAS, Era, Eras, EraUnavailable, last_day, needed_by
from keras_bisect.probe.prober import Prober, Script, Start, Task
from local_index import LocalIndex, Offered
from probing import fake_keras

Make = Callable[..., Eras]

OURS = f"{sys.version_info.major}.{sys.version_info.minor}"
NOVEMBER = datetime(2023, 11, 28, 13, 52, tzinfo=UTC)
SPRING = datetime(2024, 3, 20, tzinfo=UTC)


def at(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def wheel(name: str, version: str) -> bytes:
    """One that can be installed: a module that knows its version."""
    module = name.replace("-cpu", "").replace("-", "_")
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{module}/__init__.py": f"__version__ = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return buffer.getvalue()


def offer(
    index: LocalIndex, name: str, version: str, day: str | None, tag: str = "py3-none-any"
) -> None:
    filename = f"{name.replace('-', '_')}-{version}-{tag}.whl"
    index.offered.append(Offered(name, filename, wheel(name, version), at(day) if day else None))


@pytest.fixture
def past(local_index: LocalIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalIndex:
    """An index with a past, which uv asks at once and of which it remembers nothing."""
    for name in KERAS:
        offer(local_index, name, "1.0", "2023-01-01")
    offer(local_index, "optree", "0.10.0", "2023-11-07")
    for name in ("tensorflow", "tensorflow-cpu"):
        offer(local_index, name, "2.14.0", "2023-09-26")
        offer(local_index, name, "2.15.0", "2023-11-14")
        offer(local_index, name, "2.16.1", "2024-03-09")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    return local_index


@pytest.fixture
def eras(past: LocalIndex, tmp_path: Path) -> Make:
    def make(**options: object) -> Eras:
        given = {"backend": "tensorflow", "index_url": past.url, **options}
        return Eras(tmp_path / "cache", **given)  # type: ignore[arg-type]

    return make


def tensorflow(era: Era) -> str | None:
    return era.packages.get("tensorflow-cpu") or era.packages.get("tensorflow")


def printed(era: Era, code: str) -> str:
    command = [era.python, "-I", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def no_rest(cache: Path) -> bool:
    return not list((cache / "tmp").iterdir())


# -- days ------------------------------------------------------------------------


@given(
    st.datetimes(datetime(2023, 10, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.timedeltas(timedelta(0), timedelta(days=900)),
)
def test_an_era_begins_after_its_build(made: datetime, age: timedelta) -> None:
    """Without it a build could be probed with less than it needs, or with a future it breaks in."""
    now = made + age
    day = last_day(made, now)
    assert made.date() < day or day == now.date() > made.date()
    assert day - made.date() <= timedelta(days=31)
    assert day <= max(now.date(), made.date() + timedelta(days=1))
    if age > timedelta(days=31):
        assert day.day == 1


def test_a_year_needs_twelve_eras() -> None:
    """Without it a bisect would fill the disk with an environment a nightly."""
    now = at("2026-06-15")
    days = {last_day(at("2024-01-01") + timedelta(days=n), now) for n in range(366)}
    assert days == {date(2024 + month // 12, month % 12 + 1, 1) for month in range(1, 13)}


# -- what is in one --------------------------------------------------------------


def test_nothing_newer_than_its_day(eras: Make) -> None:
    """Without it a build would meet the same too new packages as in the present environment."""
    autumn, spring = eras().of(NOVEMBER), eras().of(SPRING)
    assert (autumn.day, spring.day) == (date(2023, 12, 1), date(2024, 4, 1))
    assert (tensorflow(autumn), tensorflow(spring)) == ("2.15.0", "2.16.1")
    assert set(KERAS) <= autumn.packages.keys()
    code = "import sys, tensorflow; print(tensorflow.__version__, '%d.%d' % sys.version_info[:2])"
    assert printed(autumn, code) == f"2.15.0 {OURS}"
    assert printed(spring, code) == f"2.16.1 {OURS}"


def test_equal_versions_are_one_identity(eras: Make) -> None:
    """Without it results could not be shared where nothing was uploaded in between, or would be
    shared where something was."""
    first, second, other = (eras().of(day) for day in (NOVEMBER, at("2024-01-15"), SPRING))
    assert first.day != second.day
    assert first.identity == second.identity != other.identity


def test_bytecode_is_made_with_it(eras: Make) -> None:
    """Without it each probe would compile all of TensorFlow anew: probes write no bytecode."""
    code = "import os, tensorflow; print(os.path.exists(tensorflow.__cached__))"
    assert printed(eras().of(NOVEMBER), code) == "True"


def test_before_optree_could_be_installed(eras: Make) -> None:
    """Without it the first nightlies, which do not need optree, would have no environment."""
    era = eras().of(at("2023-10-16"))
    assert tensorflow(era) == "2.14.0" and "optree" not in era.packages
    assert "optree" in eras().of(NOVEMBER).packages


def test_the_backend_is_in_it(eras: Make, past: LocalIndex) -> None:
    """Without it Keras would not find the backend that the user asked for."""
    offer(past, "jax", "0.4.20", "2023-11-06")
    era = eras(backend="jax").of(NOVEMBER)
    assert era.packages["jax"] == "0.4.20" and tensorflow(era) == "2.15.0"
    assert "jax" not in eras().of(NOVEMBER).packages


def test_what_a_script_imports_is_in_it(eras: Make, past: LocalIndex) -> None:
    """Without it a script that needs scipy could be judged in no environment but the present."""
    offer(past, "psutil", "5.9.6", "2023-10-15")
    text = (
        "import sys, keras\ndef late():\n    from psutil import Process\nimport nowhere_to_be_had"
    )
    assert needed_by(text) == ("psutil",)
    era = eras(script=text).of(NOVEMBER)
    assert era.packages["psutil"] == "5.9.6" and tensorflow(era) == "2.15.0"
    assert "psutil" not in eras(script="import keras, tree, h5py").of(NOVEMBER).packages
    # What nobody had then is no reason to have no environment.
    assert tensorflow(eras(script="import pytest").of(NOVEMBER)) == "2.15.0"


def test_settings_for_other_work_are_left_aside(
    eras: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it the same command would make other environments in another shell."""
    expected = eras().of(NOVEMBER)
    (tmp_path / "constraint").write_text("tensorflow<2.15\ntensorflow-cpu<2.15\n")
    for name, value in (
        ("UV_CONSTRAINT", str(tmp_path / "constraint")),
        ("UV_EXCLUDE_NEWER", "2023-10-01"),
        ("UV_PYTHON", "3.8"),
        ("VIRTUAL_ENV", str(tmp_path / "nowhere")),
        ("PYTHONPATH", str(tmp_path)),
    ):
        monkeypatch.setenv(name, value)
    other = Eras(tmp_path / "other", backend="tensorflow", index_url=eras()._index)
    assert other.of(NOVEMBER).identity == expected.identity


# -- once and for all ------------------------------------------------------------


def test_it_is_made_once(eras: Make, past: LocalIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it each command would make its environments anew, and --offline would have none."""
    told: list[str] = []
    era = eras(notice=told.append).of(NOVEMBER)
    assert len(told) == 1 and "2023-12-01" in told[0] and "TensorFlow 2.15.0" in told[0]
    past.requests.clear()
    monkeypatch.setattr(room, "find_uv", lambda: pytest.fail("uv was looked for"))
    assert eras(notice=told.append).of(at("2023-11-03")) == era
    assert eras(offline=True).of(NOVEMBER) == era
    assert not past.requests and len(told) == 1


def test_offline_without_one(eras: Make) -> None:
    """Without it --offline would fetch, or blame something else."""
    with pytest.raises(NotCached, match="2023-12-01"):
        eras(offline=True).of(NOVEMBER)


def break_interpreter(folder: Path) -> None:
    (folder / "bin" / "python").unlink()
    (folder / "bin" / "python").symlink_to(folder / "nowhere")


def break_manifest(folder: Path) -> None:
    manifest = folder / "era.json"
    manifest.write_bytes(manifest.read_bytes()[:-20])


@pytest.mark.parametrize("damage", [break_interpreter, break_manifest])
def test_a_damaged_one_is_made_again(
    eras: Make, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """Without it an interpreter that was upgraded away would end every later command."""
    era = eras().of(NOVEMBER)
    damage(Path(era.python).parents[1])
    assert eras().of(NOVEMBER) == era
    assert printed(era, "print(1)") == "1"
    assert no_rest(tmp_path / "cache")


MAKE = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from keras_bisect.probe import era

def notice(text):
    print("making", flush=True)
    {now}

made = datetime.fromisoformat(sys.argv[3])
{before}
eras = era.Eras(Path(sys.argv[1]), backend="tensorflow", index_url=sys.argv[2], notice=notice)
print(eras.of(made).identity)
"""


def maker(cache: Path, index: LocalIndex, now: str = "", before: str = "") -> subprocess.Popen[str]:
    code = MAKE.format(now=now or "pass", before=before)
    command = [sys.executable, "-c", code, str(cache), index.url, NOVEMBER.isoformat()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_makers_at_once(eras: Make, past: LocalIndex, tmp_path: Path) -> None:
    """Without it two bisects on one cache would write into the same environment."""
    makers = [maker(tmp_path / "cache", past) for _ in range(2)]
    said = [one.communicate(timeout=60)[0].split() for one in makers]
    identity = eras().of(NOVEMBER).identity
    assert sorted(said, key=len) == [[identity], ["making", identity]]
    assert no_rest(tmp_path / "cache")


def test_a_killed_maker_leaves_nothing_broken(eras: Make, past: LocalIndex, tmp_path: Path) -> None:
    """Without it half an environment could be taken for a whole one, or fill the disk for ever."""
    killed = maker(tmp_path / "cache", past, now="os.kill(os.getpid(), signal.SIGKILL)")
    assert killed.communicate(timeout=60)[0].split() == ["making"]
    assert not no_rest(tmp_path / "cache")
    era = eras().of(NOVEMBER)
    assert printed(era, "import tensorflow; print(tensorflow.__version__)") == "2.15.0"
    assert no_rest(tmp_path / "cache")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can do it")
def test_uv_ends_with_a_killed_maker(past: LocalIndex, tmp_path: Path) -> None:
    """Without it a killed command would go on to download half a gigabyte for nobody."""
    program, pid = tmp_path / "program", tmp_path / "pid"
    program.write_text(f"#!/bin/sh\necho $$ > {pid}.new\nmv {pid}.new {pid}\nexec sleep 99\n")
    program.chmod(0o755)
    started = maker(tmp_path / "cache", past, before=f"era.find_uv = lambda: {str(program)!r}")
    while not pid.exists():
        assert started.poll() is None
        time.sleep(0.02)
    process = psutil.Process(int(pid.read_text()))
    os.kill(started.pid, signal.SIGKILL)
    started.communicate(timeout=60)
    process.wait(timeout=60)


def test_a_failed_download_leaves_nothing(eras: Make, past: LocalIndex, tmp_path: Path) -> None:
    """Without it a broken connection would leave an environment without TensorFlow."""
    for item in past.offered:
        item.cut = 40 if item.filename.startswith("tensorflow") else 0
    with pytest.raises(HarnessError):
        eras().of(NOVEMBER)
    assert no_rest(tmp_path / "cache") and not (tmp_path / "cache" / "eras").exists()
    for item in past.offered:
        item.cut = 0
    assert tensorflow(eras().of(NOVEMBER)) == "2.15.0"


# -- what cannot be made ---------------------------------------------------------


@pytest.fixture
def pythons(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[str]], None]:
    """Chooses which Pythons are tried. There is no Python 3.99."""

    def choose(wanted: Sequence[str]) -> None:
        monkeypatch.setattr(room, "_pythons", lambda: iter(wanted))

    return choose


def test_the_pythons_that_are_tried() -> None:
    """Without it a machine with a new Python could not probe old builds at all."""
    tried = list(room._pythons())
    assert tried[0] == OURS and tried[-1] == "3.9"
    assert len(tried) == sys.version_info.minor - 8


def test_an_older_python_where_ours_had_no_wheels(
    eras: Make, past: LocalIndex, pythons: Callable[[Sequence[str]], None]
) -> None:
    """Without it Python 3.13 would make every build before 2025 untestable."""
    tag = f"cp{OURS.replace('.', '')}-none-any"
    past.offered = [item for item in past.offered if not item.project.startswith("tensorflow")]
    for name in ("tensorflow", "tensorflow-cpu"):
        offer(past, name, "2.15.0", "2023-11-14", tag)
    pythons(["3.99", OURS])
    told: list[str] = []
    assert tensorflow(eras(notice=told.append).of(NOVEMBER)) == "2.15.0"
    assert len(told) == 1 and f"Python {OURS}" in told[0]


def test_a_python_that_is_not_to_be_had(
    eras: Make, pythons: Callable[[Sequence[str]], None], tmp_path: Path
) -> None:
    """Without it one missing interpreter would hide those that are there."""
    pythons(["3.99", OURS])
    assert tensorflow(eras().of(NOVEMBER)) == "2.15.0"
    assert no_rest(tmp_path / "cache")


def test_a_time_without_tensorflow(
    eras: Make, past: LocalIndex, tmp_path: Path, pythons: Callable[[Sequence[str]], None]
) -> None:
    """Without it nobody would learn why a build is untestable, and each build would ask again."""
    pythons(["3.99", OURS])
    made = eras()
    with pytest.raises(
        EraUnavailable, match=rf"2023-04-01.*Python 3.99: .*Python {OURS}: .*tensor"
    ):
        made.of(at("2023-03-05"))
    assert no_rest(tmp_path / "cache")
    past.requests.clear()
    with pytest.raises(EraUnavailable, match="tensor"):
        made.of(at("2023-03-06"))
    assert not past.requests


def test_an_index_without_upload_times(eras: Make, past: LocalIndex) -> None:
    """Without it a mirror that does not say when would make every build untestable, unexplained."""
    for item in past.offered:
        item.uploaded = None
    with pytest.raises(UsageError, match=r"not told by http.* when files were uploaded"):
        eras().of(NOVEMBER)


def test_an_index_that_does_not_answer(past: LocalIndex, eras: Make) -> None:
    """Without it a broken connection would make builds untestable, or tell a password."""
    url = past.url.replace("http://", "http://me:secret@")
    past.stop()
    with pytest.raises(Unreachable, match="2023-12-01") as caught:
        eras(index_url=url).of(NOVEMBER)
    assert "secret" not in str(caught.value)


def test_a_cache_that_cannot_be_written(past: LocalIndex, tmp_path: Path) -> None:
    """Without it a full or foreign disk would end in a traceback."""
    (tmp_path / "cache").write_text("not a folder")
    with pytest.raises(HarnessError, match="KERAS_REPRO_CACHE"):
        Eras(tmp_path / "cache", backend="tensorflow", index_url=past.url).of(NOVEMBER)


def test_without_uv(monkeypatch: pytest.MonkeyPatch, eras: Make) -> None:
    """Without it nobody would know what --era needs."""
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="pip install uv"):
        eras().of(NOVEMBER)


def test_uv_on_the_path_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without it a uv that was installed by itself, as most are, would not be found."""
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "uv").write_text("#!/bin/sh\n")
    (tmp_path / "uv").chmod(0o755)
    assert uv.find_uv() == str(tmp_path / "uv")


@pytest.mark.parametrize(
    ("explicit", "variables", "told"),
    [
        (None, {}, ""),
        (None, {"PIP_INDEX_URL": "https://a.example/simple"}, "https://a.example/simple/"),
        (None, {"KERAS_REPRO_INDEX_URL": "https://b.example/"}, "https://b.example/"),
        # uv knows more of it than we do: how to log in.
        (None, {"UV_DEFAULT_INDEX": "mine=https://c.example/simple"}, ""),
        ("https://d.example", {"UV_DEFAULT_INDEX": "https://c.example/"}, "https://d.example/"),
        (PYPI, {"UV_DEFAULT_INDEX": "https://c.example/"}, PYPI),
    ],
)
def test_the_index_that_uv_is_told(
    monkeypatch: pytest.MonkeyPatch, explicit: str | None, variables: dict[str, str], told: str
) -> None:
    """Without it environments would come from elsewhere than the builds."""
    for name in ("KERAS_REPRO_INDEX_URL", "PIP_INDEX_URL", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert uv.told_index(explicit) == told


# -- probes ----------------------------------------------------------------------

SHOW = """
import keras, tensorflow, sys
try:
    import of_ours
except ImportError:
    print(tensorflow.__version__, sys.prefix, keras.__file__)
"""


@pytest.mark.parametrize("start", ["fork", "fresh"])
def test_a_probe_in_an_era(
    eras: Make, tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it a probe would run in the present environment, whatever was made for it."""
    (tmp_path / "of_ours.py").touch()
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    source = fake_keras(tmp_path / "build")
    era = eras().of(NOVEMBER)
    with Prober(start=start, jobs=1) as prober:
        outcome = prober.run(Script(SHOW), source, python=era.python)
    assert (outcome.ended, outcome.code) == (Ended.EXIT, 0), outcome.stderr
    prefix, keras = Path(era.python).parents[1], source.path / "keras" / "__init__.py"
    assert outcome.stdout.split() == ["2.15.0", str(prefix), str(keras)]
    assert outcome.loaded and (outcome.loaded.path, outcome.loaded.version) == (str(keras), "3.5.0")


def test_probes_share_nothing_across_eras(eras: Make, tmp_path: Path) -> None:
    """Without it tasks of one build would be run together, in the environment of the first."""
    source = fake_keras(tmp_path / "build")
    pythons = ["", eras().of(NOVEMBER).python, eras().of(SPRING).python]
    script = Script("import keras, sys; print(sys.prefix)")
    tasks = [Task(script, source, python=python) for python in pythons for _ in range(2)]
    with Prober(jobs=1) as prober:
        found = [(t.python, o.stdout.strip()) for t, o in prober.run_all(tasks, share=True)]
    prefixes = [str(Path(python).parents[1]) if python else sys.prefix for python in pythons]
    expected = [pair for pair in zip(pythons, prefixes, strict=True) for _ in range(2)]
    assert found == expected
