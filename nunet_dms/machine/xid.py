"""XIDs: the faults that NVIDIA's driver writes into the kernel's log.

NVML tells of an XID only while one listens, so the log since the machine started is read, where
this user may (dmesg_restrict in sysctl kernel(5); root always may). Source: kernel documentation,
ABI/testing/dev-kmsg; NVIDIA, "XID errors".
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

LOG_MAX_BYTES = 16 * 1024 * 1024
"""Of the kernel's log; its buffer is 1 MiB or less unless somebody made it larger."""
RECORD_MAX_BYTES = 8192
"""Of one record: the kernel refuses a smaller buffer than the record, and has none larger."""

OFF_THE_BUS = 79
NEED_RESET = frozenset({48, 62, 64, 74, OFF_THE_BUS, 95, 119, 120, 140})
"""After which the GPU works again only when it was reset: uncorrectable memory errors (48, 64, 95,
140), a halted controller (62, 119, 120), broken links (74), off the bus (79). Most of the others
are the fault of the program that ran (13, 31, 43), or were contained (63, 94)."""

_XID = re.compile(
    rb"NVRM: Xid \((?:PCI:)?([0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2})[^)]*\): (\d{1,4})"
)


def read_xids(root: Path) -> Mapping[str, tuple[int, ...]] | None:
    """Return the numbers logged for each card (`0000:41:00`), from dev/kmsg below `root`.

    None if the log may not be read. Raises nothing.
    """
    log = _read_log(root / "dev/kmsg")
    if log is None:
        return None
    found: dict[str, set[int]] = {}
    for address, number in _XID.findall(log):
        domain, _, rest = address.decode("ascii").lower().partition(":")
        found.setdefault(f"{int(domain, 16):04x}:{rest}", set()).add(int(number))
    return {address: tuple(sorted(numbers)) for address, numbers in found.items()}


def _read_log(path: Path) -> bytes | None:
    """Return the records that are there now: each read gives one, and EAGAIN is the end."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    log = bytearray()
    try:
        while len(log) < LOG_MAX_BYTES:
            try:
                record = os.read(file, RECORD_MAX_BYTES)
            except BrokenPipeError:  # the record was overwritten; the next read goes on after it
                continue
            if not record:
                break
            log += record
    except OSError as error:
        return bytes(log) if isinstance(error, BlockingIOError) else None
    finally:
        os.close(file)
    return bytes(log)
