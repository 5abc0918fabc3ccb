"""Who asks: the user that this process runs as, and whether it may become root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nunet_dms.machine.kernelfile import one_line, read_text

ADMIN_GROUPS = ("sudo", "wheel", "admin")
"""Whose members may use sudo: Debian and Ubuntu, Fedora and Arch, Ubuntu before 12.04."""
FILE_MAX_BYTES = 1024 * 1024
"""Of /etc/passwd and /etc/group: thousands of users."""


@dataclass(frozen=True, slots=True)
class UserFacts:
    """User id, name (empty where /etc/passwd has none), and whether sudo is open (None: unknown).

    Users of a directory service are in neither file, and /etc/sudoers is for root to read.
    """

    uid: int
    name: str
    may_sudo: bool | None


def read_user(uid: int, root: Path = Path("/")) -> UserFacts:
    """Return what passwd(5) and group(5) below `root` say of a user; raises nothing."""
    if uid == 0:
        return UserFacts(0, "root", True)
    rows = _rows(root / "etc/passwd", 7)
    name, gid = next(((row[0], row[3]) for row in rows if row[2] == str(uid)), ("", ""))
    if not name:
        return UserFacts(uid, "", None)
    groups = _rows(root / "etc/group", 4)
    admin = [row for row in groups if row[0] in ADMIN_GROUPS]
    may_sudo = any(gid == row[2] or name in row[3].split(",") for row in admin)
    return UserFacts(uid, one_line(name), may_sudo)


def _rows(path: Path, columns: int) -> list[list[str]]:
    lines = (line.split(":") for line in read_text(path, FILE_MAX_BYTES).splitlines())
    return [row for row in lines if len(row) == columns]
