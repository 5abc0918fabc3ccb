"""The ledger as an Oracle shows it to wallets that have no chain backend of their own."""

from __future__ import annotations

from dataclasses import dataclass

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.builder import FeeParams, Utxo, new_output
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import AssetId, Value, total
from nunet_dms.oracle_http import OracleHttp
from nunet_dms.protocol.chain import (
    ChainParameters,
    FaucetRequest,
    TransactionBody,
    TransactionId,
    UtxoList,
    UtxoView,
)


@dataclass(frozen=True, slots=True)
class Terms:
    """The ledger's fee rules, and its present slot."""

    fees: FeeParams
    slot: int


class Ledger:
    """Reads what addresses hold and hands in transactions; every call raises as OracleHttp.call.

    An Oracle that lies here makes transactions that the ledger refuses, and no others.
    """

    def __init__(self, http: OracleHttp) -> None:
        self._http = http

    def terms(self) -> Terms:
        """Return the fee rules and the present slot."""
        found = self._http.call("GET", "/v1/chain/parameters", None, ChainParameters, public=True)
        fees = FeeParams(
            found.min_fee_a, found.min_fee_b, found.coins_per_utxo_byte, found.max_tx_size
        )
        return Terms(fees, found.slot)

    def utxos(self, address: Address) -> tuple[Utxo, ...]:
        """Return the unspent outputs of an address."""
        path = f"/v1/chain/utxos/{address.bech32}"
        found = self._http.call("GET", path, None, UtxoList, public=True)
        return tuple(_utxo(address, view) for view in found.utxos)

    def balance(self, address: Address) -> Value:
        """Return what an address holds."""
        return total(tuple([utxo.output.value for utxo in self.utxos(address)]))

    def submit(self, raw: bytes) -> str:
        """Hand in a signed transaction and return its id; raises RefusedError with the rule."""
        body = TransactionBody(tx=raw.hex())
        return self._http.call("POST", "/v1/chain/submit", body, TransactionId).tx_id

    def faucet(self, address: Address, lovelace: int, tokens: int) -> str:
        """Ask the development ledger for ADA and mNTX without value; returns the tx id."""
        request = FaucetRequest(address=address.bech32, lovelace=lovelace, tokens=tokens)
        path = "/v1/devnet/faucet"
        return self._http.call("POST", path, request, TransactionId, public=True).tx_id


def _utxo(address: Address, view: UtxoView) -> Utxo:
    held = {
        AssetId(bytes.fromhex(asset.policy), bytes.fromhex(asset.name)): asset.quantity
        for asset in view.assets
    }
    ref = TxInput(bytes.fromhex(view.tx_id), view.index)
    return Utxo(ref, new_output(address, Value.of(view.lovelace, held)))
