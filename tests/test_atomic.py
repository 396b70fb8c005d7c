"""Without these, a result could be half a file, or take the place of a link or a device."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_bisect.atomic import write_atomic


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """Lost: a reader would see half of it, and a killed writer leave it so."""
    path = tmp_path / "new folder" / ("n" * 250)
    for text in ("old é", "new"):
        write_atomic(path, text)
        assert path.read_text("utf-8") == text
    path.parent.chmod(0o500)
    try:
        if os.geteuid():
            with pytest.raises(OSError):
                write_atomic(path, "newer")
    finally:
        path.parent.chmod(0o700)
    assert path.read_text() == "new" and list(path.parent.iterdir()) == [path]


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    """Lost: `--git-log log` would cut the link that somebody made, and write beside the file."""
    link, target = tmp_path / "link", tmp_path / "elsewhere" / "file"
    link.symlink_to(target)
    for text in ("made", "replaced"):
        write_atomic(link, text)
        assert link.is_symlink() and target.read_text() == text
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OSError):
        write_atomic(loop, "x")
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path, "x")


def test_a_pipe_and_a_device_are_written_to(tmp_path: Path) -> None:
    """Lost: as root, `--git-log /dev/null` would make a file of the device, for all programs."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        write_atomic(pipe, "through the pipe")
        assert reader.communicate()[0] == b"through the pipe"
    assert pipe.is_fifo()
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    write_atomic(link, "nowhere")
    assert link.is_symlink() and Path("/dev/null").is_char_device()


@pytest.mark.parametrize("name", ["/dev/stdout", "answer"])
def test_standard_output_keeps_what_was_said_before(tmp_path: Path, name: str) -> None:
    """Lost: `--git-log /dev/stdout > file` would leave the log, and not the answer."""
    code = (
        "import sys; from pathlib import Path; from keras_bisect.atomic import write_atomic\n"
        "print('the answer', flush=True); write_atomic(Path(sys.argv[1]), 'the log')"
    )
    with (tmp_path / "answer").open("wb") as file:
        subprocess.run([sys.executable, "-c", code, name], stdout=file, cwd=tmp_path, check=True)
    assert (tmp_path / "answer").read_text() == "the answer\nthe log"


def test_half_a_surrogate_pair_is_written(tmp_path: Path) -> None:
    """Lost: a name of a file that is no UTF-8 would cost the whole result."""
    write_atomic(tmp_path / "file", "a\udc80b")
    assert (tmp_path / "file").read_bytes() == b"a\\udc80b"
