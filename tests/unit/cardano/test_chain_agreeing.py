"""Two chains that must agree: believed only together, warned by either."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from nunet_dms.cardano.builder import build_transfer
from nunet_dms.cardano.chain.agreeing import Agreeing
from nunet_dms.cardano.chain.backend import ChainTransaction, Genesis
from nunet_dms.cardano.chain.devnet import Devnet
from nunet_dms.cardano.fees import PROTOCOL, Utxo
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.output import new_output
from nunet_dms.cardano.signing import add_witness, sign, witness_for
from nunet_dms.cardano.transaction import TxInput, read_transaction
from nunet_dms.cardano.value import Value
from nunet_dms.errors import RefusedError, UnreachableError

KEY, STRANGER = (PaymentKey.from_seed(bytes([n]) * 32) for n in (1, 2))
HOME = KEY.address(0)
ADA = 1_000_000


class Told:
    """The ledger, but for what a test tells it to say instead; an error is raised."""

    def __init__(self, devnet: Devnet) -> None:
        self.devnet = devnet
        self.says: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        def ask(*arguments: object) -> Any:
            if name in self.says:
                answer = self.says[name]
                if isinstance(answer, Exception):
                    raise answer
                return answer
            return getattr(self.devnet, name)(*arguments)

        return ask


@dataclass
class Both:
    """The two, what they agree on, and a transfer in a block."""

    devnet: Devnet
    first: Told
    second: Told
    chain: Agreeing
    raw: bytes

    @property
    def tx_id(self) -> bytes:
        return read_transaction(self.raw).tx_id

    @property
    def made(self) -> TxInput:
        return TxInput(self.tx_id, 0)

    def found(self) -> ChainTransaction:
        found = self.devnet.transaction(self.tx_id)
        assert found is not None
        return found


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    with Devnet(tmp_path / "devnet.db", lambda: 1_800_000_000.0) as devnet:
        devnet.faucet(HOME, 100 * ADA, 5)
        devnet.tick()
        plain = build_transfer(
            devnet.unspent_outputs(HOME), (new_output(HOME, Value(9 * ADA)),), HOME
        )
        raw = sign(plain.raw, KEY)
        devnet.submit(raw)
        devnet.tick()
        first, second = Told(devnet), Told(devnet)
        yield Both(devnet, first, second, Agreeing(first, second), raw)


def disagreed(caplog: pytest.LogCaptureFixture, about: str) -> bool:
    return any(f"chains_disagree about={about} " in line for line in caplog.messages)


def test_where_both_say_the_same_so_do_they(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    chain, devnet = both.chain, both.devnet
    assert chain.tip() == devnet.tip()
    assert chain.parameters() == PROTOCOL
    assert chain.slot_at(1_800_000_050) == 50
    assert chain.transaction(both.tx_id) == devnet.transaction(both.tx_id)
    assert chain.transaction(bytes(32)) is None
    assert chain.utxo(both.made) == devnet.utxo(both.made)
    assert chain.unspent_outputs(HOME) == devnet.unspent_outputs(HOME)
    assert not chain.is_spent(both.made)
    assert chain.submit(both.raw) == both.tx_id
    assert caplog.messages == []


@pytest.mark.parametrize("which", ["first", "second"])
def test_one_of_them_alone_is_not_believed(
    both: Both, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    odd: Told = getattr(both, which)
    odd.says = {"transaction": None, "utxo": None, "unspent_outputs": (), "is_spent": True}
    assert both.chain.transaction(both.tx_id) is None
    assert both.chain.utxo(both.made) is None
    assert both.chain.unspent_outputs(HOME) == ()
    assert both.chain.is_spent(both.made)
    for about in ("transaction", "utxo", "unspent_outputs", "is_spent"):
        assert disagreed(caplog, about)


def test_a_transaction_counts_from_the_later_height_and_only_if_both_call_it_valid(
    both: Both, caplog: pytest.LogCaptureFixture
) -> None:
    found = both.found()
    both.second.says["transaction"] = replace(found, height=found.height + 3, valid=False)
    seen = both.chain.transaction(both.tx_id)
    assert seen == replace(found, height=found.height + 3, valid=False)
    assert disagreed(caplog, "validity")


def test_other_bytes_do_not_count_but_further_signatures_do_no_harm(
    both: Both, caplog: pytest.LogCaptureFixture
) -> None:
    signed_on_the_way = add_witness(both.raw, witness_for(both.raw, STRANGER))
    both.second.says["transaction"] = replace(both.found(), raw=signed_on_the_way)
    assert both.chain.transaction(both.tx_id) == both.found()
    other = build_transfer(
        both.devnet.unspent_outputs(HOME), (new_output(HOME, Value(3 * ADA)),), HOME
    )
    both.second.says["transaction"] = replace(both.found(), raw=sign(other.raw, KEY))
    assert both.chain.transaction(both.tx_id) is None
    assert disagreed(caplog, "transaction")


def test_an_output_with_other_contents_does_not_count(both: Both) -> None:
    richer = Utxo(both.made, new_output(HOME, Value(99 * ADA)))
    both.second.says = {"utxo": richer, "unspent_outputs": (richer,)}
    assert both.chain.utxo(both.made) is None
    assert both.chain.unspent_outputs(HOME) == ()


def test_the_lower_tip_and_the_dearer_parameters_count(
    both: Both, caplog: pytest.LogCaptureFixture
) -> None:
    tip = both.devnet.tip()
    both.first.says = {
        "tip": replace(tip, height=tip.height + 5),
        "parameters": replace(PROTOCOL, min_fee_a=50, max_tx_size=99_999),
    }
    assert both.chain.tip() == tip
    assert both.chain.parameters() == replace(PROTOCOL, min_fee_a=50)
    assert disagreed(caplog, "parameters")


@pytest.mark.parametrize("which", ["first", "second"])
def test_where_one_is_silent_there_is_no_answer(both: Both, which: str) -> None:
    silent = UnreachableError("away")
    names = ("tip", "parameters", "transaction", "utxo", "is_spent", "unspent_outputs")
    getattr(both, which).says = dict.fromkeys(names, silent)
    chain = both.chain
    for ask in (
        chain.tip,
        chain.parameters,
        lambda: chain.transaction(both.tx_id),
        lambda: chain.utxo(both.made),
        lambda: chain.is_spent(both.made),
        lambda: chain.unspent_outputs(HOME),
    ):
        with pytest.raises(UnreachableError, match="away"):
            ask()


def test_one_that_takes_a_transaction_is_enough(
    both: Both, caplog: pytest.LogCaptureFixture
) -> None:
    refusal, silent = RefusedError("fee_too_small", "no"), UnreachableError("away")
    for failure in (refusal, silent):
        both.first.says["submit"] = failure
        assert both.chain.submit(both.raw) == both.tx_id
    assert disagreed(caplog, "submit")
    both.second.says["submit"] = refusal
    both.first.says["submit"] = refusal
    with pytest.raises(RefusedError):
        both.chain.submit(both.raw)
    both.second.says["submit"] = silent  # it may have taken it
    with pytest.raises(UnreachableError):
        both.chain.submit(both.raw)


def test_both_are_asked_whose_network_they_are(both: Both) -> None:
    ours = Genesis(424242, 0)
    both.first.says["check_network"] = both.second.says["check_network"] = ours
    assert both.chain.check_network() == ours
    both.second.says["check_network"] = UnreachableError("away")
    with pytest.raises(UnreachableError):
        both.chain.check_network()
