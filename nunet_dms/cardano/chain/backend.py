"""What the Oracle asks of a chain, whichever one it is.

A backend is believed about four things only: where a transaction is, whether it passed phase 2,
what is spent, and where the tip is. The bytes it returns are read and checked by ourselves.
Whatever it is asked, a backend that does not answer, or answers nonsense, is an UnreachableError:
it says nothing about the chain. Two answers may be of different blocks, and behind one address of
a public backend stand several nodes: whoever finds an output spent, but not yet the transaction
that spent it, must not conclude that it was another one before asking again, some blocks later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.fees import FeeParams, Utxo
from nunet_dms.cardano.transaction import TxInput


@dataclass(frozen=True, slots=True)
class Tip:
    """The last block; `slot` is that block's own and may lie behind what the clock says."""

    slot: int
    height: int
    block_hash: bytes
    time_s: int


@dataclass(frozen=True, slots=True)
class ChainTransaction:
    """A transaction that is in a block: the bytes that travelled, and where they are."""

    raw: bytes
    height: int
    block_hash: bytes
    valid: bool
    """Whether its Plutus scripts passed (phase 2); an invalid one pays nobody."""


@dataclass(frozen=True, slots=True)
class Genesis:
    """What a backend says of its network."""

    magic: int
    system_start_s: int
    """Unix seconds of slot 0."""


class ChainBackend(Protocol):
    """A chain, seen from its last block; what only waits in the mempool is not part of it."""

    def tip(self) -> Tip:
        """Return the last block."""
        ...

    def slot_at(self, time_s: float) -> int:
        """Return the slot of a Unix time in seconds; deadlines are compared with slot_at(now)."""
        ...

    def parameters(self) -> FeeParams:
        """Return the protocol parameters in force."""
        ...

    def transaction(self, tx_id: bytes) -> ChainTransaction | None:
        """Return the transaction of that id, or None while no block holds it."""
        ...

    def utxo(self, ref: TxInput) -> Utxo | None:
        """Return the output if a block made it and none has spent it."""
        ...

    def is_spent(self, ref: TxInput) -> bool:
        """Return whether a block has spent the output; False also if it never existed."""
        ...

    def unspent_outputs(self, address: Address) -> tuple[Utxo, ...]:
        """Return what the address holds, richest first, up to the backend's limit."""
        ...

    def submit(self, raw: bytes) -> bytes:
        """Hand in a signed transaction and return its id; the same bytes twice do no harm.

        Raises RefusedError, whose code is a LedgerRule where the backend says which rule.
        """
        ...


class RemoteChain(ChainBackend, Protocol):
    """A chain that somebody else has: it answers for a network, and over connections."""

    def check_network(self) -> Genesis:
        """Return what it says of its network, once that is the one we are set to.

        Raises VerificationError `wrong_network` for another.
        """
        ...

    def close(self) -> None:
        """Close connections and files."""
        ...
