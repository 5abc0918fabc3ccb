"""Messages signed by wallets: what is accepted, and every forgery that is not."""

from __future__ import annotations

from typing import Any

import pytest
from cardano_world import ESCROW, ORACLE, REQUESTER, refusal_of
from hypothesis import given, settings
from hypothesis import strategies as st

from nunet_dms.cardano.address import Address, enterprise_address
from nunet_dms.cardano.cbor import decode, encode
from nunet_dms.cardano.cip8 import (
    MAX_MESSAGE_BYTES,
    MessageRefusal,
    SignedMessage,
    sign_message,
    verify_message,
)
from nunet_dms.errors import MalformedError, VerificationError

ADDRESS = REQUESTER.address(0)
PAYLOAD = b'{"job": "digits"}'
CODES = {refusal.value for refusal in MessageRefusal}
SIGNED = sign_message(REQUESTER, ADDRESS, PAYLOAD)


def test_a_payload_comes_back() -> None:
    assert verify_message(SIGNED, ADDRESS) == PAYLOAD


def test_a_base_address_of_the_key_may_sign() -> None:
    base = Address(1, REQUESTER.key_hash, False, b"s" * 28)
    assert verify_message(sign_message(REQUESTER, base, PAYLOAD), base) == PAYLOAD


def test_the_shape_is_that_of_sign_data() -> None:
    protected, unprotected, payload, signature = decode(SIGNED.cose_sign1)  # type: ignore[misc]
    assert decode(protected) == {1: -8, "address": ADDRESS.raw}
    assert unprotected == {"hashed": False}
    assert payload == PAYLOAD
    assert len(signature) == 64
    assert decode(SIGNED.cose_key) == {1: 1, 3: -8, -1: 6, -2: REQUESTER.public}


def forged(
    header: dict[Any, Any] | None = None,
    key: dict[Any, Any] | None = None,
    unprotected: dict[Any, Any] | None = None,
    signer: Any = REQUESTER,
) -> SignedMessage:
    """Return the message with these parts changed and signed honestly all the same."""
    protected = encode({1: -8, "address": ADDRESS.raw, **(header or {})})
    signature = signer.sign(encode(["Signature1", protected, b"", PAYLOAD]))
    return SignedMessage(
        encode([protected, unprotected or {}, PAYLOAD, signature]),
        encode({1: 1, 3: -8, -1: 6, -2: signer.public, **(key or {})}),
    )


OTHER_PAYLOAD = SignedMessage(SIGNED.cose_sign1.replace(PAYLOAD, PAYLOAD[::-1]), SIGNED.cose_key)
FORGERIES = [
    (SignedMessage(SIGNED.cose_sign1 + b"\x00", SIGNED.cose_key), MessageRefusal.MALFORMED),
    (OTHER_PAYLOAD, MessageRefusal.BAD_SIGNATURE),
    (forged(signer=ORACLE), MessageRefusal.WRONG_KEY),
    (forged(header={"address": ORACLE.address(0).raw}), MessageRefusal.WRONG_ADDRESS),
    (forged(header={"address": REQUESTER.address(1).raw}), MessageRefusal.WRONG_ADDRESS),
    (forged(header={"address": None}), MessageRefusal.WRONG_ADDRESS),
    (forged(header={1: -7}), MessageRefusal.WRONG_ALGORITHM),
    (forged(header={1: None}), MessageRefusal.WRONG_ALGORITHM),
    (forged(key={1: 2}), MessageRefusal.WRONG_KEY_TYPE),
    (forged(key={1: True}), MessageRefusal.WRONG_KEY_TYPE),  # Python takes it for 1
    (forged(key={3: -7}), MessageRefusal.WRONG_KEY_TYPE),
    (forged(key={-1: 4}), MessageRefusal.WRONG_KEY_TYPE),
    (forged(key={-2: b"short"}), MessageRefusal.WRONG_KEY_TYPE),
    (forged(key={-2: 5}), MessageRefusal.WRONG_KEY_TYPE),
    (forged(key={-2: ORACLE.public}), MessageRefusal.WRONG_KEY),
    (forged(unprotected={"hashed": True}), MessageRefusal.HASHED_PAYLOAD),
    (forged(unprotected={"hashed": 1}), MessageRefusal.HASHED_PAYLOAD),
    (forged(unprotected={"hashed": None}), MessageRefusal.HASHED_PAYLOAD),
]


def test_every_refusal_of_a_message_is_provoked() -> None:
    assert {code for _, code in FORGERIES} == {*MessageRefusal}


@pytest.mark.parametrize(("message", "code"), FORGERIES)
def test_a_forgery_is_refused_with_its_own_code(
    message: SignedMessage, code: MessageRefusal
) -> None:
    """The first of a key is the known one: the attacker's under the victim's address."""
    with pytest.raises(VerificationError) as caught:
        verify_message(message, ADDRESS)
    assert caught.value.code == code.value


def test_an_honest_message_of_another_address_is_refused() -> None:
    other = sign_message(ORACLE, ORACLE.address(0), PAYLOAD)
    with pytest.raises(VerificationError) as caught:
        verify_message(other, ADDRESS)
    assert caught.value.code == "wrong_address"


def test_another_payload_under_the_signature_is_refused() -> None:
    protected, unprotected, _, signature = decode(SIGNED.cose_sign1)  # type: ignore[misc]
    swapped = encode([protected, unprotected, b"other", signature])
    with pytest.raises(VerificationError) as caught:
        verify_message(SignedMessage(swapped, SIGNED.cose_key), ADDRESS)
    assert caught.value.code == "bad_signature"


def test_nobody_signs_for_an_address_that_is_not_theirs() -> None:
    with pytest.raises(VerificationError):
        sign_message(ORACLE, ADDRESS, PAYLOAD)
    with pytest.raises(VerificationError):
        sign_message(ORACLE, ESCROW.address, PAYLOAD)


def test_a_script_cannot_be_impersonated_by_a_key_of_its_hash() -> None:
    script = Address(0, REQUESTER.key_hash, payment_is_script=True)
    with pytest.raises(VerificationError) as caught:
        verify_message(forged(header={"address": script.raw}), script)
    assert caught.value.code == "wrong_key"


@pytest.mark.parametrize(
    "sign1",
    [
        b"",
        encode([]),
        encode([b"\xa0", {}, None, bytes(64)]),
        encode([b"\xa0", {}, b"", bytes(63)]),
        encode([b"\x00", {}, b"", bytes(64)]),
        encode([b"", {}, b"", bytes(64)]),
        encode([b"\xa0", [], b"", bytes(64)]),
        bytes(MAX_MESSAGE_BYTES + 1),
    ],
)
def test_other_shapes_are_malformed(sign1: bytes) -> None:
    with pytest.raises(MalformedError):
        verify_message(SignedMessage(sign1, SIGNED.cose_key), ADDRESS)


@pytest.mark.parametrize("key", [b"", encode([]), encode(5), bytes(1000)])
def test_other_keys_are_malformed(key: bytes) -> None:
    with pytest.raises(MalformedError):
        verify_message(SignedMessage(SIGNED.cose_sign1, key), ADDRESS)


def test_no_flipped_bit_changes_what_is_accepted() -> None:
    """Headers outside the signature may differ; the payload that comes back may not."""
    for bit in range(len(SIGNED.cose_sign1) * 8):
        flipped = bytearray(SIGNED.cose_sign1)
        flipped[bit // 8] ^= 1 << bit % 8
        message = SignedMessage(bytes(flipped), SIGNED.cose_key)
        code = refusal_of(verify_message, message, ADDRESS)
        assert code in {None, *CODES}
        if code is None:
            assert verify_message(message, ADDRESS) == PAYLOAD


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(SIGNED.cose_sign1)), st.binary(max_size=6), st.binary(max_size=40))
def test_nothing_but_a_refusal_escapes(start: int, content: bytes, key: bytes) -> None:
    raw = SIGNED.cose_sign1[:start] + content + SIGNED.cose_sign1[start + len(content) :]
    for message in (SignedMessage(raw, SIGNED.cose_key), SignedMessage(raw, key)):
        assert refusal_of(verify_message, message, ADDRESS) in {None, *CODES}


@given(st.binary(max_size=2000))
def test_any_payload_survives(payload: bytes) -> None:
    address = enterprise_address(REQUESTER.key_hash, 1)
    assert verify_message(sign_message(REQUESTER, address, payload), address) == payload
