"""`nunet wallet new` and `import` at a real terminal: the words are seen once, secrets never."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli_world import Terminal

from nunet_dms.cardano import hd, mnemonic
from nunet_dms.paths import resolve
from nunet_dms.requester.wallet import KnownWallet, find_wallet

PASSPHRASE = "correct horse"
WIPED = "\x1b[H\x1b[2J\x1b[3J"
WORDS = "test walk nut penalty hip pave soap entry language right filter choice"


def wallet_at(home: Path, name: str) -> KnownWallet:
    """Return the wallet that was made in that home."""
    return find_wallet(resolve(environ={"NUNET_HOME": str(home)}).wallets_dir, name)


def numbered(screen: str) -> list[str]:
    """Return the numbered words that the terminal shows, in order."""
    found = {int(place): word for place, word in re.findall(r"\b(\d+) ([a-z]+)\b", screen)}
    return [found[place] for place in sorted(found)]


def begun(home: Path) -> tuple[Terminal, list[str]]:
    """Choose a passphrase for a new wallet, and read its words."""
    at = Terminal(home, "wallet", "new", "lab")
    at.answer("new passphrase of wallet lab: ", PASSPHRASE)
    at.answer("the same again: ", PASSPHRASE)
    at.answer("press Enter when they are on paper: ", "")
    return at, numbered(at.said)


def test_a_new_wallet_shows_its_words_once_wipes_them_and_asks_some_back(tmp_path: Path) -> None:
    at, words = begun(tmp_path)
    for _ in range(3):
        place = at.asked(r"word (\d+): ")
        at.type(words[int(place) - 1].upper())
    assert at.ended() == 0, at.said
    assert PASSPHRASE not in at.said
    shown, asked_back, after = at.said.split(WIPED)
    assert numbered(asked_back) == []
    assert words[0] in shown
    assert not set(words) & set(numbered(after))
    made = wallet_at(tmp_path, "lab").unlocked(0, lambda: PASSPHRASE)
    assert made.address.bech32 in after
    master = hd.master_key(mnemonic.entropy_of(" ".join(words)))
    assert made.key == master.at(hd.PAYMENT_PATH).key


def test_a_word_that_was_not_written_down_makes_nothing(tmp_path: Path) -> None:
    at, _ = begun(tmp_path)
    at.asked(r"word (\d+): ")
    at.type("zzz")
    assert at.ended() == 2
    assert "nothing was made" in at.said
    assert not list(tmp_path.rglob("*.wallet"))


def test_two_passphrases_that_differ_make_nothing(tmp_path: Path) -> None:
    at = Terminal(tmp_path, "wallet", "new", "lab")
    at.answer("new passphrase of wallet lab: ", PASSPHRASE)
    at.answer("the same again: ", "wrong horse")
    assert at.ended() == 2
    assert "are not the same" in at.said
    assert not list(tmp_path.rglob("*.wallet"))


@pytest.mark.parametrize(("words", "code"), [(WORDS, 0), (WORDS.replace("nut", "nuts"), 2)])
def test_words_are_imported_without_being_shown(tmp_path: Path, words: str, code: int) -> None:
    at = Terminal(tmp_path, "wallet", "import", "old")
    at.answer("the wallet's words, in order, spaces between: ", words)
    if code == 0:
        at.answer("new passphrase of wallet old: ", PASSPHRASE)
        at.answer("the same again: ", PASSPHRASE)
    assert at.ended() == code
    assert "penalty" not in at.said
    if code == 0:
        assert wallet_at(tmp_path, "old").address().bech32.endswith("8jjxtwq2ytjqp")


def test_a_passphrase_is_asked_for_where_a_wallet_signs(tmp_path: Path) -> None:
    """Of a plain key it is not: the same command goes on to say what is missing."""
    at = Terminal(tmp_path, "wallet", "import", "old")
    at.answer("the wallet's words, in order, spaces between: ", WORDS)
    at.answer("new passphrase of wallet old: ", PASSPHRASE)
    at.answer("the same again: ", PASSPHRASE)
    assert at.ended() == 0
    transfer = tmp_path / "pay.tx"
    transfer.write_text(UNSIGNED)
    at = Terminal(tmp_path, "wallet", "sign", "old", str(transfer))
    at.answer("Sign this? [y/N] ", "y")
    at.answer("passphrase of wallet old: ", "wrong horse")
    assert at.ended() == 7
    assert "the passphrase is wrong" in at.said
    assert not Path(f"{transfer}.signed").exists()


UNSIGNED = (
    "84a300818258201111111111111111111111111111111111111111111111111111111111111111000181825839"
    "00" + "22" * 56 + "1a000f4240021a00030d40a0f5f6"
)
