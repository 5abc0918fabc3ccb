"""Read a backend's JSON strictly: a wrong shape is an error that names backend and place.

`Part` is a value and where it stands; it never leaves the adapter that read it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from nunet_dms.errors import UnreachableError

ITEMS_MAX = 10_000
"""Of one list or object."""
TEXT_MAX_CHARS = 1024 * 1024
"""Of one text; a transaction's bytes in hex have up to 131,072."""
WHOLE_MAX = 2**63 - 1
QUANTITY_MAX = 2**64 - 1
"""Of one token in one output: the ledger's words have 64 bits."""

_DECIMAL = re.compile(r"[0-9]{1,20}")
_HEX = re.compile(r"([0-9a-fA-F]{2})*")


def parse(body: bytes, source: str) -> Part:
    """Return a body as JSON; `source` is what errors call it. Raises UnreachableError."""
    try:
        return Part(json.loads(body.decode("utf-8"), parse_constant=_refuse), source)
    except (ValueError, RecursionError) as error:
        raise wrong(source, "it is not JSON") from error


def wrong(where: str, why: str) -> UnreachableError:
    """Return the error for an answer that cannot be used."""
    return UnreachableError(
        f"cannot use the answer of {where}: {why}",
        hint="check [chain] url in oracle.toml: another program may be answering there",
    )


@dataclass(frozen=True, slots=True)
class Part:
    """A value of a backend's answer and its path, such as `koios tip[0].hash`."""

    value: object
    where: str

    def at(self, key: str) -> Part:
        """Return the value of a key that has to be there and not null."""
        found = self.find(key)
        if found is None:
            raise wrong(self.where, f"it has no {key!r}")
        return found

    def find(self, key: str) -> Part | None:
        """Return the value of a key, or None where it is absent or null."""
        value = self._object().get(key)
        return None if value is None else Part(value, f"{self.where}.{key}")

    def entries(self) -> tuple[tuple[str, Part], ...]:
        """Return the keys and values of an object."""
        return tuple(
            [(key, Part(value, f"{self.where}.{key:.80}")) for key, value in self._object().items()]
        )

    def items(self) -> tuple[Part, ...]:
        """Return the items of a list."""
        if not isinstance(self.value, list) or len(self.value) > ITEMS_MAX:
            raise wrong(self.where, f"it is no list of at most {ITEMS_MAX}")
        return tuple(
            [Part(item, f"{self.where}[{index}]") for index, item in enumerate(self.value)]
        )

    def only(self) -> Part:
        """Return the one item of a list of one."""
        items = self.items()
        if len(items) != 1:
            raise wrong(self.where, f"it has {len(items)} items instead of one")
        return items[0]

    def whole(self, low: int = 0, high: int = WHOLE_MAX) -> int:
        """Return a whole number, written as one."""
        if type(self.value) is not int or not low <= self.value <= high:
            raise wrong(self.where, f"{self.value!r:.40} is no whole number from {low} to {high}")
        return self.value

    def quantity(self) -> int:
        """Return a whole number written in decimal digits within quotes, or as one."""
        if isinstance(self.value, str) and _DECIMAL.fullmatch(self.value):
            return Part(int(self.value), self.where).whole(0, QUANTITY_MAX)
        return self.whole(0, QUANTITY_MAX)

    def flag(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            raise wrong(self.where, f"{self.value!r:.40} is neither true nor false")
        return self.value

    def text(self) -> str:
        """Return a text."""
        if not isinstance(self.value, str) or len(self.value) > TEXT_MAX_CHARS:
            raise wrong(self.where, f"{self.value!r:.40} is no text of a usual length")
        return self.value

    def octets(self, length: int | None = None) -> bytes:
        """Return bytes written in hex, of that length if one is given."""
        text = self.text()
        if not _HEX.fullmatch(text):
            raise wrong(self.where, f"{text!r:.40} is not hex")
        found = bytes.fromhex(text)
        if length is not None and len(found) != length:
            raise wrong(self.where, f"it has {len(found)} bytes instead of {length}")
        return found

    def _object(self) -> dict[str, object]:
        if not isinstance(self.value, dict) or len(self.value) > ITEMS_MAX:
            raise wrong(self.where, f"it is no object of at most {ITEMS_MAX} keys")
        return self.value


def _refuse(text: str) -> object:
    raise ValueError(f"{text} is no number")
