"""The firmware's table of what is in the machine: SMBIOS (DMTF DSP0134)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

PROCESSOR, END = 4, 127
"""Kinds of structure (DSP0134, 7)."""
HEADER_BYTES = 4
PROCESSOR_MIN_BYTES = 0x1A
"""Of a processor's structure: since version 2.0."""
SOCKET_POPULATED = 0x40
INVENTED_BY = frozenset({b"QEMU"})
"""Makers whose speeds are made up: QEMU writes 2000 MHz whatever the CPU is (hw/smbios)."""


def processor_speeds(table: bytes) -> tuple[int, ...]:
    """Return the speed in MHz that each socket started with, else its highest; 0 is unknown.

    `table` is /sys/firmware/dmi/tables/DMI: structures one after the other. Whatever follows one
    that breaks the format is left unread.
    """
    return tuple(
        _speed(body)
        for kind, body, strings in _structures(table)
        if kind == PROCESSOR
        and len(body) >= PROCESSOR_MIN_BYTES
        and body[0x18] & SOCKET_POPULATED
        and _string(strings, body[0x07]) not in INVENTED_BY
    )


def _speed(body: bytes) -> int:
    highest, current = struct.unpack_from("<HH", body, 0x14)
    return int(current or highest)


def _structures(table: bytes) -> Iterator[tuple[int, bytes, tuple[bytes, ...]]]:
    """Yield kind, formatted part and strings of each structure (DSP0134, 6.1)."""
    start = 0
    while start + HEADER_BYTES <= len(table):
        kind, length = table[start], table[start + 1]
        strings_end = table.find(b"\0\0", start + length)
        if length < HEADER_BYTES or strings_end < 0 or kind == END:
            return
        strings = table[start + length : strings_end].split(b"\0")
        yield kind, table[start : start + length], tuple(strings)
        start = strings_end + 2


def _string(strings: tuple[bytes, ...], number: int) -> bytes:
    """Return the string of a number that counts from 1; 0 is none."""
    return strings[number - 1].strip() if 1 <= number <= len(strings) else b""
