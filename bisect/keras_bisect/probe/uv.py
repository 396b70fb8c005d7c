"""uv, as it sees a package index on a day of the past: versions, environments, and its faults.

The one place that runs uv. Environments hold wheels only: nothing is built, so nothing of another
time runs on this machine before a probe does.

Public: `Uv`, `NoSolution`, `find_uv`, `interpreter`, `present`, `told_index`, `version_of`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from keras_bisect import web
from keras_bisect.builds.index import PYPI, index_url
from keras_bisect.errors import HarnessError, Unreachable, UsageError

__all__ = ["NoSolution", "Uv", "find_uv", "interpreter", "present", "told_index", "version_of"]

RESOLVE_SECONDS = 180.0
INSTALL_SECONDS = 1800.0

# What would change the meaning of an environment; where to fetch from is the user's affair.
ELSEWHERE = re.compile(
    r"VIRTUAL_ENV|CONDA_PREFIX|PYTHON(HOME|PATH|STARTUP)|UV_(BREAK_SYSTEM_PACKAGES|BUILD_CONSTRAINT"
    r"|COMPILE_BYTECODE|CONSTRAINT|EXCLUDE(_\w+)?|FORK_STRATEGY|NO_BINARY\w*|NO_BUILD\w*|OVERRIDE"
    r"|PRERELEASE|PROJECT\w*|PYTHON|PYTHON_PLATFORM|REQUIRE_HASHES|RESOLUTION|SYSTEM_PYTHON|TARGET"
    r"|TORCH_BACKEND|VENV_\w+|WORKING_DIR\w*)"
)
UNDATED = "missing an upload date"
NETWORK = re.compile(r"Request failed|Failed to (fetch|download)|error sending request|dns error")


class NoSolution(Exception):  # noqa: N818
    """What is needed was not to be had then: uv says why."""


class Uv:
    """uv on one day. Each method raises as `Eras.of` does, where no more is said."""

    def __init__(self, program: str, index: str, day: date) -> None:
        """Nothing is run yet.

        Args:
            program: see `find_uv`.
            index: see `told_index`.
            day: what was uploaded when it had begun (UTC), or later, does not exist.
        """
        self.day = day
        self._program = program
        self._index = index
        self._fetches_pythons = True
        self._newest = f"{day.isoformat()}T00:00:00Z"

    def resolve(self, python: str, requirements: Sequence[str]) -> dict[str, str]:
        """The versions of all that is needed, for a Python (`3.11`) that need not be there.

        Raises:
            NoSolution: that day, nobody could have installed this.
        """
        said = self._run(
            *("pip", "compile", "--no-header", "--no-annotate", "--only-binary", ":all:"),
            *("--python", sys.executable, "--python-version", python),
            *("--exclude-newer", self._newest, "-"),
            stdin="\n".join(requirements),
        )
        pins = (line.partition("==") for line in said.splitlines() if "==" in line)
        return {name.strip(): version.partition(";")[0].strip() for name, _, version in pins}

    def venv(self, python: str, folder: Path) -> None:
        """An empty environment; uv fetches that Python where it is missing and that is allowed.

        Raises:
            NoSolution: it is not to be had.
        """
        ours = python == present()
        wanted = sys.executable if ours else python
        try:
            self._run("venv", "--quiet", "--no-project", "--python", wanted, str(folder))
        except HarnessError as error:
            if ours:
                raise
            # The next one would be waited for as long.
            self._fetches_pythons = False
            raise NoSolution("it is not installed, and uv cannot fetch it") from error

    def install(self, folder: Path, packages: Mapping[str, str]) -> None:
        """Put what was resolved into an environment, with its bytecode: probes write none."""
        self._run(
            *("pip", "install", "--quiet", "--python", str(interpreter(folder)), "--no-deps"),
            *("--only-binary", ":all:", "--compile-bytecode", "--exclude-newer", self._newest),
            *("-r", "-"),
            stdin="\n".join(f"{name}=={version}" for name, version in packages.items()),
            seconds=INSTALL_SECONDS,
        )

    def _run(self, *arguments: str, stdin: str = "", seconds: float = RESOLVE_SECONDS) -> str:
        """What uv prints. Raises as `Eras.of`, and `NoSolution`."""
        environment = {n: v for n, v in os.environ.items() if not ELSEWHERE.fullmatch(n)}
        environment |= {"NO_COLOR": "1", "UV_NO_PROGRESS": "1"}
        if not self._fetches_pythons:
            environment["UV_PYTHON_DOWNLOADS"] = "never"
        if self._index:
            # Not an argument: the address may hold a password.
            environment["UV_DEFAULT_INDEX"] = self._index
        try:
            done = subprocess.run(
                [*_dying_with_us(), self._program, *arguments],
                input=stdin.encode(),
                capture_output=True,
                # Away from any project, whose settings would be uv's.
                cwd="/",
                env=environment,
                timeout=seconds,
                check=False,
            )
        except OSError as error:
            raise HarnessError(f"uv cannot be run: {error}.") from error
        except subprocess.TimeoutExpired:
            raise HarnessError(
                f"uv had not made the environment of {self.day} after {seconds:.0f} s. Try again "
                "on a faster connection, or leave --era out."
            ) from None
        if done.returncode == 0:
            return done.stdout.decode(errors="replace")
        raise self._fault(done.stderr.decode(errors="replace"), done.returncode)

    def _fault(self, said: str, code: int) -> Exception:
        shown = web.redact(self._index) if self._index else "the index"
        if UNDATED in said:
            return UsageError(
                f"uv was not told by {shown} when files were uploaded, so no environment of "
                "another time can be made from it. Set KERAS_REPRO_INDEX_URL to an index that "
                f"tells, such as {PYPI}, or leave --era out."
            )
        reason = _reason(said).replace(self._index, shown) if self._index else _reason(said)
        if code == 1 and "No solution" in said:
            return NoSolution(reason)
        if NETWORK.search(said) and "No space left" not in said:
            return Unreachable(
                f"Could not fetch an environment of {self.day} from {shown}: {reason} Check the "
                "connection, the proxy (HTTPS_PROXY) and the index (KERAS_REPRO_INDEX_URL)."
            )
        return HarnessError(f"uv could not make an environment of {self.day}: {reason}")


def present() -> str:
    """Our own Python, as uv is told of it: `3.11`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def interpreter(folder: Path) -> Path:
    """The Python of an environment."""
    return folder / "bin" / "python"


def version_of(folder: Path) -> str:
    """The version of an environment's Python, as it says itself: so it is known to run."""
    code = "import sys; print(sys.version.split()[0])"
    command = [str(interpreter(folder)), "-I", "-S", "-c", code]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise HarnessError(f"The Python of a new environment does not run: {error}") from error
    return done.stdout.strip()


def told_index(explicit: str | None) -> str:
    """The index that uv must be told of; "" where it finds the right one by itself.

    Its own settings know more than an address: names, several indexes, how to log in.
    """
    url = index_url(explicit)
    own = (os.environ.get("UV_DEFAULT_INDEX") or "").rpartition("=")[2].rstrip("/") + "/"
    return url if explicit or url not in (PYPI, own) else ""


def find_uv() -> str:
    """The program: of the Python package where that is installed, else on the PATH.

    Raises:
        UsageError: it is not there.
    """
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise UsageError(
            "Environments of another time (--era) need uv, and there is none. Install it: pip "
            "install uv"
        )
    return found


def _dying_with_us() -> list[str]:
    """What to start uv with, so that it ends when we are killed (elsewhere than on Linux: nothing).

    A uv that goes on alone would fill the disk for nobody.
    """
    if sys.platform != "linux":
        return []
    pr_set_pdeathsig = 1
    code = (
        f"import ctypes, os, sys; ctypes.CDLL(None).prctl({pr_set_pdeathsig}, 9); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-I", "-S", "-c", code]


def _reason(said: str) -> str:
    """What uv says, in a few lines: its hint, which names wheels and Pythons, else its error."""
    parts = [" ".join(p.split()) for p in re.split(r"^(?=hint:|error:|warning:)", said, flags=re.M)]
    hints = [part for part in parts if part.startswith("hint:")]
    errors = [part for part in parts if part.startswith("error:")]
    text = (hints or errors or parts)[-1]
    return re.sub(r"^(hint|error): ", "", text)[:500]
