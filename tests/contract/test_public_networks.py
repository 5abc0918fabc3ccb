"""Against the real networks, for people with internet; nothing is sent, only read.

    NUNET_TEST_PREPROD=koios ./dev test            Koios wants no key
    NUNET_TEST_PREPROD=blockfrost NUNET_TEST_PREPROD_KEY_FILE=~/preprod.key ./dev test
    NUNET_TEST_PREPROD=ogmios NUNET_TEST_PREPROD_URL=http://127.0.0.1:1337 ./dev test
    NUNET_TEST_MAINNET=koios ./dev test            also reads a known payment of NTX

The key file holds the key alone and has mode 0600.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.chain.backend import RemoteChain
from nunet_dms.cardano.chain.opening import Source, Surroundings, open_chain
from nunet_dms.cardano.network import MAINNET, NETWORKS
from nunet_dms.cardano.transaction import TxInput, read_transaction

OLD_ESCROW = "addr_test1wp2nthmgs7n6cwfs4srjs8vtsayhss08he0vwyl2e0v836s5n6jgy"
"""The former NuNet's escrow on preprod: it held and may still hold outputs."""
NTX_PAYMENT = bytes.fromhex("92da9170498a95b7e403e3ef60ae89d2dad8535df0a547b2fd54363d17b5dc55")
NTX_PAID = 5_203_442_460
"""Base units: 5,203.44246 NTX."""
BLOCK_WAIT_S = 240
"""A block comes every 20 s or so; a pause of four minutes is one in 100,000."""


def opened(network: str, folder: Path) -> Iterator[RemoteChain]:
    """Open the backend that the environment names, or skip."""
    name = f"NUNET_TEST_{network.upper()}"
    backend = os.environ.get(name, "")
    if not backend:
        pytest.skip(f"reads the real {network}: set {name} to koios, blockfrost or ogmios")
    key_file = os.environ.get(f"{name}_KEY_FILE", "")
    source = Source(
        backend=backend,
        url=os.environ.get(f"{name}_URL", ""),
        key_file=Path(key_file).expanduser() if key_file else None,
    )
    chain = open_chain(source, Surroundings(NETWORKS[network], time.time, folder / "ogmios.db"))
    yield chain
    chain.close()


@pytest.fixture
def preprod(tmp_path: Path) -> Iterator[RemoteChain]:
    yield from opened("preprod", tmp_path)


@pytest.fixture
def mainnet(tmp_path: Path) -> Iterator[RemoteChain]:
    yield from opened("mainnet", tmp_path)


def check_living(chain: RemoteChain, magic: int) -> None:
    """Its network, its tip beside our clock, sane parameters."""
    assert chain.check_network().magic == magic
    tip, parameters = chain.tip(), chain.parameters()
    assert abs(chain.slot_at(tip.time_s) - tip.slot) <= 1
    assert abs(tip.time_s - time.time()) < 3600
    assert 10 <= parameters.min_fee_a <= 1000
    assert 50_000 <= parameters.min_fee_b <= 2_000_000
    assert 500 <= parameters.coins_per_utxo_byte <= 100_000
    assert parameters.max_tx_size >= 16_384


@pytest.mark.timeout(BLOCK_WAIT_S + 60)
def test_preprod_lives_and_its_tip_moves(preprod: RemoteChain) -> None:
    check_living(preprod, magic=1)
    first, ends_s = preprod.tip().height, time.monotonic() + BLOCK_WAIT_S
    while preprod.tip().height == first and time.monotonic() < ends_s:
        threading.Event().wait(3)
    assert preprod.tip().height > first


def test_preprod_s_outputs_are_those_of_transactions_with_the_ids_that_it_names(
    preprod: RemoteChain,
) -> None:
    address = parse_address(OLD_ESCROW)
    for listed in preprod.unspent_outputs(address)[:3]:
        utxo = preprod.utxo(listed.ref)
        assert utxo is not None
        assert utxo.output.address == address.raw
        assert utxo.output.value == listed.output.value
        assert not preprod.is_spent(listed.ref)
    nowhere = TxInput(bytes(32), 0)
    assert (preprod.transaction(bytes(32)), preprod.utxo(nowhere)) == (None, None)


def test_mainnet_has_the_payment_of_ntx_that_we_know(mainnet: RemoteChain) -> None:
    check_living(mainnet, MAINNET.magic)
    found = mainnet.transaction(NTX_PAYMENT)
    if found is None and os.environ["NUNET_TEST_MAINNET"] == "ogmios":
        pytest.skip("a node does not remember transactions")
    assert found is not None
    read = read_transaction(found.raw)
    assert read.tx_id == NTX_PAYMENT
    assert found.valid
    assert found.height < mainnet.tip().height
    amounts = [output.value.quantity(MAINNET.asset) for output in read.outputs]
    assert NTX_PAID in amounts
    assert mainnet.is_spent(read.inputs[0])
