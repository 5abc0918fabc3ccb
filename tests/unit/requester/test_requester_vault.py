"""A wallet's file: opened by its passphrase alone, and only as it was made."""

from __future__ import annotations

import json
import pickle
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nunet_dms.cardano import hd, mnemonic
from nunet_dms.cardano.keys import PaymentKey, write_key_file
from nunet_dms.errors import ConfigError, MalformedError, NunetError, UsageError, VerificationError
from nunet_dms.protocol import strict
from nunet_dms.requester import vault
from nunet_dms.requester.vault import Cost, Secret, Vault, read_vault, seal, secret_of, unseal
from nunet_dms.requester.wallet import (
    KnownWallet,
    Wallet,
    check_free,
    find_wallet,
    new_wallet,
    wallet_names,
)

CHEAP = Cost(passes=1, memory_bytes=8192)
PASSPHRASE = "correct horse"
WORDS = "test walk nut penalty hip pave soap entry language right filter choice"
ADDRESS = (
    "addr_test1qz2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzer3jcu5d8ps7zex2k2xt3uqxgjqnnj83ws8lhrn"
    "648jjxtwq2ytjqp"
)
SECRETS = {
    "words": Secret("words", mnemonic.entropy_of(WORDS)),
    "key": secret_of(PaymentKey.from_seed(bytes([1]) * 32)),
    "extended key": secret_of(hd.master_key(bytes(32)).at(hd.PAYMENT_PATH).key),
}


def sealed(name: str = "words") -> Vault:
    """Return a wallet under the passphrase that costs next to nothing to try."""
    return seal(SECRETS[name], PASSPHRASE, CHEAP)


def made(folder: Path, name: str = "mine") -> KnownWallet:
    """Return a wallet of the words, written to a folder."""
    return new_wallet(folder, name, SECRETS["words"], PASSPHRASE, CHEAP)


def unlocked(known: KnownWallet, passphrase: str = PASSPHRASE) -> Wallet:
    """Return a wallet with its key."""
    return known.unlocked(0, lambda: passphrase)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_comes_back_by_its_passphrase(name: str) -> None:
    found = unseal(sealed(name), PASSPHRASE)
    assert (found.kind, found.content) == (SECRETS[name].kind, SECRETS[name].content)
    assert found.key.public.hex() == sealed(name).clear.public_key


def test_the_same_secret_is_never_sealed_alike() -> None:
    first, second = sealed(), sealed()
    assert first.clear.stretching.salt != second.clear.stretching.salt
    assert first.sealed != second.sealed


@pytest.mark.parametrize("wrong", ["", "correct hors", "Correct horse", "correct horse ", "x" * 99])
def test_another_passphrase_opens_nothing(wrong: str) -> None:
    with pytest.raises(VerificationError, match="passphrase is wrong") as caught:
        unseal(sealed(), wrong)
    assert (caught.value.code, caught.value.exit_code) == ("wrong_passphrase", 7)


def test_a_letter_opens_however_the_keyboard_writes_it() -> None:
    composed, decomposed = "pässwörter", "pa\u0308sswo\u0308rter"
    assert composed != decomposed
    assert unseal(seal(SECRETS["key"], composed, CHEAP), decomposed).kind == "key"


STRANGER = PaymentKey.from_seed(bytes([9]) * 32)
ALTERED: dict[str, dict[str, object]] = {
    "another's public key": {"public_key": STRANGER.public.hex()},
    "another's stake key": {"stake_key_hash": STRANGER.key_hash.hex()},
    "no stake key": {"stake_key_hash": None},
    "another kind": {"kind": "key"},
}


@pytest.mark.parametrize("changes", ALTERED.values(), ids=ALTERED.keys())
def test_what_is_in_clear_cannot_be_changed_without_its_being_seen(
    changes: dict[str, object],
) -> None:
    found = sealed()
    altered = replace(found, clear=replace(found.clear, **changes))
    with pytest.raises(VerificationError) as caught:
        unseal(altered, PASSPHRASE)
    assert caught.value.code == "wallet_altered"


def test_a_file_whose_every_byte_may_be_wrong_opens_never() -> None:
    found = sealed()
    raw = bytes.fromhex(found.sealed)
    for place in range(len(raw)):
        broken = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(VerificationError):
            unseal(replace(found, sealed=broken.hex()), PASSPHRASE)
    for length in range(1, len(raw)):
        with pytest.raises(VerificationError):
            unseal(replace(found, sealed=raw[:length].hex()), PASSPHRASE)


HOSTILE: dict[str, dict[str, object]] = {
    "eats memory": {"memory_bytes": vault.MEMORY_MAX_BYTES + 1},
    "takes years": {"passes": vault.PASSES_MAX + 1},
    "no work at all": {"passes": 0},
    "another function": {"name": "pbkdf2"},
    "short salt": {"salt": "00"},
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_refused_before_any_work_is_done(changes: dict[str, object]) -> None:
    tree = strict.to_plain(sealed())
    tree["clear"]["stretching"] |= changes
    with pytest.raises(MalformedError):
        read_vault(json.dumps(tree).encode(), "file")


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_bytes_that_are_no_wallet_are_refused_and_not_repeated(content: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        read_vault(b"secret" + content, "file")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("change", [{"version": 2}, {"cipher": "none"}, {"more": 1}])
def test_another_version_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(MalformedError):
        read_vault(json.dumps(strict.to_plain(sealed()) | change).encode(), "file")


@pytest.mark.parametrize("passphrase", ["", "seven77", "x" * 1025])
def test_a_new_passphrase_is_neither_too_short_nor_endless(passphrase: str) -> None:
    with pytest.raises(UsageError, match="8 to 1024 characters"):
        seal(SECRETS["key"], passphrase, CHEAP)


def test_a_machine_without_the_memory_is_told_how_much_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object, **__: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(vault.argon2id, "kdf", fails)
    with pytest.raises(NunetError, match="256 MiB of free memory"):
        seal(SECRETS["key"], PASSPHRASE)


def test_the_cost_is_what_libsodium_calls_moderate() -> None:
    assert (vault.MODERATE.passes, vault.MODERATE.memory_bytes) == (3, 256 * 1024 * 1024)


def test_no_secret_is_told_by_a_repr_or_a_pickle(tmp_path: Path) -> None:
    secret, known = SECRETS["words"], made(tmp_path)
    wallet = unlocked(known)
    for shown in (repr(secret), repr(known), repr(wallet), f"{wallet}"):
        assert secret.content.hex() not in shown
        assert repr(secret.content)[2:-1] not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(wallet)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)


def test_a_wallet_s_file_is_private_encrypted_and_never_replaced(tmp_path: Path) -> None:
    known = made(tmp_path / "wallets")
    assert stat.S_IMODE(known.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(known.file.parent.stat().st_mode) == 0o700
    content = known.file.read_bytes()
    assert SECRETS["words"].content not in content
    assert SECRETS["words"].content.hex().encode() not in content
    assert SECRETS["words"].key.secret.hex().encode() not in content  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="exists and is kept"):
        made(tmp_path / "wallets")
    assert known.file.read_bytes() == content


def test_a_wallet_s_addresses_need_no_passphrase_and_its_key_does(tmp_path: Path) -> None:
    made(tmp_path)
    known = find_wallet(tmp_path, "mine")
    assert known.is_encrypted
    assert known.address().bech32 == ADDRESS
    assert known.address(1).network_id == 1
    assert (known.stake_address(0) or "").startswith("stake_test1")
    wallet = unlocked(known)
    assert (wallet.address.bech32, wallet.key.key_hash) == (ADDRESS, known.key_hash)
    with pytest.raises(VerificationError, match="passphrase is wrong"):
        unlocked(known, "wrong horse")


def test_a_wallet_under_another_name_still_is_its_own(tmp_path: Path) -> None:
    made(tmp_path).file.rename(tmp_path / "other.wallet")
    assert unlocked(find_wallet(tmp_path, "other")).address.bech32 == ADDRESS


def test_a_key_of_cardano_cli_s_is_a_wallet_without_a_passphrase(tmp_path: Path) -> None:
    key = PaymentKey.from_seed(bytes([1]) * 32)
    write_key_file(tmp_path / "old.skey", key)
    known = find_wallet(tmp_path, "old")
    assert (known.is_encrypted, known.stake_address(0)) == (False, None)
    assert known.address() == key.address(0)

    def never() -> str:
        raise AssertionError("nobody is to be asked")

    assert known.unlocked(0, never).key == key
    assert key.seed.hex() not in repr(known)


def test_a_name_is_taken_by_either_kind_of_file(tmp_path: Path) -> None:
    write_key_file(tmp_path / "old.skey", PaymentKey.generate())
    with pytest.raises(ConfigError, match="exists and is kept"):
        made(tmp_path, "old")
    made(tmp_path, "new")
    assert wallet_names(tmp_path) == ("new", "old")
    write_key_file(tmp_path / "new.skey", PaymentKey.generate())
    with pytest.raises(ConfigError, match="cannot tell which"):
        find_wallet(tmp_path, "new")


def test_no_wallets_are_where_there_is_no_folder(tmp_path: Path) -> None:
    assert wallet_names(tmp_path / "absent") == ()
    assert check_free(tmp_path / "absent", "mine").name == "mine.wallet"
    with pytest.raises(ConfigError) as caught:
        find_wallet(tmp_path / "absent", "mine")
    assert caught.value.hint == "type: nunet wallet new mine"


def test_a_wallet_that_others_may_read_is_refused(tmp_path: Path) -> None:
    known = made(tmp_path)
    known.file.chmod(0o640)
    with pytest.raises(ConfigError, match="lets others in"):
        find_wallet(tmp_path, "mine")


@pytest.mark.parametrize("name", ["../default", "a/b", "", ".hidden", "a" * 65, "a b", "-rf"])
def test_a_wallets_name_is_a_plain_word(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="wallet name"):
        made(tmp_path, name)
    with pytest.raises(UsageError, match="wallet name"):
        find_wallet(tmp_path, name)
