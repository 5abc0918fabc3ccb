"""The chain by Blockfrost (OpenAPI 0.1.91): needs a project id, which is read from a file.

10 calls a second with bursts of 500, and a daily quota. 402 (quota), 403 (key) and 418 (banned)
are not asked again for five minutes; 404 means that there is no such thing on the chain.
"""

from __future__ import annotations

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.chain import remote
from nunet_dms.cardano.chain.answers import Part, wrong
from nunet_dms.cardano.chain.backend import ChainTransaction, Genesis, Tip
from nunet_dms.cardano.chain.http import Body
from nunet_dms.cardano.chain.ledger import read_bounded
from nunet_dms.cardano.chain.node_refusals import judge_refusal, rule_in_words
from nunet_dms.cardano.chain.pace import Limit
from nunet_dms.cardano.chain.remote import Indexer
from nunet_dms.cardano.fees import FeeParams, Utxo
from nunet_dms.cardano.transaction import Transaction, TxInput
from nunet_dms.cardano.value import POLICY_BYTES, AssetId, Value

NAME = "blockfrost"
LIMIT = Limit(burst=450, per_s=9.0)
"""A tenth less than the burst of 500 and the 10 calls a second that an address is allowed."""
KEY_HEADER = "project_id"
PAGE_ROWS = 100
"""The most that one page may hold."""
PAGES_MAX = remote.OUTPUTS_MAX // PAGE_ROWS

_ABSENT = frozenset({404})
_REFUSED = frozenset({400})
_CBOR = "application/cbor"
_LOVELACE = "lovelace"


class Blockfrost(Indexer):
    """A chain backend; see the module."""

    name = NAME
    utxo_source = "blockfrost /txs/{hash}/utxos"

    def unspent_outputs(self, address: Address) -> tuple[Utxo, ...]:
        """Return what the address holds, richest first, at most 1000."""
        self._check_address(address)
        found: list[Utxo] = []
        for page in range(1, PAGES_MAX + 1):
            asked = f"?count={PAGE_ROWS}&page={page}"
            answer = self._get(f"/addresses/{address.bech32}/utxos{asked}")
            rows = answer.items() if answer else ()
            found += [_row(row, address) for row in rows]
            if len(rows) < PAGE_ROWS:
                break
        return remote.richest_first(found)

    def submit(self, raw: bytes) -> bytes:
        """Hand in a signed transaction and return its id; raises as ChainBackend.submit does."""
        transaction = read_bounded(raw)
        self._ready()
        reply = self._http.post("/tx/submit", Body(raw, _CBOR), allowed=_REFUSED)
        if reply.status == 400:
            said = reply.json().at("message").text()
            return judge_refusal(self, transaction, said, rule_in_words(said))
        if reply.json().octets(32) != transaction.tx_id:
            raise wrong(reply.source, "it took another transaction than was handed in")
        return transaction.tx_id

    def _ask_genesis(self) -> Genesis:
        found = self._http.get("/genesis").json()
        return Genesis(
            magic=found.at("network_magic").whole(),
            system_start_s=found.at("system_start").whole(),
        )

    def _ask_tip(self) -> Tip:
        self._ready()
        found = self._http.get("/blocks/latest").json()
        return Tip(
            slot=found.at("slot").whole(0, remote.SLOT_MAX),
            height=found.at("height").whole(0, remote.HEIGHT_MAX),
            block_hash=found.at("hash").octets(32),
            time_s=found.at("time").whole(),
        )

    def _ask_parameters(self) -> FeeParams:
        self._ready()
        found = self._http.get("/epochs/latest/parameters").json()
        return remote.fee_params(
            found.at("min_fee_a"),
            found.at("min_fee_b"),
            found.at("coins_per_utxo_size"),
            found.at("max_tx_size"),
        )

    def _look_up(self, tx_id: bytes) -> tuple[ChainTransaction, Transaction] | None:
        facts = self._get(f"/txs/{tx_id.hex()}")
        content = None if facts is None else self._get(f"/txs/{tx_id.hex()}/cbor")
        if facts is None or content is None:
            return None
        raw = content.at("cbor").octets()
        transaction = remote.read_exact(raw, tx_id, content.where)
        found = ChainTransaction(
            raw=raw,
            height=facts.at("block_height").whole(0, remote.HEIGHT_MAX),
            block_hash=facts.at("block").octets(32),
            valid=facts.at("valid_contract").flag(),
        )
        return found, transaction

    def _spent(self, ref: TxInput) -> bool | None:
        """Whether an output is spent; None if there is no such output."""
        answer = self._get(f"/txs/{ref.tx_id.hex()}/utxos")
        if answer is None:
            return None
        for row in answer.at("outputs").items():
            collateral = row.find("collateral")
            is_plain = collateral is None or not collateral.flag()
            if is_plain and row.at("output_index").whole() == ref.index:
                spender = row.find("consumed_by_tx")
                return spender is not None and bool(spender.octets(32))
        return None

    def _get(self, path: str) -> Part | None:
        """Return the answer, or None where there is no such thing."""
        self._ready()
        reply = self._http.get(path, allowed=_ABSENT)
        return None if reply.status == 404 else reply.json()


def _row(row: Part, address: Address) -> Utxo:
    """Read one row of an address's outputs."""
    remote.check_speaks_of(row.at("address"), address)
    lovelace, assets = 0, dict[AssetId, int]()
    for each in row.at("amount").items():
        quantity = each.at("quantity").quantity()
        if each.at("unit").text() == _LOVELACE:
            lovelace = quantity
        else:
            unit = each.at("unit").octets()
            asset = remote.read_asset(unit[:POLICY_BYTES], unit[POLICY_BYTES:], each.where)
            assets[asset] = quantity
    output = remote.listed_output(
        address,
        Value.of(lovelace, assets),
        has_datum=row.find("data_hash") is not None or row.find("inline_datum") is not None,
        has_script_ref=row.find("reference_script_hash") is not None,
    )
    return Utxo(remote.read_ref(row.at("tx_hash"), row.at("output_index")), output)
