"""An own node through Ogmios: places are remembered, rollbacks are noticed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Heard, Say, playing

from nunet_dms.cardano.builder import build_transfer
from nunet_dms.cardano.chain.backend import RemoteChain
from nunet_dms.cardano.chain.ogmios_memory import OgmiosMemory
from nunet_dms.cardano.chain.opening import Source, Surroundings, open_chain
from nunet_dms.cardano.chain.pace import Timing
from nunet_dms.cardano.fees import Utxo
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.network import PREPROD
from nunet_dms.cardano.output import new_output
from nunet_dms.cardano.signing import sign
from nunet_dms.cardano.transaction import TxInput, read_transaction
from nunet_dms.cardano.value import Value
from nunet_dms.errors import ConfigError

KEY = PaymentKey.from_seed(bytes([1]) * 32)
HOME = KEY.address(0)
FUNDS = Utxo(TxInput(bytes([9]) * 32, 3), new_output(HOME, Value(50_000_000)))
RAW = sign(build_transfer((FUNDS,), (new_output(HOME, Value(5_000_000)),), HOME).raw, KEY)
READ = read_transaction(RAW)
MADE = [TxInput(READ.tx_id, index) for index in range(len(READ.outputs))]


@dataclass
class Ledger:
    """A node's ledger state: what is unspent, and the tip."""

    height: int = 7
    unspent: set[TxInput] = field(default_factory=set)

    def __call__(self, heard: Heard) -> Say:
        asked = json.loads(heard.body)
        return Say({"jsonrpc": "2.0", "result": self.result(asked["method"], asked.get("params"))})

    def result(self, method: str, params: Any) -> Any:
        match method:
            case "queryNetwork/genesisConfiguration":
                return {"networkMagic": 1, "startTime": "2022-06-01T00:00:00Z"}
            case "queryNetwork/tip":
                return {"slot": 100_000 + self.height, "id": f"{self.height:064x}"}
            case "queryNetwork/blockHeight":
                return self.height
            case "submitTransaction":
                return {"transaction": {"id": READ.tx_id.hex()}}
            case _:
                refs = [TxInput(bytes.fromhex(each["transaction"]["id"]), each["index"])
                        for each in params["outputReferences"]]  # fmt: skip
                return [self.row(ref) for ref in refs if ref in self.unspent]

    def row(self, ref: TxInput) -> dict[str, Any]:
        return {
            "transaction": {"id": ref.tx_id.hex()},
            "index": ref.index,
            "address": HOME.bech32,
            "value": {"ada": {"lovelace": 5}},
        }


@contextmanager
def asking(url: str, file: Path) -> Iterator[RemoteChain]:
    timing = Timing(wait=lambda _seconds: None, jitter=lambda: 0.0)
    chain = open_chain(
        Source(backend="ogmios", url=url), Surroundings(PREPROD, lambda: 0.0, file, timing)
    )
    try:
        yield chain
    finally:
        chain.close()


def test_a_payment_is_placed_when_it_is_first_seen_and_its_place_outlives_the_process(
    tmp_path: Path,
) -> None:
    ledger = Ledger(unspent={FUNDS.ref})
    file = tmp_path / "ogmios.db"
    with playing(ledger) as played:
        with asking(played.url, file) as chain:
            assert chain.transaction(READ.tx_id) is None  # never handed in
            assert chain.submit(RAW) == READ.tx_id
            assert chain.transaction(READ.tx_id) is None
            ledger.height, ledger.unspent = 9, set(MADE)
            found = chain.transaction(READ.tx_id)
            assert found is not None
            assert (found.raw, found.height, found.valid) == (RAW, 9, True)
            assert found.block_hash == (9).to_bytes(32, "big")
        ledger.height = 30
        with asking(played.url, file) as chain:
            assert chain.transaction(READ.tx_id) == found
            spent = chain.utxo(MADE[0])
            assert spent == Utxo(MADE[0], READ.outputs[0])  # by our bytes, not the row's
            ledger.unspent.remove(MADE[0])
            assert (chain.utxo(MADE[0]), chain.is_spent(MADE[0])) == (None, True)
            assert not chain.is_spent(TxInput(READ.tx_id, 9))
            ledger.unspent.clear()
            assert chain.transaction(READ.tx_id) == found  # spent, all of it
            assert chain.is_spent(MADE[1])


def test_a_payment_that_a_rollback_takes_out_is_gone_and_counts_anew_when_it_is_back(
    tmp_path: Path,
) -> None:
    ledger = Ledger(height=9, unspent=set(MADE))
    with playing(ledger) as played, asking(played.url, tmp_path / "ogmios.db") as chain:
        chain.submit(RAW)
        assert chain.transaction(READ.tx_id) is not None
        ledger.height, ledger.unspent = 8, {FUNDS.ref}
        assert chain.transaction(READ.tx_id) is None
        assert (chain.utxo(MADE[0]), chain.is_spent(MADE[0])) == (None, False)
        ledger.height, ledger.unspent = 12, set(MADE)
        found = chain.transaction(READ.tx_id)
        assert found is not None
        assert found.height == 12


def test_two_nodes_of_one_s_own_do_not_share_what_they_have_seen(tmp_path: Path) -> None:
    ahead, behind = Ledger(height=9, unspent=set(MADE)), Ledger(height=8, unspent={FUNDS.ref})
    with playing(ahead) as first, playing(behind) as second:
        chain = open_chain(
            Source(backend="ogmios", url=first.url),
            Surroundings(PREPROD, lambda: 0.0, tmp_path / "ogmios.db"),
            Source(backend="ogmios", url=second.url),
        )
        chain.submit(RAW)
        assert chain.transaction(READ.tx_id) is None
        ahead.height, behind.height, behind.unspent = 12, 11, set(MADE)
        found = chain.transaction(READ.tx_id)
        chain.close()
    assert found is not None
    assert found.height == 11  # where the second saw it; the first still has 9


def test_what_was_never_seen_is_not_taken_for_included(tmp_path: Path) -> None:
    ledger = Ledger()
    with playing(ledger) as played, asking(played.url, tmp_path / "ogmios.db") as chain:
        chain.submit(RAW)
        assert chain.transaction(READ.tx_id) is None  # neither its outputs nor its inputs
        assert not chain.is_spent(MADE[0])


def test_a_file_that_is_not_its_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"no database" * 100)
    with pytest.raises(ConfigError, match="cannot open"):
        OgmiosMemory(tmp_path / "odd")
    with pytest.raises(ConfigError, match="cannot open"):
        OgmiosMemory(tmp_path / "no folder" / "x")
    db = sqlite3.connect(tmp_path / "newer")
    db.execute("PRAGMA user_version = 2")
    db.close()
    with pytest.raises(ConfigError, match="its version is 2, not 1"):
        OgmiosMemory(tmp_path / "newer")
