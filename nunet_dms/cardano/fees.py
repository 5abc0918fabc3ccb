"""Fees and minimum ADA, and the unspent outputs that pay them."""

from __future__ import annotations

from dataclasses import dataclass

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.output import TxOutput, new_output
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import AssetId, Value

OUTPUT_OVERHEAD_BYTES = 160
"""What the ledger adds to an output's size for its reference (Babbage, CIP-55)."""
TYPICAL_LOVELACE = 1_000_000
"""Encodes in as many bytes as any minimum, so that an output's size can be told before it."""


@dataclass(frozen=True, slots=True)
class FeeParams:
    """The protocol parameters that a builder needs; the defaults are mainnet's."""

    min_fee_a: int = 44
    """Lovelace per byte of transaction."""
    min_fee_b: int = 155_381
    """Lovelace per transaction."""
    coins_per_utxo_byte: int = 4310
    """Lovelace that an output must hold for each of its bytes."""
    max_tx_size: int = 16_384
    """Bytes."""
    max_value_size: int = 5_000
    """Bytes of what one output holds, without its address."""


PROTOCOL = FeeParams()


@dataclass(frozen=True, slots=True)
class Utxo:
    """An unspent output and the reference that spends it."""

    ref: TxInput
    output: TxOutput


def min_fee(size: int, params: FeeParams = PROTOCOL) -> int:
    """Return the least fee in lovelace of a transaction of that many bytes.

    The ledger does not count the byte of `is_valid`; who builds may, and pays 44 lovelace more.
    """
    return params.min_fee_a * size + params.min_fee_b


def min_lovelace(output: TxOutput, params: FeeParams = PROTOCOL) -> int:
    """Return the least lovelace that the ledger lets an output of this size hold."""
    return params.coins_per_utxo_byte * (OUTPUT_OVERHEAD_BYTES + output.size)


def smallest_output(
    address: Address, assets: dict[AssetId, int], params: FeeParams = PROTOCOL
) -> TxOutput:
    """Return the output that carries these assets with no more ADA than the ledger wants."""
    typical = new_output(address, Value.of(TYPICAL_LOVELACE, assets))
    return new_output(address, Value.of(min_lovelace(typical, params), assets))
