"""Addresses and bech32, on the vectors of CIP-19 and BIP-173."""

from __future__ import annotations

import pytest
from cardano_world import refusal_of
from hypothesis import given, settings
from hypothesis import strategies as st

from nunet_dms.cardano import bech32
from nunet_dms.cardano.address import (
    Address,
    address_from_bytes,
    enterprise_address,
    parse_address,
    parse_payee,
    script_address,
)
from nunet_dms.cardano.hashes import blake2b_224
from nunet_dms.errors import MalformedError

KEY = blake2b_224(
    bech32.decode("addr_vk1w0l2sr2zgfm26ztc6nl9xy8ghsk5sh6ldwemlpmp9xylzy4dtf7st80zhd")[1]
)
STAKE = blake2b_224(
    bech32.decode("stake_vk1px4j0r2fk7ux5p23shz8f3y5y2qam7s954rgf3lg5merqcj6aetsft99wu")[1]
)
SCRIPT = bech32.decode("script1cda3khwqv60360rp5m7akt50m6ttapacs8rqhn5w342z7r35m37")[1]

CIP_19 = [
    (
        "addr1qx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzer3n0d3vllmyqwsx5wktcd8cc3sq835lu7drv2xwl"
        "2wywfgse35a3x",
        Address(1, KEY, False, STAKE),
    ),
    (
        "addr_test1qz2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzer3n0d3vllmyqwsx5wktcd8cc3sq835lu7drv"
        "2xwl2wywfgs68faae",
        Address(0, KEY, False, STAKE),
    ),
    ("addr1vx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzers66hrl8", enterprise_address(KEY, 1)),
    ("addr_test1vz2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzerspjrlsz", enterprise_address(KEY, 0)),
    ("addr1w8phkx6acpnf78fuvxn0mkew3l0fd058hzquvz7w36x4gtcyjy7wx", script_address(SCRIPT, 1)),
    ("addr_test1wrphkx6acpnf78fuvxn0mkew3l0fd058hzquvz7w36x4gtcl6szpr", script_address(SCRIPT, 0)),
]


@pytest.mark.parametrize(("text", "address"), CIP_19)
def test_reads_and_writes_the_vectors_of_cip_19(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(f" {text}\n") == address
    assert parse_address(text.upper()) == address
    assert address.bech32 == str(address) == text


@pytest.mark.parametrize("stake", [None, b"s" * 28])
@pytest.mark.parametrize("is_script", [False, True])
@pytest.mark.parametrize("stake_is_script", [False, True])
@pytest.mark.parametrize("network_id", [0, 1])
def test_every_kind_survives_its_bytes(
    stake: bytes | None, is_script: bool, stake_is_script: bool, network_id: int
) -> None:
    address = Address(network_id, b"p" * 28, is_script, stake, stake_is_script and bool(stake))
    assert address_from_bytes(address.raw) == address
    assert parse_address(address.bech32) == address


@pytest.mark.parametrize(
    "text",
    [
        "A12UEL5L",
        "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
        "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
        "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
        "?1ezyfcl",
    ],
)
def test_accepts_the_valid_strings_of_bip_173(text: str) -> None:
    prefix, payload = bech32.decode(text)
    assert bech32.encode(prefix, payload) == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "pzry9x0s0muk",
        "1pzry9x0s0muk",
        "x1b4n0q5v",
        "li1dgmt3",
        "de1lg7wt\xff",
        "A1G7SGD8",
        "10a06t8",
        "1qzzfhee",
        "a12UEL5L",
        "",
        "é1qqqqqq",
        "a1" + "q" * 200,
    ],
)
def test_refuses_the_invalid_strings_of_bip_173(text: str) -> None:
    with pytest.raises(MalformedError):
        bech32.decode(text)


def test_left_over_bits_must_be_zero() -> None:
    """Two texts of one address would defeat every comparison of texts."""
    digits = bech32._regroup(bytes(29), 8, 5, pad=True)
    digits[-1] |= 1
    state = bech32._polymod([*bech32._expand("addr_test"), *digits, 0, 0, 0, 0, 0, 0]) ^ 1
    digits += [(state >> 5 * (5 - place)) & 31 for place in range(6)]
    text = "addr_test1" + "".join(bech32.ALPHABET[digit] for digit in digits)
    with pytest.raises(MalformedError, match="padding"):
        bech32.decode(text)


def test_an_ethereum_address_gets_its_own_sentence() -> None:
    with pytest.raises(MalformedError, match="is an Ethereum address") as caught:
        parse_address("0x" + "Ab" * 20)
    assert caught.value.code == "ethereum_address"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (CIP_19[2][0][:-1] + "9", "checksum"),
        (CIP_19[2][0][:-2], "checksum"),
        (bech32.encode("addr_test", enterprise_address(KEY, 1).raw), "prefix"),
        (bech32.encode("addr", enterprise_address(KEY, 0).raw), "prefix"),
        (bech32.encode("stake", b"\xe1" + KEY), "stake address"),
        (bech32.encode("addr", b"\x41" + KEY + b"\x01\x01\x01"), "pointer"),
        (bech32.encode("addr", b"\x82" + KEY), "Byron"),
        (bech32.encode("addr", b"\x62" + KEY), "network id is 2"),
        (bech32.encode("addr", b"\x61" + KEY + b"\x00"), "30 bytes"),
        (bech32.encode("addr", b"\x01" + KEY), "29 bytes"),
        (bech32.encode("addr", b""), "empty"),
        ("Ae2tdPwUPEZFRbyhz3cpfC2CumGzNkFBN2L42rcUc2yjQpEkxDbkPodpMAi", "mixed"),
    ],
)
def test_refuses_other_addresses_and_says_why(text: str, why: str) -> None:
    with pytest.raises(MalformedError, match=why) as caught:
        parse_address(text)
    assert caught.value.code == "malformed_address"


def test_who_is_paid_has_a_key_and_is_on_the_network_that_is_asked_for() -> None:
    for network_id in (0, 1):
        paid = enterprise_address(KEY, network_id)
        assert parse_payee(f" {paid.bech32}\n") == paid
        assert parse_payee(paid.bech32, network_id) == paid


@pytest.mark.parametrize(
    ("text", "code", "why"),
    [
        (script_address(KEY, 0).bech32, "script_wallet", "a script's address"),
        (enterprise_address(KEY, 1).bech32, "wrong_network", "starts with addr_test1$"),
        ("0x" + "ab" * 20, "ethereum_address", "Ethereum"),
        ("addr_test1q", "malformed_address", "cannot read the address"),
    ],
)
def test_who_cannot_be_paid_is_refused_and_it_is_said_why(text: str, code: str, why: str) -> None:
    with pytest.raises(MalformedError, match=why) as caught:
        parse_payee(text, 0)
    assert caught.value.code == code


@pytest.mark.parametrize("length", [0, 27, 29, 32])
def test_a_hash_of_another_length_makes_no_address(length: int) -> None:
    with pytest.raises(MalformedError):
        enterprise_address(bytes(length), 0)
    with pytest.raises(MalformedError):
        script_address(bytes(length), 0)


@settings(max_examples=300, deadline=None)
@given(st.text() | st.binary(max_size=60).map(lambda raw: bech32.encode("addr", raw)))
def test_any_text_is_an_address_or_malformed(text: str) -> None:
    code = refusal_of(parse_address, text)
    assert code in (None, "malformed_address")
    if code is None:
        assert parse_address(text).bech32 == text.strip().lower()
