"""Which process listens on a port, from /proc."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from nunet_dms.machine.kernelfile import names_in, one_line, read_text

TABLE_MAX_BYTES = 8 * 1024 * 1024
"""Of /proc/net/tcp: 150 for each connection."""
TCP_LISTEN, UDP_UNCONNECTED = "0A", "07"
"""States of a socket that waits for others (include/net/tcp_states.h)."""

_SOCKET = re.compile(
    r"^\s*\d+: (?P<address>[0-9A-F]{8,32}):(?P<port>[0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4}"
    r" (?P<state>[0-9A-F]{2}) \S+ \S+ \S+\s+\d+\s+\d+ (?P<inode>\d+)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that waits for others, and the process that has it; None and empty: not to be seen.

    Whose sockets they are is shown to root, and to users for their own.
    """

    protocol: str
    port: int
    pid: int | None = None
    program: str = ""
    """The file that runs, without its folder: `python3.12` for a Python script."""


def read_listeners(ports: frozenset[int], root: Path = Path("/")) -> tuple[Listener, ...]:
    """Return who waits on these ports, by TCP or UDP; raises nothing."""
    found: dict[str, Listener] = {}
    for protocol, state in (("tcp", TCP_LISTEN), ("udp", UDP_UNCONNECTED)):
        for table in (protocol, f"{protocol}6"):
            for row in _SOCKET.finditer(read_text(root / "proc/net" / table, TABLE_MAX_BYTES)):
                port = int(row["port"], 16)
                if row["state"] == state and port in ports:
                    found[row["inode"]] = Listener(protocol, port)
    return _once(_with_processes(found, root) if found else [])


def _with_processes(found: dict[str, Listener], root: Path) -> list[Listener]:
    """Look through the open files of every process that we may look at."""
    for name in names_in(root / "proc"):
        if not name.isdigit():
            continue
        process = root / "proc" / name
        for number in names_in(process / "fd"):
            inode = _link(process / "fd" / number).removeprefix("socket:[").removesuffix("]")
            if inode in found:
                program = one_line(_link(process / "exe").rpartition("/")[2])
                found[inode] = replace(found[inode], pid=int(name), program=program)
    return list(found.values())


def _once(listeners: list[Listener]) -> tuple[Listener, ...]:
    """One socket for IPv4 and one for IPv6 are one listener to people."""
    return tuple(dict.fromkeys(listeners))


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except (OSError, ValueError):
        return ""
