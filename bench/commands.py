"""How long a command takes to start, against the bare interpreter importing Typer alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.figure import Figure, median_ms

TIMES = 15
NUNET = str(Path(sys.prefix, "bin", "nunet"))


def measure() -> list[Figure]:
    """Measure commands on a machine that is not onboarded; `capacity` asks the engine too."""
    bare = median_ms(lambda: _run(sys.executable, "-c", "import typer"), TIMES)
    return [
        Figure(f"nunet {' '.join(words)}", _median_ms(words), bare, "ms", target)
        for words, target in (
            (("--help",), "at most 2.5 x"),
            (("status", "--check"), "at most 2.5 x"),
            (("capacity",), "at most 500 ms"),
        )
    ]


def _median_ms(words: tuple[str, ...]) -> float:
    return median_ms(lambda: _run(NUNET, *words), TIMES)


def _run(*words: str) -> None:
    with tempfile.TemporaryDirectory() as home:
        subprocess.run(
            words, env={**os.environ, "NUNET_HOME": home}, capture_output=True, check=False
        )
