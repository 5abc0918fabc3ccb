"""Keys, their files, and who may read these."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest

from nunet_dms.cardano import hd
from nunet_dms.cardano.keys import (
    EXTENDED_TYPE,
    PaymentKey,
    read_key_file,
    read_signer_file,
    write_key_file,
)
from nunet_dms.errors import ConfigError
from nunet_dms.protocol.secretfile import write_secret

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")


def test_signs_as_rfc_8032_shows() -> None:
    key = PaymentKey.from_seed(SEED)
    assert key.public == PUBLIC
    assert (
        key.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065")
    )
    assert len(key.sign(b"")) == 64


def test_the_secret_is_never_shown() -> None:
    key = PaymentKey.from_seed(SEED)
    for shown in (repr(key), str(key), f"{key}"):
        assert SEED.hex() not in shown
        assert repr(SEED) not in shown
        assert key.key_hash.hex() in shown


def test_generated_keys_differ() -> None:
    assert PaymentKey.generate() != PaymentKey.generate()


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_seed_has_32_bytes(length: int) -> None:
    with pytest.raises(ConfigError, match=str(length)):
        PaymentKey.from_seed(bytes(length))


def test_a_file_is_private_and_cardano_clis(tmp_path: Path) -> None:
    path = tmp_path / "wallet.skey"
    key = PaymentKey.from_seed(SEED)
    old = os.umask(0o777)
    try:
        write_key_file(path, key)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text()) == {
        "type": "PaymentSigningKeyShelley_ed25519",
        "description": "Payment Signing Key",
        "cborHex": "5820" + SEED.hex(),
    }
    assert read_key_file(path) == key


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "wallet.skey"
    write_key_file(path, PaymentKey.from_seed(SEED))
    with pytest.raises(ConfigError, match="it exists and is kept"):
        write_key_file(path, PaymentKey.generate())
    assert read_key_file(path).seed == SEED


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError):
        write_key_file(tmp_path / "link", PaymentKey.generate())
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o644, 0o777])
def test_a_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "wallet.skey"
    write_key_file(path, PaymentKey.from_seed(SEED))
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"0{mode:o}") as caught:
        read_key_file(path)
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_file_is_read(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "wallet.skey"
    write_key_file(path, PaymentKey.from_seed(SEED))
    path.chmod(mode)
    assert read_key_file(path).seed == SEED


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "null",
        "{" * 3000,
        json.dumps({"type": "PaymentSigningKeyShelley_ed25519"}),
        json.dumps({"type": "PaymentSigningKeyShelley_ed25519", "cborHex": 5}),
        json.dumps({"type": "PaymentSigningKeyShelley_ed25519", "cborHex": "5820zz"}),
        json.dumps({"type": "PaymentSigningKeyShelley_ed25519", "cborHex": "5820" + "ab" * 31}),
        json.dumps({"type": "PaymentSigningKeyShelley_ed25519", "cborHex": "5840" + "ab" * 64}),
        json.dumps({"type": "StakeSigningKeyShelley_ed25519", "cborHex": "5820" + "ab" * 32}),
    ],
)
def test_other_contents_are_refused_and_not_repeated(tmp_path: Path, content: str) -> None:
    path = tmp_path / "wallet.skey"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="holds no PaymentSigningKey") as caught:
        read_key_file(path)
    assert "abab" not in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_key_file(tmp_path / "missing")
    with pytest.raises(ConfigError):
        write_key_file(Path("/dev/null/wallet.skey"), PaymentKey.generate())
    with pytest.raises(ConfigError):
        read_key_file(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="plain file"):
        read_key_file(tmp_path / "pipe")


EXTENDED = hd.master_key(bytes(32)).at(hd.PAYMENT_PATH)


def extended_envelope(tail: bytes) -> str:
    """Return cardano-cli's envelope of an extended key, with that end."""
    content = EXTENDED.secret + tail
    return json.dumps({"type": EXTENDED_TYPE, "description": "", "cborHex": "5880" + content.hex()})


def test_a_key_file_of_either_kind_is_read(tmp_path: Path) -> None:
    plain, extended = tmp_path / "plain.skey", tmp_path / "extended.skey"
    write_key_file(plain, PaymentKey.from_seed(SEED))
    write_secret(extended, extended_envelope(EXTENDED.key.public + EXTENDED.chain_code).encode())
    assert read_signer_file(plain) == PaymentKey.from_seed(SEED)
    assert read_signer_file(extended) == EXTENDED.key


@pytest.mark.parametrize(
    "tail", [bytes(64), b"", EXTENDED.key.public], ids=["foreign public key", "short", "no chain"]
)
def test_an_extended_key_file_that_contradicts_itself_is_refused(
    tmp_path: Path, tail: bytes
) -> None:
    path = tmp_path / "extended.skey"
    write_secret(path, extended_envelope(tail).encode())
    with pytest.raises(ConfigError, match="holds no") as caught:
        read_signer_file(path)
    assert EXTENDED.secret.hex()[:8] not in str(caught.value)


def test_a_payment_key_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(PaymentKey.from_seed(SEED))
