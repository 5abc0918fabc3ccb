"""Asks NVML through a process of its own, and waits for it within bounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nunet_dms.machine.gpu import Gpu, GpuHealth, GpuProcess, MigInstance

PROGRAM = "nunet_dms.machine.nvml"
ANSWER_MAX_S = 30.0
"""Without NVIDIA's persistence daemon each GPU needs up to 3 s to wake; a sick one never does."""
KILL_MAX_S = 1.0
"""From SIGKILL to the end; a process that hangs in the kernel does not end."""
COMPLAINT_MAX_CHARACTERS = 200
WSL_LIBRARIES = "usr/lib/wsl/lib"
"""Where Windows puts its driver's libraries; some distributions' linkers do not look there."""


@dataclass(frozen=True, slots=True)
class NvmlAnswer:
    """What NVML told, and how it went."""

    gpus: tuple[Gpu, ...] = ()
    count: int | None = None
    """How many GPUs NVML has; None if it was not opened."""
    error: int = 0
    """The code with which NVML refused, as in nvml.h; 0 if it did not."""
    error_text: str = ""
    failure: str = ""
    """Why the process gave no whole answer, apart from NVML's own refusals."""


_hanging: list[subprocess.Popen[bytes]] = []
"""The one that could not be killed: while it is there no other is started to hang beside it."""


def ask_nvml(root: Path) -> NvmlAnswer:
    """Return what NVML tells within ANSWER_MAX_S; raises nothing."""
    _hanging[:] = [process for process in _hanging if process.poll() is None]
    if _hanging:
        return NvmlAnswer(failure=f"process {_hanging[0].pid}, which asked it before, hangs")
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", PROGRAM],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(root),
            cwd="/",  # Python looks for modules in the folder it is started in
            start_new_session=True,  # Ctrl-C is for the one who asks
        )
    except OSError as error:
        return NvmlAnswer(failure=f"no process could be started to ask it: {error}")
    try:
        out, complaint = process.communicate(timeout=ANSWER_MAX_S)
    except subprocess.TimeoutExpired as late:
        _kill(process)
        return _read(late.output or b"", f"it did not answer within {ANSWER_MAX_S:g} s")
    except BaseException:  # Ctrl-C: do not leave the process behind
        _kill(process)
        raise
    return _read(out, _crash(process.returncode, complaint) if process.returncode else "")


def _environment(root: Path) -> dict[str, str]:
    """Ours, and where Windows has its driver's libraries."""
    places = (os.environ.get("LD_LIBRARY_PATH", ""), str(root / WSL_LIBRARIES))
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, places))}


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process, or remember it: to wait for one that hangs in the kernel is to hang too."""
    process.kill()
    try:
        process.wait(KILL_MAX_S)
    except subprocess.TimeoutExpired:
        _hanging.append(process)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _crash(code: int, complaint: bytes) -> str:
    """Say how the process died: by which signal, or with which last words."""
    if code < 0:
        return f"the process that asked it was ended by signal {-code}"
    lines = complaint.decode("utf-8", errors="replace").strip().splitlines()
    last = lines[-1][:COMPLAINT_MAX_CHARACTERS] if lines else f"exit code {code}"
    return f"the process that asked it failed: {last}"


def _read(out: bytes, failure: str) -> NvmlAnswer:
    """Put the lines together; the last one may be cut off, and a driver may chatter in between."""
    gpus: list[Gpu] = []
    head: dict[str, Any] = {}
    for line in out.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if not isinstance(told, dict):
            continue
        if "gpu" in told:
            gpus.append(_gpu(told["gpu"]))
        else:
            head.update(told)
    return NvmlAnswer(
        gpus=tuple(gpus),
        count=head.get("count"),
        error=head.get("error", 0),
        error_text=head.get("text", ""),
        failure=failure,
    )


def _gpu(told: dict[str, Any]) -> Gpu:
    """Return the value that our own program wrote."""
    processes = told["processes"]
    return Gpu(
        **{
            **told,
            "health": GpuHealth(told["health"]),
            "faults": tuple(told["faults"]),
            "mig": tuple(MigInstance(**each) for each in told["mig"]),
            "processes": None
            if processes is None
            else tuple(GpuProcess(**each) for each in processes),
        }
    )
