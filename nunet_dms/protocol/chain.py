"""What the Oracle tells of its ledger to wallets that have no chain backend of their own."""

from dataclasses import dataclass, field
from typing import Annotated

from nunet_dms.protocol.bounds import (
    AddressText,
    Amount,
    Hex28,
    Hex32,
    HexBytes,
    Length,
    PositiveAmount,
    Range,
    Slot,
    TokenName,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainParameters:
    """Fee and size rules of the ledger, and its present slot."""

    min_fee_a: Annotated[int, Range(0, 10**9)]
    min_fee_b: Annotated[int, Range(0, 10**12)]
    coins_per_utxo_byte: Annotated[int, Range(0, 10**9)]
    max_tx_size: Annotated[int, Range(0, 10**9)]
    slot: Slot
    height: Annotated[int, Range(0, 2**40)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetQuantity:
    """So many base units of one token."""

    policy: Hex28
    name: TokenName
    quantity: PositiveAmount


@dataclass(frozen=True, slots=True, kw_only=True)
class UtxoView:
    """One unspent output."""

    tx_id: Hex32
    index: Annotated[int, Range(0, 65_535)]
    lovelace: Amount
    assets: Annotated[tuple[AssetQuantity, ...], Length(0, 1000)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UtxoList:
    """Unspent outputs at an address."""

    utxos: Annotated[tuple[UtxoView, ...], Length(0, 10_000)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionBody:
    """A signed transaction."""

    tx: HexBytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionId:
    """The id of a transaction that the ledger took."""

    tx_id: Hex32


@dataclass(frozen=True, slots=True, kw_only=True)
class FaucetRequest:
    """Ask the development ledger for ADA and mNTX without value."""

    address: AddressText
    lovelace: Annotated[int, Range(2_000_000, 10**12)] = 100_000_000
    tokens: Annotated[int, Range(1, 10**15)] = field(default=1_000_000_000)
