"""The words of a wallet and what comes of them, against published vectors.

Entropy and addresses: pycardano's and cardano-serialization-lib's own tests; master keys: CIP-3.
"""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nunet_dms.cardano import hd, mnemonic
from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.cip8 import sign_message, verify_message
from nunet_dms.cardano.extended import ExtendedKey
from nunet_dms.cardano.transaction import Witness, verifies
from nunet_dms.errors import ConfigError, UsageError, VerificationError

TWELVE = "test walk nut penalty hip pave soap entry language right filter choice"
FIFTEEN = (
    "art forum devote street sure rather head chuckle guard poverty release quote oak craft enemy"
)
TWENTY_FOUR = (
    "excess behave track soul table wear ocean cash stay nature item turtle palm soccer lunch"
    " horror start stumble month panic right must lock dress"
)
ENTROPIES = {
    TWELVE: "df9ed25ed146bf43336a5d7cf7395994",
    FIFTEEN: "0ccb74f36b7da1649a8144675522d4d8097c6412",
    TWENTY_FOUR: "4e828f9a67ddcff0e6391ad4f26ddb7579f59ba14b6dd4baf63dcfdb9d2420da",
}
ADDRESSES = {
    (TWELVE, 0): (
        "addr_test1qz2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzer3jcu5d8ps7zex2k2xt3uqxgjqnnj83ws8"
        "lhrn648jjxtwq2ytjqp"
    ),
    (TWELVE, 1): (
        "addr1qx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzer3jcu5d8ps7zex2k2xt3uqxgjqnnj83ws8lhrn64"
        "8jjxtwqfjkjv7"
    ),
    (FIFTEEN, 0): (
        "addr_test1qpu5vlrf4xkxv2qpwngf6cjhtw542ayty80v8dyr49rf5ewvxwdrt70qlcpeeagscasafhffqsxy36t9"
        "0ldv06wqrk2qum8x5w"
    ),
    (FIFTEEN, 1): (
        "addr1q9u5vlrf4xkxv2qpwngf6cjhtw542ayty80v8dyr49rf5ewvxwdrt70qlcpeeagscasafhffqsxy36t90ldv06"
        "wqrk2qld6xc3"
    ),
    (TWENTY_FOUR, 0): (
        "addr_test1qqy6nhfyks7wdu3dudslys37v252w2nwhv0fw2nfawemmn8k8ttq8f3gag0h89aepvx3xf69g0l9pf80"
        "tqv7cve0l33sw96paj"
    ),
    (TWENTY_FOUR, 1): (
        "addr1qyy6nhfyks7wdu3dudslys37v252w2nwhv0fw2nfawemmn8k8ttq8f3gag0h89aepvx3xf69g0l9pf80tqv7cv"
        "e0l33sdn8p3d"
    ),
}
STAKE_OF_TWELVE = {
    0: "stake_test1uqevw2xnsc0pvn9t9r9c7qryfqfeerchgrlm3ea2nefr9hqp8n5xl",
    1: "stake1uyevw2xnsc0pvn9t9r9c7qryfqfeerchgrlm3ea2nefr9hqxdekzz",
}
CIP3_WORDS = (
    "eight country switch draw meat scout mystery blade tip drift useless good keep usage title"
)
CIP3_MASTERS = {
    b"": (
        "c065afd2832cd8b087c4d9ab7011f481ee1e0721e78ea5dd609f3ab3f156d245d176bd8fd4ec60b4731c3918a2a"
        "72a0226c0cd119ec35b47e4d55884667f552a23f7fdcd4a10c6cd2c7393ac61d877873e248f417634aa3d812af3"
        "27ffe9d620"
    ),
    b"foo": (
        "70531039904019351e1afb361cd1b312a4d0565d4ff9f8062d38acf4b15cce41d7b5738d9c893feea55512a3004"
        "acb0d222c35d3e3d5cde943a15a9824cbac59443cf67e589614076ba01e354b1a432e0e6db3b59e37fc56b5fb02"
        "22970a010e"
    ),
}


def test_the_list_is_bip_39_s_own_english_one() -> None:
    content = files("nunet_dms.cardano").joinpath("bip39_english.txt").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert digest == "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
    assert len(set(mnemonic.word_list())) == 2048


@pytest.mark.parametrize(("words", "entropy"), ENTROPIES.items())
def test_words_and_entropy_are_each_others(words: str, entropy: str) -> None:
    assert mnemonic.entropy_of(words).hex() == entropy
    assert " ".join(mnemonic.words_of(bytes.fromhex(entropy))) == words


@given(st.sampled_from((16, 20, 24, 28, 32)).flatmap(lambda n: st.binary(min_size=n, max_size=n)))
def test_every_entropy_comes_back_from_its_words(entropy: bytes) -> None:
    assert mnemonic.entropy_of("\n".join(mnemonic.words_of(entropy)).upper()) == entropy


@given(st.binary(min_size=32, max_size=32), st.integers(0, 23), st.integers(1, 2047))
@settings(max_examples=300)
def test_a_wrong_word_is_taken_for_right_once_in_256_times(
    entropy: bytes, place: int, step: int
) -> None:
    words = list(mnemonic.words_of(entropy))
    known = mnemonic.word_list()
    words[place] = known[(known.index(words[place]) + step) % 2048]
    try:
        other = mnemonic.entropy_of(" ".join(words))
    except UsageError:
        return
    assert other != entropy
    assert mnemonic.words_of(other) == tuple(words), "its checksum holds: one in 2^8 does"


@pytest.mark.parametrize(
    "text",
    ["", TWELVE.rsplit(" ", 1)[0], TWELVE + " abandon", TWELVE.replace("nut", "nutt"), "a " * 600,
     " ".join(reversed(TWELVE.split()))],
)  # fmt: skip
def test_what_is_no_wallet_is_refused_and_no_word_is_repeated(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        mnemonic.entropy_of(text)
    assert not any(f" {word} " in str(caught.value) for word in ("walk", "nutt", "penalty"))


@pytest.mark.parametrize("length", [0, 15, 17, 31, 33, 64])
def test_entropy_of_another_length_has_no_words(length: int) -> None:
    with pytest.raises(UsageError):
        mnemonic.words_of(bytes(length))


def test_a_new_wallet_has_24_words_of_its_own() -> None:
    first, second = mnemonic.new_entropy(), mnemonic.new_entropy()
    assert first != second
    assert len(mnemonic.words_of(first)) == 24


@pytest.mark.parametrize(("second_factor", "master"), CIP3_MASTERS.items())
def test_the_master_key_is_that_of_cip_3(second_factor: bytes, master: str) -> None:
    found = hd.master_key(mnemonic.entropy_of(CIP3_WORDS), second_factor)
    assert (found.secret + found.chain_code).hex() == master


@pytest.mark.parametrize(("known", "address"), ADDRESSES.items())
def test_words_give_the_address_that_other_wallets_show(
    known: tuple[str, int], address: str
) -> None:
    words, network_id = known
    master = hd.master_key(mnemonic.entropy_of(words))
    payment, stake = master.at(hd.PAYMENT_PATH).key, master.at(hd.STAKE_PATH).key
    found = hd.base_address(payment.key_hash, stake.key_hash, network_id)
    assert found.bech32 == address
    assert parse_address(address) == found


@pytest.mark.parametrize(("network_id", "address"), STAKE_OF_TWELVE.items())
def test_words_give_the_stake_address_that_other_wallets_show(
    network_id: int, address: str
) -> None:
    stake = hd.master_key(mnemonic.entropy_of(TWELVE)).at(hd.STAKE_PATH).key
    assert hd.stake_address(stake.key_hash, network_id) == address


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300))
@settings(max_examples=40, deadline=None)
def test_libsodium_verifies_what_an_extended_key_signs(entropy: bytes, message: bytes) -> None:
    key = hd.master_key(entropy).at(hd.PAYMENT_PATH).key
    signature = key.sign(message)
    assert verifies(Witness(key.public, signature), message)
    assert signature == key.sign(message), "the nonce is made from key and message, not drawn"
    assert not verifies(Witness(key.public, signature), message + b"!")
    broken = bytes([signature[0] ^ 1]) + signature[1:]
    assert not verifies(Witness(key.public, broken), message)


def test_an_extended_key_signs_messages_for_its_base_address() -> None:
    master = hd.master_key(mnemonic.entropy_of(TWELVE))
    key, stake = master.at(hd.PAYMENT_PATH).key, master.at(hd.STAKE_PATH).key
    home = hd.base_address(key.key_hash, stake.key_hash, 0)
    assert verify_message(sign_message(key, home, b"hello"), home) == b"hello"
    elsewhere = hd.base_address(stake.key_hash, key.key_hash, 0)
    with pytest.raises(VerificationError):
        sign_message(key, elsewhere, b"hello")


@pytest.mark.parametrize(
    "secret",
    [bytes(63), bytes(65), bytes(64), b"\x01" + bytes(63), bytes(31) + b"\x80" + bytes(32)],
    ids=["short", "long", "zero", "low bits", "high bit"],
)
def test_what_is_no_extended_key_is_refused(secret: bytes) -> None:
    with pytest.raises(ConfigError):
        ExtendedKey(secret)


def test_no_secret_of_a_key_is_told_or_pickled() -> None:
    master = hd.master_key(mnemonic.entropy_of(TWELVE))
    key = master.at(hd.PAYMENT_PATH).key
    for secret in (master, key):
        assert secret.secret[:8].hex() not in repr(secret) + str(secret)
        assert repr(secret.secret) not in repr(secret)
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="not pickled"):
                attempt(secret)
        with pytest.raises(TypeError):
            json.dumps(secret)
