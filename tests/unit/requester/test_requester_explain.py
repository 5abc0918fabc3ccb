"""Before anything is signed it is told in words what it does, or it is not signed."""

from __future__ import annotations

from dataclasses import replace

from nunet_dms.cardano.builder import build_transfer, sign
from nunet_dms.cardano.network import MAINNET
from nunet_dms.cardano.output import new_output
from nunet_dms.cardano.script import script_hash, signature
from nunet_dms.cardano.transaction import Transaction, read_transaction
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.protocol.amount import Unit
from nunet_dms.requester import pay
from nunet_dms.requester.explain import asset_name, explain, known_units
from tests.unit.requester.requester_world import (
    HOME,
    LEDGER,
    REQUEST,
    REQUESTER,
    STRANGER,
    TOKEN,
    WALLET,
    checked_quote,
    funds,
)

UNITS = {TOKEN: Unit("mNTX", 6)}
THEIRS = STRANGER.address(0)


def transfer(value: Value, **more: object) -> Transaction:
    """Return a transfer of our own to somebody."""
    built = build_transfer(funds().utxos, (new_output(THEIRS, value),), HOME, **more)  # type: ignore[arg-type]
    return read_transaction(built.raw)


def told(transaction: Transaction) -> str:
    """Return the explanation as one text, everything explained."""
    found = explain(transaction, frozenset({HOME.raw}), UNITS)
    assert found.unexplained == ()
    return "\n".join(found.lines)


def ada(lovelace: int) -> str:
    """Return lovelace as a person writes ADA."""
    return f"{lovelace / 1e6:.6f}".rstrip("0")


def test_a_transfer_is_told_whole() -> None:
    transaction = transfer(Value.of(2_000_000, {TOKEN: 1500}))
    change = transaction.outputs[1].value
    assert told(transaction).splitlines() == [
        f"transaction {transaction.tx_id.hex()}",
        f"spends      {funds().utxos[0].ref}",
        f"pays        0.0015 mNTX, 2 ADA to {THEIRS}",
        f"back to us  0.0035 mNTX, {ada(change.lovelace)} ADA to {HOME}",
        f"fee         {ada(transaction.fee)} ADA",
        f"so leaves   0.0015 mNTX, {ada(2_000_000 + transaction.fee)} ADA",
    ]


def test_the_payment_of_a_job_names_the_job_and_until_when_it_counts() -> None:
    submission = pay.sign_submission(checked_quote(), WALLET, funds(), LEDGER)
    text = told(read_transaction(bytes.fromhex(submission.payment_tx)))
    assert f"payment of NuNet job {REQUEST.job_id}" in text
    assert f"before slot {LEDGER.slot + pay.PAYMENT_LIFE_SLOTS}" in text
    assert f"signed by   {REQUESTER.key_hash.hex()}" in text


def test_what_goes_to_nobody_we_know_is_said_to_leave() -> None:
    found = explain(transfer(Value(2_000_000)), frozenset(), UNITS)
    assert not any(line.startswith("back to us") for line in found.lines)
    leaves = next(line for line in found.lines if line.startswith("so leaves"))
    assert leaves == "so leaves   0.005 mNTX, 50 ADA"


def test_minting_and_burning_are_told() -> None:
    script = signature(REQUESTER.key_hash)
    ours = AssetId(script_hash(script), b"OUR")
    minted = transfer(Value.of(2_000_000, {ours: 5}), mint=((ours, 5),), scripts=(script,))
    text = told(minted)
    assert f"mints       5 of {ours.policy.hex()}.OUR" in text
    assert "scripts     1 native" in text


def test_a_token_without_known_decimals_is_told_in_base_units() -> None:
    found = explain(transfer(Value.of(2_000_000, {TOKEN: 1500})), frozenset(), {})
    assert f"1500 of {TOKEN.policy.hex()}.mNTX, 2 ADA" in "\n".join(found.lines)
    assert asset_name(AssetId(bytes(28), b"\x1b[2J")) == "00" * 28 + ".1b5b324a"


def test_mainnets_token_has_its_decimals() -> None:
    assert known_units()[MAINNET.asset] == Unit("NTX", 6)


def test_what_cannot_be_explained_is_named() -> None:
    plain = read_transaction(sign(transfer(Value(2_000_000)).raw, REQUESTER))
    for change, word in (
        ({"unsupported": ("certificates", "withdrawals")}, "certificates"),
        ({"claims_valid": False}, "a claim to be invalid"),
        ({"metadata_hash": bytes(32)}, "metadata that is not what its body names"),
        ({"metadata_raw": b"\xa0"}, "metadata that is not what its body names"),
    ):
        found = explain(replace(plain, **change), frozenset(), UNITS)  # type: ignore[arg-type]
        assert word in found.unexplained
