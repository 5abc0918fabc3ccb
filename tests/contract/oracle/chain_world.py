"""The development ledger's three faces over real HTTP, backends that ask them, and a spender."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from oracle_world import World

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.builder import build_transfer
from nunet_dms.cardano.cbor import Encoded, encode
from nunet_dms.cardano.chain.backend import RemoteChain
from nunet_dms.cardano.chain.opening import Source, Surroundings, open_chain
from nunet_dms.cardano.chain.pace import Timing
from nunet_dms.cardano.fees import Utxo
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.network import DEVNET
from nunet_dms.cardano.output import encode_output, new_output
from nunet_dms.cardano.signing import sign
from nunet_dms.cardano.transaction import TxInput, read_transaction
from nunet_dms.cardano.value import Value
from nunet_dms.protocol.secretfile import write_secret

ADA = 1_000_000
FACES = {
    "koios": "/devnet/koios/api/v1",
    "blockfrost": "/devnet/blockfrost/api/v0",
    "ogmios": "/devnet/ogmios",
}
IMPATIENT = Timing(wait=lambda _seconds: None, jitter=lambda: 0.0, read_timeout_s=5.0)
"""Asks again at once, so that no test waits."""


def source_of(world: World, name: str, folder: Path) -> Source:
    """Return a backend that asks a face of a served development ledger."""
    key_file = None
    if name == "blockfrost":
        key_file = folder / "blockfrost.key"
        if not key_file.exists():
            write_secret(key_file, b"devnetAnyKeyWillDo\n")
    return Source(backend=name, url=world.url + FACES[name], key_file=key_file)


@contextmanager
def remote(
    source: Source, clock: Callable[[], float], folder: Path, second: Source | None = None
) -> Iterator[RemoteChain]:
    """Open a backend for as long as the block lasts."""
    around = Surroundings(DEVNET, clock, folder / "ogmios.db", IMPATIENT)
    chain = open_chain(source, around, second)
    try:
        yield chain
    finally:
        chain.close()


class Spender:
    """A key with funds, and transactions that it signs."""

    def __init__(self, world: World) -> None:
        self.key = PaymentKey.generate()
        self.address: Address = self.key.address(DEVNET.network_id)
        assert world.oracle.devnet is not None
        self._devnet = world.oracle.devnet
        self._devnet.faucet(self.address, 100 * ADA, 1000)
        world.step(3)

    def funds(self) -> tuple[Utxo, ...]:
        return self._devnet.unspent_outputs(self.address)

    def transfer(self, lovelace: int = 5 * ADA, of: tuple[Utxo, ...] = ()) -> bytes:
        """Pay some of what we have to ourselves."""
        outputs = (new_output(self.address, Value(lovelace)),)
        return sign(build_transfer(of or self.funds(), outputs, self.address).raw, self.key)

    def odd(self, **changes: object) -> bytes:
        """A transfer of everything whose body has been changed before it was signed."""
        utxo = self.funds()[0]
        fee = 200_000
        rest = utxo.output.value - Value(fee)
        body: dict[int, object] = {
            0: [[utxo.ref.tx_id, utxo.ref.index]],
            1: [Encoded(encode_output(new_output(self.address, rest)))],
            2: fee,
        }
        body |= {int(key[1:]): value for key, value in changes.items()}
        encoded = encode(body)
        witness = [self.key.public, self.key.sign(blake2b_256(encoded))]
        return encode([Encoded(encoded), {0: [witness]}, True, None])


def change_of(raw: bytes) -> Utxo:
    """Return the last output of a transaction."""
    transaction = read_transaction(raw)
    index = len(transaction.outputs) - 1
    return Utxo(TxInput(transaction.tx_id, index), transaction.outputs[index])
