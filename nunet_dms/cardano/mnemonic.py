"""The words that a wallet is written down as (BIP-39): words and entropy, each from the other.

Cardano makes its keys from the entropy itself (CIP-3), so that BIP-39's own seed is not needed.
The list is BIP-39's English one, byte for byte.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files

from nacl.utils import random as random_bytes

from nunet_dms.errors import UsageError

ENTROPY_BYTES = 32
"""Of a new wallet: 24 words."""
WORD_COUNTS = (12, 15, 18, 21, 24)
"""Of wallets that others made; a checksum bit goes with 32 bits of entropy."""
BITS_PER_WORD = 11
TEXT_MAX_CHARS = 512
"""24 words of at most 8 letters have 215; twice that leaves room for spaces and lines."""


def new_entropy() -> bytes:
    """Return the entropy of a new wallet, 256 bits from the operating system."""
    return random_bytes(ENTROPY_BYTES)


def words_of(entropy: bytes) -> tuple[str, ...]:
    """Return the words for 16, 20, 24, 28 or 32 bytes of entropy; raises UsageError for others."""
    count = len(entropy) * 8 * 33 // 32 // BITS_PER_WORD
    if len(entropy) % 4 or count not in WORD_COUNTS:
        raise UsageError(f"cannot write down {len(entropy)} bytes of entropy as words")
    check_bits = len(entropy) // 4
    number = int.from_bytes(entropy, "big") << check_bits | _checksum(entropy, check_bits)
    shifts = range((count - 1) * BITS_PER_WORD, -1, -BITS_PER_WORD)
    return tuple(word_list()[number >> shift & 2047] for shift in shifts)


def entropy_of(text: str) -> bytes:
    """Return the entropy of words as a person writes them, apart by spaces or lines.

    Raises UsageError for a wrong number of words, an unknown one or a wrong checksum; no message
    repeats a word.
    """
    words = text[: TEXT_MAX_CHARS + 1].lower().split()
    if len(text) > TEXT_MAX_CHARS or len(words) not in WORD_COUNTS:
        raise UsageError(f"cannot use {len(words)} words: a wallet has {_one_of(WORD_COUNTS)}")
    places = {word: place for place, word in enumerate(word_list())}
    number = 0
    for place, word in enumerate(words, 1):
        if word not in places:
            raise UsageError(f"cannot use these words: word {place} is none of BIP-39's English")
        number = number << BITS_PER_WORD | places[word]
    check_bits = len(words) * BITS_PER_WORD // 33
    entropy = (number >> check_bits).to_bytes(check_bits * 4, "big")
    if number & (1 << check_bits) - 1 != _checksum(entropy, check_bits):
        raise UsageError("cannot use these words: one is wrong, or two changed places")
    return entropy


@cache
def word_list() -> tuple[str, ...]:
    """Return the 2,048 English words of BIP-39, in order."""
    text = files("nunet_dms.cardano").joinpath("bip39_english.txt").read_text("ascii")
    return tuple(text.split())


def _checksum(entropy: bytes, bits: int) -> int:
    return sha256(entropy).digest()[0] >> 8 - bits


def _one_of(counts: tuple[int, ...]) -> str:
    return ", ".join(map(str, counts[:-1])) + f" or {counts[-1]}"
