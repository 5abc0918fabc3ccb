"""Traces of the historical NuNet DMS (2022 to 2025), whose package and command are called as ours.

It came as a .deb `nunet-dms` for one architecture; ours is for all. Until 0.4.157 its command was a
bash script beside a binary /usr/bin/nunet-dms, later one binary /usr/bin/nunet was both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.machine.kernelfile import is_there, one_line, read_bytes, read_text
from nunet_dms.provider.doctor.listeners import Listener, read_listeners

OUR_ARCHITECTURE = "all"
PROGRAMS = ("usr/bin/nunet", "usr/bin/nunet-dms")
UNITS = tuple(f"{folder}/systemd/system/nunet-dms.service" for folder in ("etc", "usr/lib", "lib"))
LEFTOVERS = ("etc/nunet/metadataV2.json", "etc/nunet/nunet.db", "etc/nunet/dms_config.json")
"""Its settings and its database."""
PORTS = frozenset({9000, 9999})
"""Its peers' port (TCP and UDP), and its own API's on 127.0.0.1."""

_PACKAGE = re.compile(r"^Package: nunet-dms\n(?:[^\n]+\n)*", re.MULTILINE)
_OLD_START = re.compile(r"^ExecStart=/usr/bin/nunet run\s*$", re.MULTILINE)
_BASH = re.compile(rb"#!\s*\S*(?:/bash|/env bash)\s")


@dataclass(frozen=True, slots=True)
class OldDmsFacts:
    """What is there of it: the package's version (or empty), files, and who has its ports."""

    package: str = ""
    programs: tuple[str, ...] = ()
    """Its programs and its unit, as absolute paths."""
    leftovers: tuple[str, ...] = ()
    """What an uninstalled one leaves: settings and data."""
    listeners: tuple[Listener, ...] = ()


def read_old_dms(root: Path = Path("/")) -> OldDmsFacts:
    """Return the traces of the historical DMS below `root`; raises nothing."""
    units = [name for name in UNITS if _OLD_START.search(read_text(root / name, 64 * 1024))]
    programs = [name for name in PROGRAMS if _is_old_program(root / name)]
    return OldDmsFacts(
        package=_old_package(root),
        programs=tuple(f"/{name}" for name in (*programs, *units[:1])),
        leftovers=tuple(f"/{name}" for name in LEFTOVERS if is_there(root / name)),
        listeners=read_listeners(PORTS, root),
    )


def _old_package(root: Path) -> str:
    """Return the version of an installed package of that name that is not ours (dpkg-query(1))."""
    stanza = _PACKAGE.search(read_text(root / "var/lib/dpkg/status"))
    fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", stanza[0], re.MULTILINE)) if stanza else {}
    is_installed = fields.get("Status", "").endswith(" installed")
    is_old = is_installed and fields.get("Architecture") != OUR_ARCHITECTURE
    return (one_line(fields.get("Version", "")) or "unknown") if is_old else ""


def _is_old_program(path: Path) -> bool:
    """Tell a compiled program and a bash script from ours, which Python runs."""
    head = read_bytes(path, 64)
    return head.startswith(b"\x7fELF") or _BASH.match(head) is not None
