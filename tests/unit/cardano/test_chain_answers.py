"""Whatever a backend answers, it is either used as it was meant or refused in our own words."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.chain.answers import ITEMS_MAX, Part, parse
from nunet_dms.cardano.chain.blockfrost import Blockfrost
from nunet_dms.cardano.chain.http import Body, Reply
from nunet_dms.cardano.chain.koios import Koios
from nunet_dms.cardano.chain.ogmios import Ogmios
from nunet_dms.cardano.chain.ogmios_memory import OgmiosMemory
from nunet_dms.cardano.network import MAINNET, Network
from nunet_dms.cardano.transaction import TxInput, read_transaction
from nunet_dms.errors import NunetError, RefusedError, UnreachableError, VerificationError

RECORDED = Path(__file__).parents[2] / "contract" / "oracle" / "recorded"
EXAMPLES: dict[str, dict[str, Any]] = {
    name: json.loads((RECORDED / f"{name}.json").read_text())["answers"]
    for name in ("koios", "blockfrost", "ogmios")
}
RAW = bytes.fromhex(EXAMPLES["blockfrost"]["/txs/{hash}/cbor"]["cbor"])
TX_ID = read_transaction(RAW).tx_id
REF = TxInput(TX_ID, 0)
ADDRESS = parse_address(EXAMPLES["koios"]["/address_utxos"][0]["address"])
SYNTHETIC = Network("synthetic", 1, 5, None, b"x", 0, 1)

EXAMPLES["koios"]["/tx_cbor"][0] |= {"tx_hash": TX_ID.hex(), "cbor": RAW.hex()}
EXAMPLES["koios"]["/utxo_info"][0] |= {"tx_hash": TX_ID.hex(), "is_spent": False}
EXAMPLES["koios"]["/address_utxos"][0]["is_spent"] = False
for _row in EXAMPLES["blockfrost"]["/addresses/{address}/utxos"]:
    _row["address"] = ADDRESS.bech32
for _row in EXAMPLES["ogmios"]["queryLedgerState/utxo"]["result"]:
    _row["address"] = ADDRESS.bech32

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=70),
    st.sampled_from(["", "ab", "ab" * 32, "-1", "1" * 20, "9" * 21, "1e5", ADDRESS.bech32]),
    st.just([]),
    st.just({}),
    st.just([{}]),
    st.just({"ada": {"lovelace": -1}}),
)


class Canned:
    """An HTTP client that has every answer at hand."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    def get(self, path: str, **_: object) -> Reply:
        path = path.partition("?")[0]
        parts = path.split("/")
        if parts[1] == "txs":
            path = "/".join(["", "txs", "{hash}", *parts[3:]])
        if parts[1] == "addresses":
            path = "/addresses/{address}/utxos"
        return self._reply(path)

    def post(self, path: str, body: Body, **_: object) -> Reply:
        return self._reply(path or json.loads(body.content)["method"])

    def close(self) -> None:
        pass

    def _reply(self, path: str) -> Reply:
        return Reply(200, json.dumps(self.answers[path]).encode(), path)


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> OgmiosMemory:
    found = OgmiosMemory(tmp_path_factory.mktemp("ogmios") / "ogmios.db")
    found.keep(TX_ID, RAW)
    return found


def backend(name: str, answers: dict[str, Any], memory: OgmiosMemory) -> Any:
    http: Any = Canned(answers)
    if name == "koios":
        return Koios(http, MAINNET, lambda: 0.0)
    if name == "blockfrost":
        return Blockfrost(http, MAINNET, lambda: 0.0)
    return Ogmios(http, SYNTHETIC, lambda: 0.0, memory)


ASKED: dict[str, Callable[[Any], object]] = {
    "check_network": lambda chain: chain.check_network(),
    "tip": lambda chain: chain.tip(),
    "parameters": lambda chain: chain.parameters(),
    "transaction": lambda chain: chain.transaction(TX_ID),
    "utxo": lambda chain: chain.utxo(REF),
    "is_spent": lambda chain: chain.is_spent(REF),
    "unspent_outputs": lambda chain: chain.unspent_outputs(ADDRESS),
    "submit": lambda chain: chain.submit(RAW),
}


def places(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a tree."""
    found = [at]
    pairs: Any = ()
    if isinstance(tree, dict):
        pairs = tree.items()
    elif isinstance(tree, list):
        pairs = enumerate(tree)
    for key, value in pairs:
        found += places(value, (*at, key))
    return found


def changed(tree: Any, at: tuple[Any, ...], value: object) -> Any:
    """The tree with another value at one place."""
    if not at:
        return value
    found = copy.copy(tree)
    found[at[0]] = changed(tree[at[0]], at[1:], value)
    return found


@pytest.mark.parametrize("name", EXAMPLES)
@settings(max_examples=60)
@given(data=st.data())
def test_no_answer_makes_anything_but_an_error_of_ours(
    memory: OgmiosMemory, name: str, data: st.DataObject
) -> None:
    answers = dict(EXAMPLES[name])
    path = data.draw(st.sampled_from(sorted(answers)))
    at = data.draw(st.sampled_from(places(answers[path])))
    answers[path] = changed(answers[path], at, data.draw(ODD))
    for ask in ASKED.values():
        with suppress(UnreachableError, VerificationError):
            ask(backend(name, answers, memory))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_as_they_are_make_no_error(memory: OgmiosMemory, name: str) -> None:
    taken = {"koios": "/submittx", "blockfrost": "/tx/submit", "ogmios": "submitTransaction"}[name]
    answers = dict(EXAMPLES[name])
    answers[taken] = TX_ID.hex()
    if name == "ogmios":
        answers[taken] = {"result": {"transaction": {"id": TX_ID.hex()}}}
        answers["queryLedgerState/utxo"] = {"result": []}
    for what, ask in ASKED.items():
        try:
            ask(backend(name, answers, memory))
        except NunetError as error:
            pytest.fail(f"{what}: {error}")


@given(st.binary(max_size=200))
def test_no_bytes_make_anything_but_a_part_or_an_error(content: bytes) -> None:
    with suppress(UnreachableError):
        assert isinstance(parse(content, "koios /tip"), Part)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (Part.quantity, "12a"),
        (Part.quantity, "-1"),
        (Part.quantity, "1" * 21),
        (Part.quantity, 2**64),
        (Part.quantity, "٣"),
        (Part.quantity, 1.0),
        (Part.flag, 1),
        (Part.text, 1),
        (Part.octets, "abc"),
        (Part.octets, "0x"),
        (Part.octets, "é" * 2),
        (Part.items, {}),
        (Part.items, [0] * (ITEMS_MAX + 1)),
        (Part.entries, []),
    ],
)
def test_a_part_of_another_kind_is_refused_with_its_place(
    read: Callable[[Part], object], value: object
) -> None:
    with pytest.raises(UnreachableError, match=r"cannot use the answer of x\[0\]\.y"):
        read(Part(value, "x[0].y"))


def test_the_largest_quantity_of_the_ledger_is_read() -> None:
    assert Part(str(2**64 - 1), "x").quantity() == 2**64 - 1
    assert Part(7, "x").quantity() == 7


def test_a_refused_answer_is_no_refusal_of_ours() -> None:
    """What callers decide by: an unreadable answer must not end a job as a refusal would."""
    assert not issubclass(UnreachableError, RefusedError)
