"""A verifier of signed messages that we did not write: its verdicts are ours.

The Cardano Foundation's `cardano-verify-datasignature`, run by Node.js. `npm ci` in this folder
installs it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.cbor import decode, encode
from nunet_dms.cardano.cip8 import SignedMessage, sign_message, verify_message
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.errors import VerificationError

HERE = Path(__file__).parent
JUDGE_TIMEOUT_S = 60
"""Node.js starts in half a second; a machine that is busy with other tests takes longer."""

WALLET, OTHER = PaymentKey.from_seed(b"\x01" * 32), PaymentKey.from_seed(b"\x02" * 32)
ADDRESS = WALLET.address(0)
TEXT = '{"job": "digits", "note": "für 5 mNTX"}'
SIGNED = sign_message(WALLET, ADDRESS, TEXT.encode())


@pytest.fixture(scope="module")
def node() -> str:
    """Return Node.js with the judge installed; without, skip by name, or fail in CI."""
    found = shutil.which("node")
    missing = "" if found else "Node.js is not installed"
    if found and not (HERE / "node_modules").is_dir():
        missing = f"the judge is not installed; type: npm ci --prefix {HERE}"
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if not found or missing:
        pytest.skip(missing)
    return found


def sealed(
    header: dict[Any, Any] | None = None,
    key: dict[Any, Any] | None = None,
    signer: PaymentKey = WALLET,
) -> SignedMessage:
    """Return the message with these parts changed, and signed honestly all the same."""
    protected = encode({1: -8, "address": ADDRESS.raw, **(header or {})})
    signature = signer.sign(encode(["Signature1", protected, b"", TEXT.encode()]))
    return SignedMessage(
        encode([protected, {"hashed": False}, TEXT.encode(), signature]),
        encode({1: 1, 3: -8, -1: 6, -2: signer.public, **(key or {})}),
    )


def with_payload(payload: bytes) -> SignedMessage:
    """Return the message with another payload under the old signature."""
    protected, unprotected, _, signature = decode(SIGNED.cose_sign1)  # type: ignore[misc]
    return replace(SIGNED, cose_sign1=encode([protected, unprotected, payload, signature]))


def with_signature(signature: bytes) -> SignedMessage:
    """Return the message with another signature."""
    protected, unprotected, payload, _ = decode(SIGNED.cose_sign1)  # type: ignore[misc]
    return replace(SIGNED, cose_sign1=encode([protected, unprotected, payload, signature]))


BASE = Address(0, WALLET.key_hash, payment_is_script=False, stake=OTHER.key_hash)
MAINNET = WALLET.address(1)

# name: message, the text and the address that are expected, and the verdict.
CASES: dict[str, tuple[SignedMessage, str, Address, bool]] = {
    "valid": (SIGNED, TEXT, ADDRESS, True),
    "valid, by hand": (sealed(), TEXT, ADDRESS, True),
    "valid, base address": (sign_message(WALLET, BASE, TEXT.encode()), TEXT, BASE, True),
    "valid, mainnet": (sign_message(WALLET, MAINNET, TEXT.encode()), TEXT, MAINNET, True),
    "valid, long": (sign_message(WALLET, ADDRESS, b"x" * 5000), "x" * 5000, ADDRESS, True),
    "another text": (SIGNED, TEXT + " ", ADDRESS, False),
    "another address": (SIGNED, TEXT, OTHER.address(0), False),
    "a tampered payload": (with_payload(TEXT.upper().encode()), TEXT.upper(), ADDRESS, False),
    "no signature": (with_signature(bytes(64)), TEXT, ADDRESS, False),
    "a forged key under the victim's address": (sealed(signer=OTHER), TEXT, ADDRESS, False),
    "a foreign key beside a good signature": (
        replace(SIGNED, cose_key=sealed(signer=OTHER).cose_key), TEXT, ADDRESS, False,
    ),
    "a foreign address in the header": (
        sealed(header={"address": OTHER.address(0).raw}), TEXT, OTHER.address(0), False,
    ),
    "no message": (replace(SIGNED, cose_sign1=b"\x80"), TEXT, ADDRESS, False),
    "no key": (replace(SIGNED, cose_key=b"\xa0"), TEXT, ADDRESS, False),
    "half a signature": (
        replace(SIGNED, cose_sign1=SIGNED.cose_sign1[:-32]), TEXT, ADDRESS, False,
    ),
}  # fmt: skip


def our_verdict(message: SignedMessage, text: str, address: Address) -> bool:
    """Return whether we accept the message as that text, signed for that address."""
    try:
        return verify_message(message, address) == text.encode()
    except VerificationError:
        return False


def judged(node: str, cases: list[tuple[SignedMessage, str, Address]]) -> list[bool]:
    """Return the judge's verdicts."""
    asked = [
        {
            "signature": message.cose_sign1.hex(),
            "key": message.cose_key.hex(),
            "message": text,
            "address": address.bech32,
        }
        for message, text, address in cases
    ]
    ran = subprocess.run(
        [node, "verify.cjs"],
        cwd=HERE,
        input=json.dumps(asked),
        capture_output=True,
        check=True,
        timeout=JUDGE_TIMEOUT_S,
        text=True,
        encoding="utf-8",
    )
    verdicts: list[bool] = json.loads(ran.stdout)
    assert len(verdicts) == len(cases)
    return verdicts


def test_the_judge_and_we_say_the_same(node: str) -> None:
    wanted = {name: verdict for name, (*_, verdict) in CASES.items()}
    asked = [(message, text, address) for message, text, address, _ in CASES.values()]
    assert dict(zip(CASES, judged(node, asked), strict=True)) == wanted
    assert {name: our_verdict(*case) for name, case in zip(CASES, asked, strict=True)} == wanted


def test_of_all_flipped_bits_the_judge_and_we_say_the_same_but_of_one(node: str) -> None:
    """`hashed: null` in the unsigned header: the judge takes it for false, we refuse it."""
    asked = []
    for bit in range(len(SIGNED.cose_sign1) * 8):
        flipped = bytearray(SIGNED.cose_sign1)
        flipped[bit // 8] ^= 1 << bit % 8
        asked.append((replace(SIGNED, cose_sign1=bytes(flipped)), TEXT, ADDRESS))
    verdicts = judged(node, asked)
    differ = [
        (case[0].cose_sign1, verdict)
        for case, verdict in zip(asked, verdicts, strict=True)
        if verdict != our_verdict(*case)
    ]
    assert differ == [(SIGNED.cose_sign1.replace(b"hashed\xf4", b"hashed\xf6"), True)]
