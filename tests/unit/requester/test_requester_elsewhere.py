"""A payment that another wallet signs: only its signature is taken, and only a good one.

The other wallet is libsodium and a few lines of CBOR by hand: none of our own signing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from nunet_dms.cardano.envelope import read_handed, write_envelope
from nunet_dms.cardano.payment import check_payment
from nunet_dms.cardano.transaction import read_transaction
from nunet_dms.errors import MalformedError, RefusedError, UsageError, VerificationError
from nunet_dms.requester import elsewhere, pay
from nunet_dms.requester.records import Records, SubmissionRecord
from tests.unit.requester.requester_world import (
    INFO,
    LEDGER,
    NOW_S,
    REQUEST,
    SLOT,
    SPEC,
    STRANGER,
    WALLET,
    WANTED,
    checked_quote,
    funds,
    quote_of,
)

COLD = SigningKey(STRANGER.seed)
COLD_HOME = STRANGER.address(0)
OTHER = SigningKey(bytes([77]) * 32)


def unsigned_record(nonce: str = "ab") -> SubmissionRecord:
    """Return the record of a job that the cold wallet is to pay for."""
    quote = quote_of(replace(REQUEST, nonce=nonce * 16))
    checked = pay.check_quote(quote, WANTED, INFO, SLOT, NOW_S)
    return SubmissionRecord(
        oracle_url="http://127.0.0.1:9980",
        wallet="default",
        signed_s=NOW_S,
        spec=SPEC,
        quote=quote,
        submission=pay.build_submission(checked, WALLET, funds(at=COLD_HOME), LEDGER),
        unsigned=True,
        pay_from=COLD_HOME.bech32,
    )


def body_of(raw: bytes) -> tuple[bytes, bytes]:
    """Return a transaction's body, and what follows its empty witness set."""
    body = read_transaction(raw).body
    assert raw[:1] == b"\x84"
    assert raw[1 + len(body) :][:1] == b"\xa0"
    return body, raw[2 + len(body) :]


def pair_of(raw: bytes, key: SigningKey = COLD) -> bytes:
    """Return a key's witness as CBOR: [public key, signature]."""
    tx_id = hashlib.blake2b(body_of(raw)[0], digest_size=32).digest()
    signature = key.sign(tx_id).signature
    return b"\x82\x58\x20" + bytes(key.verify_key) + b"\x58\x40" + signature


def signed_whole(raw: bytes, *keys: SigningKey) -> bytes:
    """Return the transaction as a wallet gives it back, without the set's tag."""
    body, tail = body_of(raw)
    pairs = b"".join(pair_of(raw, key) for key in keys)
    return b"\x84" + body + b"\xa1\x00" + bytes([0x80 + len(keys)]) + pairs + tail


def envelope(kind: str, raw: bytes) -> bytes:
    """Return cardano-cli's text envelope."""
    return json.dumps({"type": kind, "description": "", "cborHex": raw.hex()}).encode()


ANSWERS: dict[str, Callable[[bytes], bytes]] = {
    "cardano-cli's signed transaction": lambda raw: envelope(
        "Witnessed Tx ConwayEra", signed_whole(raw, COLD)
    ),
    "a newer cardano-cli's": lambda raw: envelope("Tx ConwayEra", signed_whole(raw, COLD)),
    "cardano-cli's witness": lambda raw: envelope(
        "TxWitness ConwayEra", b"\x82\x00" + pair_of(raw)
    ),
    "bare hex": lambda raw: signed_whole(raw, COLD).hex().encode() + b"\n",
    "bare CBOR": lambda raw: signed_whole(raw, COLD),
    "bare hex of a witness": lambda raw: (b"\x82\x00" + pair_of(raw)).hex().encode(),
    "a browser wallet's witness set": lambda raw: (b"\xa1\x00\x81" + pair_of(raw)).hex().encode(),
    "the same with a tagged set": lambda raw: b"\xa1\x00\xd9\x01\x02\x81" + pair_of(raw),
    "signed by others too": lambda raw: signed_whole(raw, OTHER, COLD),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_a_signature_is_taken_in_every_form_that_wallets_give(
    answer: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    records, record = Records(tmp_path), unsigned_record()
    records.save(unsigned_record("cd"))
    records.save(record)
    raw = bytes.fromhex(record.submission.payment_tx)
    found = elsewhere.take_signature(records, answer(raw), NOW_S)
    paid = read_transaction(bytes.fromhex(found.submission.payment_tx))
    assert (found.job_id, found.unsigned, found.submitted) == (record.job_id, False, False)
    assert paid.body == read_transaction(raw).body
    assert [witness.public for witness in paid.witnesses] == [bytes(COLD.verify_key)]
    assert check_payment(paid.raw, pay.payment_terms(checked_quote())).amount == REQUEST.price
    assert records.find(record.job_id) == found


def test_taking_a_signature_twice_is_harmless(tmp_path: Path) -> None:
    records, record = Records(tmp_path), unsigned_record()
    records.save(record)
    answer = signed_whole(bytes.fromhex(record.submission.payment_tx), COLD)
    first = elsewhere.take_signature(records, answer, NOW_S)
    assert elsewhere.take_signature(records, answer, NOW_S + 10_000) == first
    records.save(replace(first, submitted=True))
    assert elsewhere.take_signature(records, answer, NOW_S).submitted


def refusal(content: bytes, tmp_path: Path, now_s: float = NOW_S) -> Exception:
    """Return the error with which an answer is refused; the record stays as it was."""
    records, record = Records(tmp_path), unsigned_record()
    records.save(record)
    with pytest.raises((VerificationError, UsageError)) as caught:
        elsewhere.take_signature(records, content, now_s)
    assert records.find(record.job_id) == record
    return caught.value


def payment() -> bytes:
    """Return the payment that waits for its signature."""
    return bytes.fromhex(unsigned_record().submission.payment_tx)


def test_a_payment_that_comes_back_unsigned_names_the_wallet_that_is_to_sign(
    tmp_path: Path,
) -> None:
    found = refusal(write_envelope(payment(), signed=False), tmp_path)
    assert isinstance(found, VerificationError)
    assert found.code == "no_witness"
    assert COLD_HOME.bech32 in found.hint


def test_the_signature_of_another_key_is_not_enough(tmp_path: Path) -> None:
    found = refusal(signed_whole(payment(), OTHER), tmp_path)
    assert isinstance(found, VerificationError)
    assert found.code == "no_witness"


def test_a_signature_that_does_not_hold_is_refused_whichever_bit_is_wrong(tmp_path: Path) -> None:
    raw = payment()
    pair = pair_of(raw)
    for place in range(37, len(pair)):  # the signature itself; before it lies the public key
        broken = pair[:place] + bytes([pair[place] ^ 1]) + pair[place + 1 :]
        body, tail = body_of(raw)
        whole = b"\x84" + body + b"\xa1\x00\x81" + broken + tail
        found = refusal(whole, tmp_path)
        assert isinstance(found, VerificationError)
        assert found.code == "bad_signature"
        found = refusal(b"\x82\x00" + broken, tmp_path)
        assert isinstance(found, VerificationError)
        assert found.code == "bad_signature"


def test_another_transaction_for_the_same_job_is_refused(tmp_path: Path) -> None:
    """Such as a wallet that balances anew: it might pay anything to anybody."""
    other = replace(unsigned_record().submission)
    built = pay.build_submission(
        checked_quote(), WALLET, funds(lovelace=60_000_000, at=COLD_HOME), LEDGER
    )
    assert built.payment_tx != other.payment_tx
    found = refusal(signed_whole(bytes.fromhex(built.payment_tx), COLD), tmp_path)
    assert isinstance(found, VerificationError)
    assert found.code == "other_transaction"


def test_the_payment_of_a_job_that_is_not_recorded_here_is_refused(tmp_path: Path) -> None:
    raw = bytes.fromhex(unsigned_record("ef").submission.payment_tx)
    assert "was not written here" in str(refusal(signed_whole(raw, COLD), tmp_path))
    found = refusal(b"\x82\x00" + pair_of(raw), tmp_path)
    assert isinstance(found, VerificationError)
    assert found.code == "bad_signature"


def test_after_the_quote_has_expired_nothing_is_paid(tmp_path: Path) -> None:
    found = refusal(signed_whole(payment(), COLD), tmp_path, NOW_S + 301)
    assert isinstance(found, RefusedError)
    assert found.code == "quote_expired"
    assert "expired 1 s ago; nothing was paid" in str(found)


def test_an_unsigned_payment_is_not_handed_in() -> None:
    with pytest.raises(UsageError, match="is not signed"):
        elsewhere.check_signed(unsigned_record())


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{}", b"[]", b"\x82\x00", b"\xa0", b"\xa1\x00\x80", b"\xa1\x01\x80", b"\x82\x01\x80",
        b"\x82\x00\x82\x41\x00\x41\x00", b'{"type": "Tx ConwayEra"}', b'{"type": 1, "cborHex": 1}',
        b'{"type": "PaymentSigningKeyShelley_ed25519", "cborHex": "5820"}', b"not a transaction",
        b'{"type": "Tx ConwayEra", "cborHex": "xx"}', b"0" * 200_000, b"{" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_signature_is_refused(content: bytes, tmp_path: Path) -> None:
    found = refusal(content, tmp_path)
    assert isinstance(found, MalformedError)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@settings(max_examples=500)
def test_nothing_but_a_refusal_comes_of_any_bytes(content: bytes) -> None:
    with contextlib.suppress(MalformedError):
        read_handed(content)


def test_what_goes_out_is_cardano_clis_envelope() -> None:
    raw = payment()
    found = json.loads(write_envelope(raw, signed=False))
    assert found["type"] == "Unwitnessed Tx ConwayEra"
    assert read_handed(json.dumps(found).encode()) == raw == bytes.fromhex(found["cborHex"])
