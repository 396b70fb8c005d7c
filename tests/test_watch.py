"""What a script reads of the user's, and what it writes into its Keras."""

from __future__ import annotations

import py_compile
from pathlib import Path

import pytest

from keras_bisect.builds.store import Source
from keras_bisect.probe.prober import Script, Start
from probing import fake_keras, probe

pytestmark = pytest.mark.usefixtures("nothing_is_left")


CHECKS = """
from pathlib import Path
import helper
try:
    helper.check({})
except KeyError as error:
    raise ValueError(
        "no"
    ) from error
"""


def test_the_line_of_the_script_is_reported(build: Source, tmp_path: Path, start: Start) -> None:
    """Without it two assertions of one script without a message would be the same failure."""
    path = tmp_path / "repro.py"
    (tmp_path / "helper.py").write_text("\n\n\ndef check(x):\n    x['a']\n")
    path.write_text("import keras\n" + CHECKS)
    outcome = probe(Script.read(path), build, start)
    assert outcome.raised and (outcome.raised.type, outcome.raised.line) == ("ValueError", 8)
    path.write_text("import helper\ndef inner():\n    helper.check({})\n\ninner()")
    outcome = probe(Script.read(path), build, start)
    assert outcome.raised and (outcome.raised.type, outcome.raised.line) == ("KeyError", 3)


READS = """
import os, sys, json, helper
from pathlib import Path
here = Path(__file__).parent
(here / "data.bin").read_bytes()
open(str(here / "data.bin").encode(), "rb").close()
os.close(os.open(here / "more.txt", os.O_RDONLY))
os.listdir(here / "folder")
os.listdir("/usr"); open("/etc/hostname", "w+" if 0 else "r").close()
Path("mine.txt").write_text("x"); Path("mine.txt").read_text()
Path(os.environ["KERAS_HOME"], "keras.json").write_text("x")
out = here / "out.txt"
out.write_text("x"); out.read_text()
sys.modules["keras"].__spec__.loader.get_data(sys.modules["keras"].__file__)
from importlib import import_module
import_module("keras.late")
keras_opens_it_itself = "weights.h5"
try: (here / "missing").read_text()
except FileNotFoundError: pass
"""


def test_what_a_script_reads_of_the_user_is_reported(tmp_path: Path, start: Start) -> None:
    """Without it a kept outcome would outlive a change of the data or the module it came from."""
    build = fake_keras(tmp_path / "build", late="import json.tool")
    here = tmp_path / "here"
    (here / "folder").mkdir(parents=True)
    (here / "helper.py").write_text("import helper_too\n")
    (here / "helper_too.py").write_text("")
    for name in ("data.bin", "more.txt", "weights.h5", "never"):
        (here / name).write_text(name)
    (here / "repro.py").write_text("import keras\n" + READS)
    outcome = probe(Script.read(here / "repro.py"), build, start)
    assert outcome.code == 0, outcome.stderr
    expected = ["data.bin", "folder", "helper.py", "helper_too.py", "missing", "more.txt"]
    expected.append("weights.h5")
    assert outcome.read == tuple(str(here / name) for name in expected)
    assert (outcome.beyond, outcome.touched) == ("", False)


def test_bytecode_stands_for_its_source(build: Source, tmp_path: Path, start: Start) -> None:
    """Without it a module would be held against its bytecode, which a change of it leaves alone."""
    (tmp_path / "helper.py").write_text("VALUE = 3\n")
    py_compile.compile(str(tmp_path / "helper.py"))
    (tmp_path / "repro.py").write_text("import keras, helper\nprint(helper.VALUE)")
    outcome = probe(Script.read(tmp_path / "repro.py"), build, start)
    assert outcome.stdout == "3\n"
    assert outcome.read == (str(tmp_path / "helper.py"),)


def test_a_fork_of_a_script_is_watched_too(build: Source, tmp_path: Path, start: Start) -> None:
    """Without it what worker processes of a script read would not be known."""
    data = tmp_path / "data"
    data.write_text("x")
    text = f"import os\nif os.fork() == 0:\n    open({str(data)!r}).read()\n    os._exit(0)\n"
    text = text.replace(str(data), f"{tmp_path}/' + 'data") + "os.wait()"
    assert probe(text, build, start).read == (str(data),)


@pytest.mark.parametrize(
    ("text", "beyond"),
    [
        ("import subprocess, sys; subprocess.run([sys.executable, '-c', ''])", "another program"),
        ("import os; os.system('true'); os.system('true')", "another program"),
        ("import platform; platform.processor(); platform.uname()", ""),
        ("import socket\ntry: socket.create_connection(('127.0.0.1', 1))\nexcept OSError: pass",
         "the network"),
        ("import os\nfor n in range(300):\n    try: open(f'/nowhere/{n}')\n"
         "    except OSError: pass", "more than 200 files"),
        ("import os\ntry: open('/nowhere/' + 'x' * 3000)\nexcept OSError: pass", "cannot be told"),
        ("import multiprocessing as m\n"
         "if __name__ == '__main__':\n    p = m.get_context('spawn').Process(target=print)\n"
         "    p.start(); p.join()", "starts Python anew"),
    ],
)  # fmt: skip
def test_what_cannot_be_held_against_later_is_reported(
    build: Source, start: Start, text: str, beyond: str
) -> None:
    """Without it a download that failed once would be the verdict of that build for ever."""
    outcome = probe(text, build, start)
    assert beyond in outcome.beyond and bool(beyond) == bool(outcome.beyond)
    assert len(outcome.beyond) < 100


@pytest.mark.parametrize(
    "text",
    [
        "open(here / 'new.py', 'w').close()",
        "open(here / '__init__.py', 'a').close()",
        "os.open(here / '__init__.py', os.O_RDWR)",
        "os.remove(here / 'src' / '__init__.py')",
        "os.replace(here / '__init__.py', here / 'x')",
        "os.mkdir(str(here / 'folder').encode())",
        "import shutil; shutil.rmtree(here)",
        "os.chdir(here); open('new', 'x').close()",
        "import subprocess; subprocess.run(['touch', str(here / 'src' / 'new.py')])",
        "import subprocess; subprocess.run(['sh', '-c', f'echo >> {here}/src/__init__.py'])",
        "import subprocess; subprocess.run(['mkdir', str(here / 'folder')])",
    ],
)
def test_a_script_that_writes_into_its_keras_is_noticed(
    build: Source, start: Start, text: str
) -> None:
    """Without it every later probe of that build would see another Keras than it is said to be."""
    begin = "import os\nfrom pathlib import Path\nhere = Path(keras.__file__).parent\n"
    assert probe(begin + text, build, start).touched


def test_watching_breaks_nothing(build: Source, start: Start) -> None:
    """Without it a script that fails in a probe could pass by itself."""
    text = """
import os, sys, threading

class Odd:
    def __fspath__(self):
        open("inner", "w").close()
        raise TypeError("mine")

for wrong, error in ((Odd(), TypeError), (1.5, TypeError), ("a\\0b", ValueError), (77, OSError)):
    try:
        open(wrong)
    except error:
        continue
    raise AssertionError(wrong)

def deep(n):
    return open("/nowhere/x") if n == 0 else deep(n - 1)

for depth in range(900, 1000):
    try:
        deep(depth)
    except (RecursionError, FileNotFoundError):
        pass

os.rmdir(os.mkdir("gone") or "gone")
os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone")
try:
    open("relative")
except FileNotFoundError:
    pass
sys.path.insert(0, 5)
os.listdir("/"); os.scandir("/").close()
os.closerange(3, 50)
with open(os.environ["TMPDIR"] + "/mine", "w+") as mine:
    for number in range(3, 50):
        if number != mine.fileno():
            os.dup2(mine.fileno(), number)
    try:
        open("/nowhere/y")
    except FileNotFoundError:
        pass
    mine.seek(0)
    assert mine.read() == ""
threads = [threading.Thread(target=lambda: [open(os.devnull).close() for _ in range(300)])
           for _ in range(4)]
for one in threads: one.start()
for one in threads: one.join()
print("whole")
"""
    outcome = probe(text, build, start)
    assert (outcome.code, outcome.stdout) == (0, "whole\n"), outcome.stderr
