"""Without this, dm-tree is tested by nobody: Keras itself takes optree wherever it can."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODULES = sorted(path.name for path in HERE.glob("test_*.py") if path.name != Path(__file__).name)


@pytest.mark.skipif("KERAS_REPRO_TREE" in os.environ, reason="one tree implementation was chosen")
@pytest.mark.parametrize("module", MODULES)
def test_the_same_holds_under_dm_tree(module: str) -> None:
    """Lost otherwise: every breach that only dm-tree shows."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / module)]
    environment = os.environ | {"KERAS_REPRO_TREE": "dm-tree"}
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=540, check=False
    )
    assert run.returncode == 0, f"KERAS_REPRO_TREE=dm-tree {' '.join(command)}\n{run.stdout}"
