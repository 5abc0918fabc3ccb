"""Bech32 text (BIP-173), without its 90-character limit, which Cardano lifts (CIP-19)."""

from __future__ import annotations

from nunet_dms.errors import MalformedError

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
MAX_CHARS = 128
"""A base address on a test network has 108 characters; nothing we read is longer."""
CHECKSUM_CHARS = 6

_INDEX = {char: index for index, char in enumerate(ALPHABET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def encode(prefix: str, payload: bytes) -> str:
    """Return the bech32 text of the payload under a lower-case prefix."""
    digits = _regroup(payload, 8, 5, pad=True)
    state = _polymod([*_expand(prefix), *digits, 0, 0, 0, 0, 0, 0]) ^ 1
    checksum = [(state >> 5 * (5 - place)) & 31 for place in range(CHECKSUM_CHARS)]
    return prefix + "1" + "".join(ALPHABET[digit] for digit in [*digits, *checksum])


def decode(text: str) -> tuple[str, bytes]:
    """Return prefix and payload; raises MalformedError for anything BIP-173 forbids."""
    if len(text) > MAX_CHARS:
        raise MalformedError(f"cannot read bech32: longer than {MAX_CHARS} characters")
    if text not in (text.lower(), text.upper()):
        raise MalformedError("cannot read bech32: upper and lower case are mixed")
    prefix, one, tail = text.lower().rpartition("1")
    if not one or not prefix or len(tail) < CHECKSUM_CHARS or not prefix.isascii():
        raise MalformedError("cannot read bech32: no prefix, or too short for a checksum")
    try:
        digits = [_INDEX[char] for char in tail]
    except KeyError as error:
        raise MalformedError(f"cannot read bech32: {error.args[0]!r} is not in it") from error
    if _polymod([*_expand(prefix), *digits]) != 1:
        raise MalformedError("cannot read bech32: the checksum is wrong (a typing mistake?)")
    return prefix, bytes(_regroup(bytes(digits[:-CHECKSUM_CHARS]), 5, 8, pad=False))


def _polymod(digits: list[int]) -> int:
    state = 1
    for digit in digits:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ digit
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                state ^= generator
    return state


def _expand(prefix: str) -> list[int]:
    codes = [ord(char) for char in prefix]
    return [*(code >> 5 for code in codes), 0, *(code & 31 for code in codes)]


def _regroup(digits: bytes, width: int, new_width: int, *, pad: bool) -> list[int]:
    """Return the same bits in digits of another width; without pad, refuse left-over bits."""
    held, bits, regrouped = 0, 0, []
    for digit in digits:
        held, bits = held << width | digit, bits + width
        while bits >= new_width:
            bits -= new_width
            regrouped.append(held >> bits)
            held &= (1 << bits) - 1
    if pad and bits:
        regrouped.append(held << new_width - bits)
    elif not pad and (held or bits >= width):
        raise MalformedError("cannot read bech32: its padding is not zero")
    return regrouped
