"""Two backends of which neither is believed alone.

What can only harm when it is believed counts only if both say it (a transaction is included, an
output is unspent); what can only harm when it is missed counts if either says it (an output is
spent). Where one does not answer, there is no answer. Every disagreement is logged with both.
"""

from __future__ import annotations

import logging

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.chain.backend import ChainTransaction, Genesis, RemoteChain, Tip
from nunet_dms.cardano.fees import FeeParams, Utxo
from nunet_dms.cardano.transaction import TxInput, read_transaction
from nunet_dms.errors import NunetError, RefusedError, UnreachableError

log = logging.getLogger(__name__)


class Agreeing:
    """A chain backend made of two; see the module. Any thread may call."""

    def __init__(self, first: RemoteChain, second: RemoteChain) -> None:
        self._first = first
        self._second = second

    def check_network(self) -> Genesis:
        """Ask both whose network they are; raises VerificationError for another than ours."""
        self._second.check_network()
        return self._first.check_network()

    def close(self) -> None:
        """Close both."""
        self._first.close()
        self._second.close()

    def tip(self) -> Tip:
        """Return the lower tip: what both have."""
        return min(self._first.tip(), self._second.tip(), key=lambda tip: (tip.height, tip.slot))

    def slot_at(self, time_s: float) -> int:
        """Return the slot of a Unix time in seconds."""
        return self._first.slot_at(time_s)

    def parameters(self) -> FeeParams:
        """Return the parameters; where they differ, whatever both will take."""
        one, other = self._first.parameters(), self._second.parameters()
        if one == other:
            return one
        _tell("parameters", "", one, other)
        return FeeParams(
            min_fee_a=max(one.min_fee_a, other.min_fee_a),
            min_fee_b=max(one.min_fee_b, other.min_fee_b),
            coins_per_utxo_byte=max(one.coins_per_utxo_byte, other.coins_per_utxo_byte),
            max_tx_size=min(one.max_tx_size, other.max_tx_size),
        )

    def transaction(self, tx_id: bytes) -> ChainTransaction | None:
        """Return the transaction if both have it with the same content; the later height counts.

        It is valid only if both say so. Signatures may differ: the id does not cover them.
        """
        one, other = self._first.transaction(tx_id), self._second.transaction(tx_id)
        if one is None or other is None:
            if one is not other:
                _tell("transaction", tx_id.hex(), one, other)
            return None
        if not _is_same(one.raw, other.raw):
            _tell("transaction", tx_id.hex(), one.raw.hex(), other.raw.hex())
            return None
        if one.valid != other.valid:
            _tell("validity", tx_id.hex(), one.valid, other.valid)
        later = max(one, other, key=lambda found: found.height)
        return ChainTransaction(
            one.raw, later.height, later.block_hash, valid=one.valid and other.valid
        )

    def utxo(self, ref: TxInput) -> Utxo | None:
        """Return the output if both have it unspent and alike."""
        one, other = self._first.utxo(ref), self._second.utxo(ref)
        if one is None or other is None or not _is_alike(one, other):
            if one is not other:
                _tell("utxo", str(ref), one, other)
            return None
        return one

    def is_spent(self, ref: TxInput) -> bool:
        """Return whether either says that a block has spent the output."""
        one, other = self._first.is_spent(ref), self._second.is_spent(ref)
        if one != other:
            _tell("is_spent", str(ref), one, other)
        return one or other

    def unspent_outputs(self, address: Address) -> tuple[Utxo, ...]:
        """Return what both list, richest first."""
        one = self._first.unspent_outputs(address)
        others = {utxo.ref: utxo for utxo in self._second.unspent_outputs(address)}
        both = tuple(
            [utxo for utxo in one if utxo.ref in others and _is_alike(utxo, others[utxo.ref])]
        )
        if len(both) != len(one) or len(both) != len(others):
            _tell("unspent_outputs", str(address), len(one), len(others))
        return both

    def submit(self, raw: bytes) -> bytes:
        """Hand a transaction to both; one that takes it is enough.

        Raises RefusedError if both refuse; UnreachableError if one refuses it and the other does
        not answer, since that one may have taken it.
        """
        taken: list[bytes] = []
        failures: list[NunetError] = []
        for chain in (self._first, self._second):
            try:
                taken.append(chain.submit(raw))
            except (RefusedError, UnreachableError) as failure:
                failures.append(failure)
        if taken:
            if failures:
                _tell("submit", taken[0].hex(), "taken", failures[0])
            return taken[0]
        raise next((each for each in failures if isinstance(each, UnreachableError)), failures[0])


def _is_same(one: bytes, other: bytes) -> bool:
    if one == other:
        return True
    read, also = read_transaction(one), read_transaction(other)
    return (read.body, read.metadata_raw) == (also.body, also.metadata_raw)


def _is_alike(one: Utxo, other: Utxo) -> bool:
    """Whether both hold the same at the same address; how it was encoded may not be known."""
    pair = [(utxo.ref, utxo.output.address, utxo.output.value) for utxo in (one, other)]
    return pair[0] == pair[1]


def _tell(what: str, which: str, one: object, other: object) -> None:
    log.warning(
        "chains_disagree about=%s of=%s first=%.2000s second=%.2000s", what, which, one, other
    )
