"""The completions in the repository are the ones that `./dev docs` would write, and they parse."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[3] / "completions"
SHELLS = {"bash": "nunet.bash", "zsh": "_nunet", "fish": "nunet.fish"}


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """completions/generate.py, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("generate", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("shell", "name"), SHELLS.items())
def test_the_file_is_what_would_be_generated(generate: ModuleType, shell: str, name: str) -> None:
    assert (FOLDER / name).read_text() == generate.completion(shell)


@pytest.mark.parametrize(("shell", "name"), SHELLS.items())
def test_the_shell_can_read_the_file(shell: str, name: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([program, "-n", FOLDER / name], check=True, timeout=10)


def test_zsh_answers_the_first_tab(generate: ModuleType) -> None:
    assert generate.completion("zsh").endswith(
        '"$@"\nelse\n  compdef _nunet_completion nunet\nfi\n'
    )
