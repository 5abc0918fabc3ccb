"""A second wallet: pycardano makes the same keys of the same words, and signs what we write."""

from __future__ import annotations

import json
from pathlib import Path

import pycardano as pc
import pytest
from pycardano.crypto.bip32 import HDWallet

from nunet_dms.cardano import hd, mnemonic
from nunet_dms.cardano.envelope import write_envelope
from nunet_dms.cardano.payment import check_payment
from nunet_dms.requester import elsewhere, pay
from nunet_dms.requester.records import Records
from tests.unit.requester.requester_world import NOW_S, REQUEST, STRANGER, checked_quote
from tests.unit.requester.test_requester_elsewhere import unsigned_record


@pytest.mark.parametrize("length", [16, 20, 24, 28, 32])
def test_pycardano_makes_the_same_keys_address_and_signatures_of_the_words(length: int) -> None:
    entropy = bytes(range(length))
    theirs = HDWallet.from_mnemonic(" ".join(mnemonic.words_of(entropy)))
    payment = theirs.derive_from_path("m/1852'/1815'/0'/0/0")
    stake = theirs.derive_from_path("m/1852'/1815'/0'/2/0")
    ours = hd.master_key(entropy)
    key, stake_key = ours.at(hd.PAYMENT_PATH).key, ours.at(hd.STAKE_PATH).key
    assert (payment.public_key, stake.public_key) == (key.public, stake_key.public)
    address = pc.Address(
        pc.PaymentVerificationKey.from_primitive(payment.public_key).hash(),
        pc.StakeVerificationKey.from_primitive(stake.public_key).hash(),
        pc.Network.TESTNET,
    )
    assert address.encode() == hd.base_address(key.key_hash, stake_key.key_hash, 0).bech32
    assert pc.ExtendedSigningKey.from_hdwallet(payment).sign(b"hello") == key.sign(b"hello")


def test_pycardano_signs_a_payment_that_we_wrote(tmp_path: Path) -> None:
    records, record = Records(tmp_path), unsigned_record()
    records.save(record)
    written = write_envelope(bytes.fromhex(record.submission.payment_tx), signed=False)
    transaction = pc.Transaction.from_cbor(json.loads(written)["cborHex"])
    for output in transaction.transaction_body.outputs:
        output.post_alonzo = True  # else it encodes them anew as arrays, and the id is another
    key = pc.PaymentSigningKey(STRANGER.seed)
    witness = pc.VerificationKeyWitness(
        key.to_verification_key(), key.sign(transaction.transaction_body.hash())
    )
    transaction.transaction_witness_set = pc.TransactionWitnessSet(vkey_witnesses=[witness])
    signed = {"type": "Witnessed Tx ConwayEra", "cborHex": transaction.to_cbor_hex()}
    found = elsewhere.take_signature(records, json.dumps(signed).encode(), NOW_S)
    payment = bytes.fromhex(found.submission.payment_tx)
    assert check_payment(payment, pay.payment_terms(checked_quote())).amount == REQUEST.price
