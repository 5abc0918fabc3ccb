"""Whether systemd is installed, and whether it runs this system."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nunet_dms.machine.kernelfile import is_folder, is_there, read_text

WSL_CONF_MAX_BYTES = 64 * 1024
"""Of /etc/wsl.conf: a dozen lines."""


@dataclass(frozen=True, slots=True)
class SystemdFacts:
    """Is its program there; does it run this system; does /etc/wsl.conf ask WSL to start it.

    `wsl_enabled` is None where there is no such file: outside of WSL, or in one never set up.
    """

    present: bool
    running: bool
    wsl_enabled: bool | None = None


def read_systemd(root: Path = Path("/")) -> SystemdFacts:
    """Return what there is of systemd; it runs where its folder in /run is (sd_booted(3))."""
    programs = ("usr/lib/systemd/systemd", "lib/systemd/systemd")
    return SystemdFacts(
        present=any(is_there(root / program) for program in programs),
        running=is_folder(root / "run/systemd/system"),
        wsl_enabled=_wsl_enabled(read_text(root / "etc/wsl.conf", WSL_CONF_MAX_BYTES)),
    )


def _wsl_enabled(conf: str) -> bool | None:
    """Find `systemd=true` under `[boot]` (learn.microsoft.com/windows/wsl/wsl-config)."""
    section, enabled = "", False
    for line in conf.splitlines():
        text = line.strip().lower()
        if text.startswith("["):
            section = text
        key, _, value = text.partition("=")
        if section == "[boot]" and key.strip() == "systemd":
            enabled = value.strip().strip("\"'") == "true"
    return enabled if conf else None
