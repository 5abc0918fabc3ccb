"""What the backends that ask somebody else have in common.

Whose network it is, is asked once before anything else is believed; the tip is not asked again
within 2 s and the parameters not within 5 minutes, so that one turn with many jobs asks once. The
bytes of a transaction are read by ourselves, and count only if their hash is the id asked for.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from nunet_dms.cardano.address import Address, parse_address
from nunet_dms.cardano.body import MAX_OUTPUT_INDEX
from nunet_dms.cardano.chain.answers import Part, wrong
from nunet_dms.cardano.chain.backend import ChainTransaction, Genesis, Tip
from nunet_dms.cardano.chain.http import ChainHttp
from nunet_dms.cardano.chain.ledger import LedgerRule
from nunet_dms.cardano.fees import FeeParams, Utxo
from nunet_dms.cardano.network import Network
from nunet_dms.cardano.output import TxOutput, new_output
from nunet_dms.cardano.slots import SHELLEY_BEGINS, SlotAnchor
from nunet_dms.cardano.transaction import (
    Transaction,
    TxInput,
    read_transaction,
)
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.errors import (
    MalformedError,
    RefusedError,
    UnreachableError,
    VerificationError,
)

TIP_LIFE_S = 2.0
PARAMETERS_LIFE_S = 300.0
OUTPUTS_MAX = 1000
"""Unspent outputs of one address: more are not asked for."""
HEIGHT_MAX = 2**40
SLOT_MAX = 2**60
MAX_TX_SIZE_MAX = 65_536
"""Bytes; the ledger's is 16,384. Our reader takes no longer transaction."""
MIN_FEE_A_MAX = 10**6
MIN_FEE_B_MAX = 10**10
COINS_PER_BYTE_MAX = 10**8
"""Lovelace: far above what they ever were; an absurd parameter is not used."""

T = TypeVar("T")


class Recent(Generic[T]):
    """The last answer to one question, kept for so many seconds. Threads may share it."""

    def __init__(self, clock: Callable[[], float], life_s: float) -> None:
        self._clock = clock
        self._life_s = life_s
        self._lock = threading.Lock()
        self._kept: tuple[float, T] | None = None

    def get(self, ask: Callable[[], T]) -> T:
        """Return the answer, asking where there is none or it is too old."""
        with self._lock:
            kept, now_s = self._kept, self._clock()
        if kept is not None and 0 <= now_s - kept[0] <= self._life_s:
            return kept[1]
        answer = ask()
        with self._lock:
            self._kept = (now_s, answer)
        return answer


class Remote(ABC):
    """A backend that asks somebody else, with its memory: network once checked, tip, parameters.

    Any thread may call; `clock` returns Unix seconds.
    """

    name: ClassVar[str]

    def __init__(self, http: ChainHttp, network: Network, clock: Callable[[], float]) -> None:
        self._http = http
        self._network = network
        self._genesis: Genesis | None = None
        self._recent_tip: Recent[Tip] = Recent(clock, TIP_LIFE_S)
        self._recent_parameters: Recent[FeeParams] = Recent(clock, PARAMETERS_LIFE_S)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def check_network(self) -> Genesis:
        """Return what the backend says of its network, once it is the one we are set to.

        Raises VerificationError `wrong_network` for another, and UnreachableError.
        """
        if self._genesis is None:
            found = self._ask_genesis()
            if found.magic != self._network.magic:
                raise VerificationError(
                    "wrong_network",
                    f"cannot use this chain: {self.name} answers for the network with magic "
                    f"{found.magic}, {self._network.name} has {self._network.magic}",
                    hint="set [oracle] network and [chain] url in oracle.toml to the same network",
                )
            self._genesis = found
        return self._genesis

    def tip(self) -> Tip:
        """Return the last block; at most 2 s old."""
        return self._recent_tip.get(self._ask_tip)

    def parameters(self) -> FeeParams:
        """Return the protocol parameters in force; at most 5 minutes old."""
        return self._recent_parameters.get(self._ask_parameters)

    def slot_at(self, time_s: float) -> int:
        """Return the slot of a Unix time in seconds; of a public network without asking anybody."""
        return self._anchor().slot_at(time_s)

    @abstractmethod
    def _ask_genesis(self) -> Genesis: ...

    @abstractmethod
    def _ask_tip(self) -> Tip: ...

    @abstractmethod
    def _ask_parameters(self) -> FeeParams: ...

    def _ready(self) -> None:
        """Return once the network is known to be ours; raises UnreachableError."""
        try:
            self.check_network()
        except VerificationError as error:
            raise UnreachableError(str(error), hint=error.hint) from error

    def _check_address(self, address: Address) -> None:
        """Raise RefusedError for another network's address: nothing of it is ever here."""
        if address.network_id != self._network.network_id:
            raise RefusedError(
                LedgerRule.WRONG_OUTPUT_NETWORK.value,
                f"cannot use {address} here: this is {self._network.name}",
            )

    def _time_of(self, slot: int) -> int:
        """Return the Unix time in seconds at which a slot begins."""
        anchor = self._anchor()
        return anchor.time_s + slot - anchor.slot

    def _anchor(self) -> SlotAnchor:
        anchor = SHELLEY_BEGINS.get(self._network.name)
        if anchor is None:  # a development network began when it was made
            self._ready()
            anchor = SlotAnchor(0, self.check_network().system_start_s)
        return anchor


class Indexer(Remote):
    """A backend that knows every transaction by its id, and what became of every output."""

    utxo_source: ClassVar[str]
    """Where it says what is spent, for messages."""

    def transaction(self, tx_id: bytes) -> ChainTransaction | None:
        """Return the transaction of that id, or None while no block holds it."""
        found = self._look_up(tx_id)
        return None if found is None else found[0]

    def utxo(self, ref: TxInput) -> Utxo | None:
        """Return the output if a block made it and none has spent it."""
        if self._spent(ref) is not False:
            return None
        found = self._look_up(ref.tx_id)
        if found is None or not found[0].valid:
            return None
        return output_of(found[1], ref, self.utxo_source)

    def is_spent(self, ref: TxInput) -> bool:
        """Return whether a block has spent the output; False also if it never existed."""
        return self._spent(ref) is True

    @abstractmethod
    def _look_up(self, tx_id: bytes) -> tuple[ChainTransaction, Transaction] | None:
        """Return a transaction as the chain has it and as we read it."""

    @abstractmethod
    def _spent(self, ref: TxInput) -> bool | None:
        """Return whether an output is spent; None if there is no such output."""


def read_exact(raw: bytes, tx_id: bytes, where: str) -> Transaction:
    """Read the bytes of a transaction that was asked for; others raise UnreachableError."""
    try:
        transaction = read_transaction(raw)
    except MalformedError as error:
        raise wrong(where, f"it gives a transaction that cannot be read: {error}") from error
    if transaction.tx_id != tx_id:
        raise wrong(
            where, f"asked for transaction {tx_id.hex()} it gives {transaction.tx_id.hex()}"
        )
    return transaction


def output_of(transaction: Transaction, ref: TxInput, where: str) -> Utxo:
    """Return one output as the transaction's own bytes have it."""
    if ref.index >= len(transaction.outputs):
        raise wrong(where, f"it knows an output {ref}, which the transaction does not have")
    return Utxo(ref, transaction.outputs[ref.index])


def listed_output(
    address: Address, value: Value, *, has_datum: bool, has_script_ref: bool
) -> TxOutput:
    """Return an output as a backend lists it, with the size that we would encode it in."""
    plain = new_output(address, value)
    return TxOutput(plain.address, value, has_datum, has_script_ref, plain.size)


def read_ref(tx_id: Part, index: Part) -> TxInput:
    """Read a reference from its two parts."""
    return TxInput(tx_id.octets(32), index.whole(0, MAX_OUTPUT_INDEX))


def read_asset(policy: bytes, name: bytes, where: str) -> AssetId:
    """Return an asset; raises UnreachableError for impossible lengths."""
    if len(policy) != 28 or len(name) > 32:
        raise wrong(where, "it names an impossible token")
    return AssetId(policy, name)


def check_speaks_of(part: Part, address: Address) -> None:
    """Raise UnreachableError unless the backend speaks of the address that was asked for."""
    try:
        found = parse_address(part.text())
    except MalformedError as error:
        raise wrong(part.where, str(error)) from error
    if found != address:
        raise wrong(part.where, f"asked for {address} it speaks of {found}")


def richest_first(found: list[Utxo]) -> tuple[Utxo, ...]:
    """Sort by lovelace, then by reference, as every backend of ours lists outputs."""
    found.sort(key=lambda utxo: (-utxo.output.value.lovelace, utxo.ref))
    return tuple(found[:OUTPUTS_MAX])


def fee_params(min_fee_a: Part, min_fee_b: Part, coins: Part, max_size: Part) -> FeeParams:
    """Return the parameters within their bounds; raises UnreachableError."""
    return FeeParams(
        min_fee_a=min_fee_a.whole(1, MIN_FEE_A_MAX),
        min_fee_b=min_fee_b.whole(0, MIN_FEE_B_MAX),
        coins_per_utxo_byte=_within(coins, coins.quantity(), COINS_PER_BYTE_MAX),
        max_tx_size=max_size.whole(1, MAX_TX_SIZE_MAX),
    )


def _within(part: Part, number: int, most: int) -> int:
    if not 0 < number <= most:
        raise wrong(part.where, f"{number} is out of all proportion")
    return number
