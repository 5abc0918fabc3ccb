"""The chain by Koios (specification 1.4.2): public, and without a key for small users.

The public tier allows 100 calls in 10 s and bodies of 1 KB; ours for queries have 120 bytes. Its
description does not say whether `submittx` is exempt from that limit: our payments and
settlements have under 1 KB, and a larger one may be answered with 413, which is passed on in
words. With a bearer token, read from a file, the limits are higher.
"""

from __future__ import annotations

import json

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.chain import remote
from nunet_dms.cardano.chain.answers import Part, wrong
from nunet_dms.cardano.chain.backend import ChainTransaction, Genesis, Tip
from nunet_dms.cardano.chain.http import Body, Reply
from nunet_dms.cardano.chain.ledger import read_bounded
from nunet_dms.cardano.chain.node_refusals import judge_refusal, rule_in_words
from nunet_dms.cardano.chain.pace import Limit
from nunet_dms.cardano.chain.remote import Indexer
from nunet_dms.cardano.fees import FeeParams, Utxo
from nunet_dms.cardano.transaction import Transaction, TxInput
from nunet_dms.cardano.value import AssetId, Value

NAME = "koios"
LIMIT = Limit(burst=90, per_s=9.0)
"""Ten less than the 100 calls in 10 s that an address is allowed: others may share it."""
KEY_HEADER = "Authorization"
WORDS = {413: "koios takes bodies of 1 KB without a key, of 5 KB with one ([chain] key_file)"}

_CBOR = "application/cbor"
_REFUSED = frozenset({400})


class Koios(Indexer):
    """A chain backend; see the module."""

    name = NAME
    utxo_source = "koios /utxo_info"

    def unspent_outputs(self, address: Address) -> tuple[Utxo, ...]:
        """Return what the address holds, richest first, at most 1000."""
        self._check_address(address)
        body = {"_addresses": [address.bech32], "_extended": True}
        rows = self._query("/address_utxos", body).json().items()
        return remote.richest_first(
            [_row(row, address) for row in rows if not row.at("is_spent").flag()]
        )

    def submit(self, raw: bytes) -> bytes:
        """Hand in a signed transaction and return its id; raises as ChainBackend.submit does."""
        transaction = read_bounded(raw)
        self._ready()
        reply = self._http.post("/submittx", Body(raw, _CBOR), allowed=_REFUSED)
        if reply.status == 400:
            said = reply.refusal_text()
            return judge_refusal(self, transaction, said, rule_in_words(said))
        if reply.json().octets(32) != transaction.tx_id:
            raise wrong(reply.source, "it took another transaction than was handed in")
        return transaction.tx_id

    def _ask_genesis(self) -> Genesis:
        found = self._http.get("/genesis").json().only()
        return Genesis(
            magic=found.at("networkmagic").quantity(),
            system_start_s=found.at("systemstart").whole(),
        )

    def _ask_tip(self) -> Tip:
        self._ready()
        found = self._http.get("/tip").json().only()
        return Tip(
            slot=found.at("abs_slot").whole(0, remote.SLOT_MAX),
            height=found.at("block_no").whole(0, remote.HEIGHT_MAX),
            block_hash=found.at("hash").octets(32),
            time_s=found.at("block_time").whole(),
        )

    def _ask_parameters(self) -> FeeParams:
        self._ready()
        found = self._http.get("/cli_protocol_params").json()
        return remote.fee_params(
            found.at("txFeePerByte"),
            found.at("txFeeFixed"),
            found.at("utxoCostPerByte"),
            found.at("maxTxSize"),
        )

    def _look_up(self, tx_id: bytes) -> tuple[ChainTransaction, Transaction] | None:
        rows = self._query("/tx_cbor", {"_tx_hashes": [tx_id.hex()]}).json().items()
        if not rows:
            return None
        row = rows[0]
        raw = row.at("cbor").octets()
        transaction = remote.read_exact(raw, tx_id, row.where)
        found = ChainTransaction(
            raw=raw,
            height=row.at("block_height").whole(0, remote.HEIGHT_MAX),
            block_hash=row.at("block_hash").octets(32),
            valid=row.at("valid_contract").flag(),
        )
        return found, transaction

    def _spent(self, ref: TxInput) -> bool | None:
        """Whether an output is spent; None if there is no such output."""
        body = {"_utxo_refs": [str(ref)], "_extended": False}
        for row in self._query("/utxo_info", body).json().items():
            if remote.read_ref(row.at("tx_hash"), row.at("tx_index")) == ref:
                return row.at("is_spent").flag()
        return None

    def _query(self, path: str, body: dict[str, object]) -> Reply:
        self._ready()
        return self._http.post(path, Body(json.dumps(body).encode()))


def _row(row: Part, address: Address) -> Utxo:
    """Read one row of `address_utxos`."""
    remote.check_speaks_of(row.at("address"), address)
    assets: dict[AssetId, int] = {}
    listed = row.find("asset_list")
    for each in listed.items() if listed else ():
        name = each.find("asset_name")
        asset = remote.read_asset(
            each.at("policy_id").octets(), name.octets() if name else b"", each.where
        )
        assets[asset] = each.at("quantity").quantity()
    output = remote.listed_output(
        address,
        Value.of(row.at("value").quantity(), assets),
        has_datum=row.find("datum_hash") is not None or row.find("inline_datum") is not None,
        has_script_ref=row.find("reference_script") is not None,
    )
    return Utxo(remote.read_ref(row.at("tx_hash"), row.at("tx_index")), output)
