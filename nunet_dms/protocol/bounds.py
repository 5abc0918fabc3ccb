"""Bounds for the values that travel; `strict.decode` enforces them and names the bad key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

PATH_MAX_BYTES = 1024
"""Of a relative path in a manifest; well under PATH_MAX (4096) with our own prefix in front."""
PATH_PART_MAX_BYTES = 255
"""NAME_MAX of every Linux file system that we use."""
FILES_MAX = 10_000
"""Files in one manifest: about 1.5 MB of JSON."""


@dataclass(frozen=True, slots=True)
class Range:
    """An integer within bounds, both included."""

    low: int
    high: int

    def problem(self, value: object) -> str | None:
        """Say what is wrong with `value`, or None."""
        if isinstance(value, int) and self.low <= value <= self.high:
            return None
        return f"must be from {self.low} to {self.high}, not {value!r:.40}"


@dataclass(frozen=True, slots=True)
class Length:
    """A text, list or map within a length, both bounds included."""

    low: int
    high: int

    def problem(self, value: object) -> str | None:
        """Say what is wrong with `value`, or None."""
        if isinstance(value, (str, tuple, dict)) and self.low <= len(value) <= self.high:
            return None
        return f"must have {self.low} to {self.high} entries or characters"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text that matches a regular expression as a whole."""

    expression: str
    meaning: str

    def problem(self, value: object) -> str | None:
        """Say what is wrong with `value`, or None."""
        if isinstance(value, str) and re.fullmatch(self.expression, value):
            return None
        return f"must be {self.meaning}, not {value!r:.60}"


@dataclass(frozen=True, slots=True)
class RelativePath:
    """A path that stays below the folder it is joined to, on any POSIX file system."""

    def problem(self, value: object) -> str | None:
        """Say what is wrong with `value`, or None."""
        if not isinstance(value, str) or not value or len(value.encode()) > PATH_MAX_BYTES:
            return f"must be a relative path of 1 to {PATH_MAX_BYTES} bytes"
        if any(ord(char) < 32 or ord(char) == 127 for char in value):
            return "must not hold control characters"
        parts = value.split("/")
        if any(part in {"", ".", ".."} for part in parts):
            return f"must be a relative path without '.', '..' or '//', not {value!r:.60}"
        if any(len(part.encode()) > PATH_PART_MAX_BYTES for part in parts):
            return f"must have parts of at most {PATH_PART_MAX_BYTES} bytes"
        return None


MAX_SAFE = 2**53 - 1
"""Largest integer that every JSON reader keeps exactly (RFC 8259, section 6)."""

Hex16 = Annotated[str, Pattern(r"[0-9a-f]{32}", "16 bytes as lower-case hex")]
Hex28 = Annotated[str, Pattern(r"[0-9a-f]{56}", "28 bytes as lower-case hex")]
Hex32 = Annotated[str, Pattern(r"[0-9a-f]{64}", "32 bytes as lower-case hex")]
Hex64 = Annotated[str, Pattern(r"[0-9a-f]{128}", "64 bytes as lower-case hex")]
HexBytes = Annotated[str, Pattern(r"([0-9a-f]{2}){1,32768}", "up to 32 KiB as lower-case hex")]
TokenName = Annotated[str, Pattern(r"([0-9a-f]{2}){0,32}", "a token name, up to 32 bytes of hex")]
AddressText = Annotated[str, Pattern(r"addr(_test)?1[0-9a-z]{20,200}", "a Cardano address")]
Amount = Annotated[int, Range(0, MAX_SAFE)]
PositiveAmount = Annotated[int, Range(1, MAX_SAFE)]
UnixSeconds = Annotated[int, Range(0, 2**40)]
UnixMillis = Annotated[int, Range(0, 2**50)]
Slot = Annotated[int, Range(0, 2**40)]
CpuMhz = Annotated[int, Range(1, 10_000_000)]
RamMb = Annotated[int, Range(8, 100_000_000)]
DiskMb = Annotated[int, Range(1, 100_000_000)]
ShortText = Annotated[str, Length(0, 500)]
FilePath = Annotated[str, RelativePath()]
