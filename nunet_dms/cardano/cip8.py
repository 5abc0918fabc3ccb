"""Messages that a wallet signs: CIP-8, in the shape of CIP-30's `signData` (COSE, RFC 9052)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.cbor import decode, encode
from nunet_dms.cardano.hashes import blake2b_224
from nunet_dms.cardano.keys import Signer
from nunet_dms.cardano.transaction import PUBLIC_BYTES, SIGNATURE_BYTES, Witness, verifies
from nunet_dms.errors import MalformedError, VerificationError

MAX_MESSAGE_BYTES = 65_536
"""Of a COSE_Sign1, payload included; a job request has about 600."""
MAX_KEY_BYTES = 512
"""Of a COSE_Key; wallets send about 42."""

EDDSA = -8
"""COSE algorithm."""
ALGORITHM = 1
"""Key of the protected header for the algorithm."""

KEY_TYPE, KEY_ALGORITHM, KEY_CURVE, KEY_PUBLIC = 1, 3, -1, -2
"""Keys of a COSE_Key (RFC 9053)."""
OCTET_KEY_PAIR = 1
ED25519 = 6


class MessageRefusal(str, Enum):
    """Why a signed message is refused."""

    MALFORMED = "malformed"
    WRONG_ALGORITHM = "wrong_algorithm"
    WRONG_KEY_TYPE = "wrong_key_type"
    WRONG_ADDRESS = "wrong_address"
    WRONG_KEY = "wrong_key"
    HASHED_PAYLOAD = "hashed_payload"
    BAD_SIGNATURE = "bad_signature"


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """What `signData` returns: the signature with its payload, and the key that made it."""

    cose_sign1: bytes
    cose_key: bytes


def sign_message(key: Signer, address: Address, payload: bytes) -> SignedMessage:
    """Return the payload signed for the address; raises VerificationError for another's."""
    if address.payment_is_script or address.payment_hash != key.key_hash:
        raise _refused(MessageRefusal.WRONG_KEY, "the address does not belong to the key")
    protected = encode({ALGORITHM: EDDSA, "address": address.raw})
    signature = key.sign(_signed_bytes(protected, payload))
    public = {
        KEY_TYPE: OCTET_KEY_PAIR,
        KEY_ALGORITHM: EDDSA,
        KEY_CURVE: ED25519,
        KEY_PUBLIC: key.public,
    }
    return SignedMessage(
        cose_sign1=encode([protected, {"hashed": False}, payload, signature]),
        cose_key=encode(public),
    )


def verify_message(message: SignedMessage, expected_address: Address) -> bytes:
    """Return the payload when the expected address's own payment key signed it.

    Raises VerificationError whose code is a MessageRefusal. A payload that was hashed before
    signing is refused: what was signed could not be returned.
    """
    protected, unprotected, payload, signature = _sign1_parts(message.cose_sign1)
    header = _map_in(decode(protected))
    if header.get(ALGORITHM) != EDDSA:
        raise _refused(MessageRefusal.WRONG_ALGORITHM, "it is not signed with EdDSA")
    public = _public_key(message.cose_key)
    if header.get("address") != expected_address.raw:
        raise _refused(MessageRefusal.WRONG_ADDRESS, f"it is not signed for {expected_address}")
    if expected_address.payment_is_script or expected_address.payment_hash != blake2b_224(public):
        raise _refused(MessageRefusal.WRONG_KEY, "its key does not belong to the address")
    if unprotected.get("hashed", False) is not False:
        raise _refused(MessageRefusal.HASHED_PAYLOAD, "its payload was hashed before signing")
    if not verifies(Witness(public, signature), _signed_bytes(protected, payload)):
        raise _refused(MessageRefusal.BAD_SIGNATURE, "its signature does not hold")
    return payload


def _signed_bytes(protected: bytes, payload: bytes) -> bytes:
    """Return COSE's Sig_structure, without external data."""
    return encode(["Signature1", protected, b"", payload])


def _sign1_parts(raw: bytes) -> tuple[bytes, dict[object, object], bytes, bytes]:
    if len(raw) > MAX_MESSAGE_BYTES:
        raise MalformedError(f"cannot read a signed message of over {MAX_MESSAGE_BYTES} bytes")
    match decode(raw):
        case (
            bytes() as protected,
            dict() as unprotected,
            bytes() as payload,
            bytes() as signature,
        ) if len(signature) == SIGNATURE_BYTES:
            return protected, unprotected, payload, signature
        case _:
            raise MalformedError("cannot read the signed message: it is no whole COSE_Sign1")


def _public_key(raw: bytes) -> bytes:
    if len(raw) > MAX_KEY_BYTES:
        raise MalformedError(f"cannot read a key of over {MAX_KEY_BYTES} bytes")
    key = _map_in(decode(raw))
    kind = [key.get(name) for name in (KEY_TYPE, KEY_ALGORITHM, KEY_CURVE)]
    if kind != [OCTET_KEY_PAIR, EDDSA, ED25519] or any(type(part) is not int for part in kind):
        raise _refused(MessageRefusal.WRONG_KEY_TYPE, "its key is not an Ed25519 key for EdDSA")
    public = key.get(KEY_PUBLIC)
    if not isinstance(public, bytes) or len(public) != PUBLIC_BYTES:
        raise _refused(MessageRefusal.WRONG_KEY_TYPE, f"its key has not {PUBLIC_BYTES} bytes")
    return public


def _map_in(value: object) -> dict[object, object]:
    if not isinstance(value, dict):
        raise MalformedError("cannot read the signed message: a header or key is no map")
    return value


def _refused(code: MessageRefusal, why: str) -> VerificationError:
    return VerificationError(code.value, f"cannot accept the signed message: {why}")
