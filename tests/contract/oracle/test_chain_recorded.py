"""Backends and faces held to the answers that the published specifications give as examples.

`recorded/` says of each file where it comes from and under which licence.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from chain_world import FACES, IMPATIENT, Spender
from oracle_world import World
from scripted_server import Heard, Say, playing

from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.chain.backend import RemoteChain, Tip
from nunet_dms.cardano.chain.ledger import LedgerRule
from nunet_dms.cardano.chain.node_refusals import REFUSED_BY_CHAIN, rule_in_words, rule_of_code
from nunet_dms.cardano.chain.ogmios import Ogmios
from nunet_dms.cardano.chain.opening import Source, Surroundings, open_chain
from nunet_dms.cardano.fees import FeeParams
from nunet_dms.cardano.network import MAINNET, Network
from nunet_dms.cardano.transaction import TxInput, read_transaction
from nunet_dms.errors import RefusedError, UnreachableError, VerificationError
from nunet_dms.protocol.secretfile import write_secret

HERE = Path(__file__).parent / "recorded"
KOIOS, BLOCKFROST, OGMIOS = (
    json.loads((HERE / f"{name}.json").read_text()) for name in ("koios", "blockfrost", "ogmios")
)
NOBODY = Network("synthetic", 0, 5, None, b"x", 0, 1)
"""The network of Ogmios's made-up genesis."""


class Asked:
    """A backend, and the example answers that it gets."""

    def __init__(self, name: str, url: str, folder: Path, network: Network) -> None:
        key_file = None
        if name == "blockfrost":
            key_file = folder / "key"
            write_secret(key_file, b"mainnetKey")
        around = Surroundings(network, lambda: 0.0, folder / "ogmios.db", IMPATIENT)
        self.chain: RemoteChain = open_chain(
            Source(backend=name, url=url, key_file=key_file), around
        )

    def __enter__(self) -> RemoteChain:
        return self.chain

    def __exit__(self, *_: object) -> None:
        self.chain.close()


def koios(answers: dict[str, Any]) -> Callable[[Heard], Say]:
    def script(heard: Heard) -> Say:
        status = 202 if heard.path == "/submittx" else 200
        return Say(answers[heard.path.partition("?")[0]], status)

    return script


def blockfrost(answers: dict[str, Any]) -> Callable[[Heard], Say]:
    def script(heard: Heard) -> Say:
        path = heard.path.partition("?")[0]
        parts = path.split("/")
        if parts[1] == "txs":
            path = "/".join(["", "txs", "{hash}", *parts[3:]])
        if parts[1] == "addresses":
            path = "/addresses/{address}/utxos"
        return Say(answers[path])

    return script


def ogmios(answers: dict[str, Any]) -> Callable[[Heard], Say]:
    def script(heard: Heard) -> Say:
        found = answers[json.loads(heard.body)["method"]]
        return Say(found, 400 if "error" in found else 200)

    return script


def test_koios_s_examples_are_read(tmp_path: Path) -> None:
    answers = KOIOS["answers"]
    row = answers["/address_utxos"][0]
    with playing(koios(answers)) as played, Asked("koios", played.url, tmp_path, MAINNET) as chain:
        assert chain.check_network().magic == MAINNET.magic
        block = bytes.fromhex("2fa5178c5be950c7f40d6c74efe9b3dd12c4836dc3f3dd052cd1c2a12edd477f")
        assert chain.tip() == Tip(49_073_930, 1_794_506, block, 1_704_757_130)
        assert chain.parameters() == FeeParams()
        ref = TxInput(bytes.fromhex(row["tx_hash"]), 0)
        assert (chain.is_spent(ref), chain.utxo(ref)) == (True, None)
        assert not chain.is_spent(TxInput(ref.tx_id, 1))
        address = parse_address(row["address"])
        assert chain.unspent_outputs(address) == ()  # the example's is spent
        row["is_spent"] = False
        (utxo,) = chain.unspent_outputs(address)
        row["is_spent"] = True
        assert (utxo.ref, utxo.output.value.lovelace) == (ref, 157_832_856)
        assert [str(asset) for asset, _ in utxo.output.value.assets] == [
            "d3501d9531fcc25e3ca4b6429318c2cc374dbdbcf5e99c1c1e5da1ff.444f4e545350414d"
        ]
        assert (utxo.output.has_datum, utxo.output.has_script_ref) == (True, True)
        with pytest.raises(UnreachableError, match="it has no 'cbor'"):
            chain.transaction(ref.tx_id)  # the example has none
        assert json.loads(played.heard[-1].body) == {"_tx_hashes": [ref.tx_id.hex()]}


def test_blockfrost_s_examples_are_read(tmp_path: Path) -> None:
    answers = BLOCKFROST["answers"]
    cbor = answers["/txs/{hash}/cbor"]["cbor"]
    with (
        playing(blockfrost(answers)) as played,
        Asked("blockfrost", played.url, tmp_path, MAINNET) as chain,
    ):
        assert chain.check_network().magic == MAINNET.magic
        assert chain.tip().height == 15_243_593
        assert chain.parameters() == FeeParams(44, 155_381, 34_482, 16_384)
        read = read_transaction(bytes.fromhex(cbor))
        found = chain.transaction(read.tx_id)
        assert found is not None
        assert (found.raw.hex(), found.height, found.valid) == (cbor, 123_456, True)
        # The examples are of several transactions: the bytes of another one are not taken.
        other = bytes.fromhex(answers["/txs/{hash}"]["hash"])
        with pytest.raises(UnreachableError, match="asked for transaction 1e043f10"):
            chain.transaction(other)
        spent = answers["/txs/{hash}/utxos"]["outputs"][0]
        assert chain.is_spent(TxInput(other, spent["output_index"])) == bool(
            spent["consumed_by_tx"]
        )
        rows = answers["/addresses/{address}/utxos"]
        listed = chain.unspent_outputs(parse_address(rows[0]["address"]))
        assert [utxo.output.value.lovelace for utxo in listed] == [
            729_235_000,
            42_000_000,
            42_000_000,
        ]
        assert [utxo.output.has_datum for utxo in listed] == [False, True, False]
        assert played.heard[-1].path.endswith("/utxos?count=100&page=1")


def test_ogmios_s_vectors_are_read(tmp_path: Path) -> None:
    answers = OGMIOS["answers"]
    with playing(ogmios(answers)) as played, Asked("ogmios", played.url, tmp_path, NOBODY) as chain:
        genesis = chain.check_network()
        assert (genesis.magic, genesis.system_start_s) == (5, -3_333_438_422)
        tip = chain.tip()
        assert (tip.slot, tip.height, tip.time_s) == (2463, 7, 2463 - 3_333_438_422)
        assert chain.parameters() == FeeParams(51_248, 7, 993_533, 29_920)
        assert isinstance(chain, Ogmios)
        for row in answers["queryLedgerState/utxo"]["result"]:
            ref = TxInput(bytes.fromhex(row["transaction"]["id"]), row["index"])
            utxo = chain.utxo(ref)
            assert utxo is not None
            assert utxo.output.value.lovelace == row["value"]["ada"]["lovelace"]
            assert len(utxo.output.value.assets) == sum(map(len, row["value"].values())) - 1
            assert utxo.output.has_script_ref is ("script" in row)
        sent = json.loads(played.heard[-1].body)
        assert sent["params"] == {
            "outputReferences": [{"transaction": {"id": ref.tx_id.hex()}, "index": ref.index}]
        }


@pytest.mark.parametrize("status", KOIOS["errors"])
def test_koios_s_errors_say_nothing_about_the_chain(tmp_path: Path, status: str) -> None:
    script = koios(KOIOS["answers"])

    def ill(heard: Heard) -> Say:
        return script(heard) if heard.path == "/genesis" else Say({"message": "x"}, int(status))

    with (
        playing(ill) as played,
        Asked("koios", played.url, tmp_path, MAINNET) as chain,
        pytest.raises(UnreachableError),
    ):
        chain.transaction(bytes(32))


@pytest.mark.parametrize("status", BLOCKFROST["errors"])
def test_blockfrost_s_errors_say_nothing_about_the_chain_but_404(
    tmp_path: Path, status: str
) -> None:
    script = blockfrost(BLOCKFROST["answers"])
    error = BLOCKFROST["errors"][status]
    assert error["status_code"] == int(status)

    def ill(heard: Heard) -> Say:
        return script(heard) if heard.path == "/genesis" else Say(error, int(status))

    with playing(ill) as played, Asked("blockfrost", played.url, tmp_path, MAINNET) as chain:
        if status == "404":
            assert chain.transaction(bytes(32)) is None
            assert chain.unspent_outputs(parse_address(ADDRESS)) == ()
        else:
            with pytest.raises(UnreachableError):
                chain.transaction(bytes(32))


ADDRESS = BLOCKFROST["answers"]["/addresses/{address}/utxos"][0]["address"]
KNOWN_CODES = {
    -32602: LedgerRule.MALFORMED,
    3100: LedgerRule.INVALID_SIGNATURE,
    3102: LedgerRule.SCRIPT_MISSING,
    3103: LedgerRule.SCRIPT_NOT_SATISFIED,
    3104: LedgerRule.SCRIPT_NOT_NEEDED,
    3105: LedgerRule.METADATA_HASH_MISMATCH,
    3107: LedgerRule.METADATA_HASH_MISMATCH,
    3120: LedgerRule.OUTPUT_TOO_LARGE,
    3124: LedgerRule.WRONG_OUTPUT_NETWORK,
    3997: LedgerRule.MEMPOOL_CONFLICT,
}


@pytest.mark.parametrize("answer", OGMIOS["errors"], ids=lambda each: each["error"]["code"])
def test_ogmios_s_refusals_are_refusals_whose_rule_is_known_or_not(
    tmp_path: Path, answer: dict[str, Any]
) -> None:
    code = answer["error"]["code"]
    rule = KNOWN_CODES.get(code)
    assert rule_of_code(code) is rule
    raw = bytes.fromhex(BLOCKFROST["answers"]["/txs/{hash}/cbor"]["cbor"])
    answers = {
        **OGMIOS["answers"],
        "submitTransaction": answer,
        "queryLedgerState/utxo": {"result": []},
    }
    with (
        playing(ogmios(answers)) as played,
        Asked("ogmios", played.url, tmp_path, NOBODY) as chain,
        pytest.raises(RefusedError) as refusal,
    ):
        chain.submit(raw)
    # An input that is gone is told from one that waits by looking: here it never was.
    seen = LedgerRule.UNKNOWN_INPUT if rule is LedgerRule.MEMPOOL_CONFLICT else rule
    assert refusal.value.code == (seen.value if seen else REFUSED_BY_CHAIN)


IN_WORDS = {
    # As cardano-node words them, in reports of Blockfrost's and cardano-submit-api's users.
    "ApplyTxError [UtxowFailure (UtxoFailure (FromAlonzoUtxoFail (ValueNotConservedUTxO (Value 0 "
    "(fromList [])) (Value 5 (fromList []))))),UtxowFailure (UtxoFailure (FromAlonzoUtxoFail "
    "(BadInputsUTxO (fromList []))))]": LedgerRule.UNKNOWN_INPUT,
    "ConwayUtxowFailure (UtxoFailure (ValueNotConservedUTxO (MaryValue (Coin 0) (MultiAsset "
    "(fromList []))) (MaryValue (Coin 9) (MultiAsset (fromList [])))))": (
        LedgerRule.VALUE_NOT_CONSERVED
    ),
    "UtxoFailure (OutsideValidityIntervalUTxO (ValidityInterval {invalidBefore = SNothing, "
    "invalidHereafter = SJust (SlotNo 10000)}) (SlotNo 27995504))": LedgerRule.EXPIRED,
    "FromAlonzoUtxowFail (WrappedShelleyEraFailure (MissingVKeyWitnessesUTXOW (WitHashes (fromList "
    "[KeyHash x]))))": LedgerRule.MISSING_WITNESS,
    "transaction read error RawCborDecodeError [DecoderErrorDeserialiseFailure Byron Tx]": (
        LedgerRule.MALFORMED
    ),
    'ConwayMempoolFailure "All inputs are spent. Transaction has probably already been included"': (
        LedgerRule.MEMPOOL_CONFLICT
    ),
    "BabbageOutputTooSmallUTxO [(x,1)]": LedgerRule.OUTPUT_BELOW_MINIMUM,
    "something new": None,
}


@pytest.mark.parametrize(("words", "rule"), IN_WORDS.items())
def test_a_node_s_words_name_the_cause_before_its_consequences(
    words: str, rule: LedgerRule | None
) -> None:
    assert rule_in_words(words) is rule


def test_a_backend_of_another_network_is_refused_by_what_its_genesis_says(tmp_path: Path) -> None:
    with (
        playing(koios(KOIOS["answers"])) as played,
        Asked("koios", played.url, tmp_path, NOBODY) as chain,
        pytest.raises(VerificationError) as refusal,
    ):
        chain.check_network()
    assert refusal.value.code == "wrong_network"


def keys(value: Any) -> set[str]:
    found = value[0] if isinstance(value, list) else value
    return set(found)


@pytest.fixture
def shown(world: World) -> dict[str, str]:
    """A ledger with one transfer in it, as its faces name things."""
    spender = Spender(world)
    assert world.oracle.devnet is not None
    tx_id = world.oracle.devnet.submit(spender.transfer())
    world.step(3)
    return {
        "{hash}": tx_id.hex(),
        "{address}": spender.address.bech32,
        "koios": world.url + FACES["koios"],
        "blockfrost": world.url + FACES["blockfrost"],
        "ogmios": world.url + FACES["ogmios"],
    }


WHOLE = {"/tip", "/genesis", "/utxo_info", "/tx_cbor", "/address_utxos", "/tx_status"}


def test_the_koios_face_has_the_keys_of_the_specification(shown: dict[str, str]) -> None:
    bodies = {
        "/tx_cbor": {"_tx_hashes": [shown["{hash}"]]},
        "/tx_status": {"_tx_hashes": [shown["{hash}"]]},
        "/utxo_info": {"_utxo_refs": [f"{shown['{hash}']}#0"], "_extended": True},
        "/address_utxos": {"_addresses": [shown["{address}"]], "_extended": True},
    }
    for path, example in KOIOS["answers"].items():
        if path == "/submittx":
            continue
        method, body = ("POST", bodies[path]) if path in bodies else ("GET", None)
        answer = requests.request(method, shown["koios"] + path, json=body, timeout=10)
        assert answer.status_code == 200, path
        found = keys(answer.json())
        assert found <= keys(example), path
        assert path not in WHOLE or found == keys(example), path


def test_the_blockfrost_face_has_the_keys_of_the_specification(shown: dict[str, str]) -> None:
    for path, example in BLOCKFROST["answers"].items():
        if path == "/tx/submit":
            continue
        place = path.replace("{hash}", shown["{hash}"]).replace("{address}", shown["{address}"])
        answer = requests.get(
            shown["blockfrost"] + place, headers={"project_id": "any"}, timeout=10
        )
        assert answer.status_code == 200, path
        found = keys(answer.json())
        assert found <= keys(example), path
        assert path == "/epochs/latest/parameters" or found == keys(example), path
        if path == "/txs/{hash}/utxos":
            for side in ("inputs", "outputs"):
                assert keys(answer.json()[side]) == keys(example[side])


def test_the_blockfrost_face_errs_as_the_specification_says(shown: dict[str, str]) -> None:
    url = shown["blockfrost"]
    key = {"project_id": "any"}
    for status, answer in (
        ("403", requests.get(f"{url}/blocks/latest", timeout=10)),
        ("404", requests.get(f"{url}/txs/{'00' * 32}", headers=key, timeout=10)),
        ("404", requests.get(f"{url}/txs/{'00' * 32}/utxos", headers=key, timeout=10)),
        ("400", requests.get(f"{url}/txs/nonsense", headers=key, timeout=10)),
        ("400", requests.get(f"{url}/addresses/addr1nonsense/utxos", headers=key, timeout=10)),
        ("400", requests.post(f"{url}/tx/submit", data=b"\x00", headers=key, timeout=10)),
    ):
        assert answer.status_code == int(status)
        example = BLOCKFROST["errors"][status]
        assert answer.json().keys() == example.keys()
        assert (answer.json()["status_code"], answer.json()["error"]) == (
            int(status),
            example["error"],
        )


def test_the_ogmios_face_has_the_shape_of_the_vectors(shown: dict[str, str]) -> None:
    params: dict[str, dict[str, Any]] = {
        "queryNetwork/genesisConfiguration": {"era": "shelley"},
        "queryLedgerState/utxo": {"addresses": [shown["{address}"]]},
    }
    for method, example in OGMIOS["answers"].items():
        if method == "submitTransaction":
            continue
        body = {"jsonrpc": "2.0", "method": method, "params": params.get(method, {}), "id": 7}
        answer = requests.post(shown["ogmios"], json=body, timeout=10)
        assert answer.status_code == 200, method
        assert answer.json().keys() == example.keys()
        assert answer.json()["id"] == 7
        found, vector = answer.json()["result"], example["result"]
        if isinstance(found, (dict, list)):
            assert keys(found) <= keys(vector), method
        else:
            assert type(found) is type(vector)


def test_the_faces_take_no_more_than_they_must(shown: dict[str, str]) -> None:
    many = ["00" * 32] * 100
    too_much = requests.post(shown["koios"] + "/tx_cbor", json={"_tx_hashes": many}, timeout=10)
    assert too_much.status_code == 413
    for body in (b"[", b"[]", b'{"_tx_hashes": 5}', b'{"_tx_hashes": ["x"]}'):
        odd = requests.post(shown["koios"] + "/tx_cbor", data=body, timeout=10)
        assert (odd.status_code, "message" in odd.json()) == (400, True)
    large = requests.post(
        shown["blockfrost"] + "/tx/submit",
        data=bytes(70_000),
        headers={"project_id": "x"},
        timeout=10,
    )
    assert (large.status_code, large.json()["status_code"]) == (413, 413)
    for ask in (
        {"method": "queryNetwork/nonsense"},
        {"method": "queryLedgerState/utxo", "params": {}},
        {"method": "queryLedgerState/utxo", "params": {"outputReferences": [{"index": 0}]}},
        {"method": "submitTransaction", "params": {"transaction": {"cbor": "zz"}}},
        {"method": ["x"]},
    ):
        refused = requests.post(shown["ogmios"], json=ask, timeout=10)
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] in (-32601, -32602)
