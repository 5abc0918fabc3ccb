"""What a transaction does, in words, for whoever is about to sign it."""

from __future__ import annotations

from dataclasses import dataclass

from nunet_dms.cardano.address import address_from_bytes
from nunet_dms.cardano.builder import METADATA_LABEL
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.network import NETWORKS
from nunet_dms.cardano.output import TxOutput
from nunet_dms.cardano.transaction import Transaction
from nunet_dms.cardano.value import AssetId, Value, total
from nunet_dms.errors import MalformedError
from nunet_dms.protocol.amount import ADA, Unit, unit_of

Units = dict[AssetId, Unit]
"""The tokens whose decimals are known; all others are shown in base units."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a transaction does; `unexplained` names the parts that we cannot tell the effect of."""

    lines: tuple[str, ...]
    unexplained: tuple[str, ...]


def known_units() -> Units:
    """Return the units of the tokens of all networks that we know."""
    return {
        network.asset: unit_of(network.token_name, network.token_decimals)
        for network in NETWORKS.values()
        if network.token_policy is not None
    }


def explain(transaction: Transaction, home: frozenset[bytes], units: Units) -> Explanation:
    """Return what the transaction does, as seen by whoever has these addresses (raw).

    It cannot say what its inputs hold, which only a ledger knows; all that leaves is said.
    """
    leaving = [output for output in transaction.outputs if output.address not in home]
    lines = [f"transaction {transaction.tx_id.hex()}"]
    lines += [f"spends      {reference}" for reference in transaction.inputs]
    for output in transaction.outputs:
        word = "back to us " if output.address in home else "pays       "
        lines.append(f"{word} {_output(output, units)}")
    lines += [
        f"{'mints' if amount > 0 else 'burns'}       {_quantity(asset, abs(amount), units)}"
        for asset, amount in transaction.mint
    ]
    lines.append(f"fee         {ADA.show(transaction.fee)}")
    away = total(tuple(output.value for output in leaving)) + Value(transaction.fee)
    lines.append(f"so leaves   {show_value(away, units)}")
    lines += _conditions(transaction)
    unexplained = transaction.unsupported
    raw, digest = transaction.metadata_raw, transaction.metadata_hash
    if (None if raw is None else blake2b_256(raw)) != digest:
        unexplained = (*unexplained, "metadata that is not what its body names")
    if not transaction.claims_valid:
        unexplained = (*unexplained, "a claim to be invalid")
    return Explanation(tuple(lines), unexplained)


def show_value(value: Value, units: Units) -> str:
    """Return a value as people write it, the tokens first."""
    parts = [_quantity(asset, amount, units) for asset, amount in value.assets]
    return ", ".join([*parts, ADA.show(value.lovelace)])


def asset_name(asset: AssetId) -> str:
    """Return `policy.name`, the name in letters where it has only letters, digits and marks."""
    name = asset.name.decode("ascii", "replace")
    plain = bool(name) and name.isascii() and name.isprintable() and " " not in name
    return f"{asset.policy.hex()}.{name if plain else asset.name.hex()}"


def _quantity(asset: AssetId, amount: int, units: Units) -> str:
    unit = units.get(asset)
    return unit.show(amount) if unit else f"{amount} of {asset_name(asset)}"


def _output(output: TxOutput, units: Units) -> str:
    try:
        place = str(address_from_bytes(output.address))
    except MalformedError:
        place = f"an address of another kind, {output.address.hex()}"
    extras = "".join(
        text
        for present, text in (
            (output.has_datum, ", with a datum"),
            (output.has_script_ref, ", with a script"),
        )
        if present
    )
    return f"{show_value(output.value, units)} to {place}{extras}"


def _conditions(transaction: Transaction) -> list[str]:
    lines = []
    if transaction.valid_from is not None:
        lines.append(f"valid       from slot {transaction.valid_from}")
    if transaction.ttl is not None:
        lines.append(f"valid       before slot {transaction.ttl}")
    lines += [
        f"signer      {key_hash.hex()} must sign" for key_hash in transaction.required_signers
    ]
    if transaction.native_scripts:
        lines.append(f"scripts     {len(transaction.native_scripts)} native")
    lines += [f"metadata    {_note(label, transaction)}" for label in transaction.metadata]
    lines += [f"signed by   {signer.hex()}" for signer in sorted(transaction.signers)]
    return lines


def _note(label: int, transaction: Transaction) -> str:
    note = transaction.metadata[label]
    job = note.get("job") if isinstance(note, dict) else None
    if label == METADATA_LABEL and isinstance(job, bytes):
        return f"payment of NuNet job {job.hex()[:32]}"
    return f"label {label}"
