"""What a backend does when the one that it asks is slow, ill, full, lying or somebody else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Heard, Played, Say, playing

from nunet_dms.cardano.chain.backend import RemoteChain
from nunet_dms.cardano.chain.http import ANSWER_MAX_BYTES
from nunet_dms.cardano.chain.opening import Source, Surroundings, open_chain
from nunet_dms.cardano.chain.pace import Timing
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.network import PREPROD
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.errors import ConfigError, UnreachableError, VerificationError
from nunet_dms.protocol.secretfile import write_secret

SECRET = "preprodHereIsTheKey"
GENESIS = {"networkmagic": "1", "systemstart": 1_654_041_600}
TIP = {"hash": "ab" * 32, "abs_slot": 99, "block_no": 7, "block_time": 1_655_769_700}
ADDRESS = PaymentKey.from_seed(bytes(32)).address(0)


@dataclass
class FakeTime:
    """Goes on only while somebody waits."""

    now_s: float = 100.0
    waits_s: list[float] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        self.waits_s.append(seconds)
        self.now_s += seconds

    @property
    def timing(self) -> Timing:
        return Timing(
            monotonic=lambda: self.now_s,
            wait=self.wait,
            jitter=lambda: 0.5,
            read_timeout_s=0.3,
        )


def koios_of(tip: Callable[[], Say]) -> Callable[[Heard], Say]:
    """A Koios of preprod whose tip is as told."""
    return lambda heard: Say([GENESIS]) if heard.path == "/genesis" else tip()


def in_turn(*answers: Say) -> Callable[[], Say]:
    """Say one after the other, and the last for ever."""
    left = list(answers)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def played() -> Iterator[Played]:
    with playing(koios_of(in_turn(Say([TIP])))) as found:
        yield found


def opened(played: Played, time: FakeTime, folder: Path, backend: str = "koios") -> RemoteChain:
    key_file = None
    if backend != "ogmios":
        key_file = folder / "key"
        if not key_file.exists():
            write_secret(key_file, SECRET.encode())
    around = Surroundings(PREPROD, lambda: time.now_s, folder / "ogmios.db", time.timing)
    return open_chain(Source(backend=backend, url=played.url, key_file=key_file), around)


@pytest.fixture
def chain(played: Played, time: FakeTime, tmp_path: Path) -> Iterator[RemoteChain]:
    found = opened(played, time, tmp_path)
    yield found
    found.close()


def tips_asked(played: Played) -> int:
    return sum(heard.path == "/tip" for heard in played.heard)


@pytest.mark.parametrize(
    "trouble",
    [
        Say("slow down", 429),
        Say("too early", 425),
        Say("late", 408),
        Say(b"<html>oops", 500),
        Say("no", 502),
        Say("away", 503),
        Say([TIP], cut=True),
        Say(hang=True),
    ],
    ids=lambda say: "hangs" if say.hang else "cut" if say.cut else str(say.status),
)
def test_what_passes_by_itself_is_asked_again_with_growing_waits(
    chain: RemoteChain, played: Played, time: FakeTime, trouble: Say
) -> None:
    played.script = koios_of(in_turn(trouble, trouble, Say([TIP])))
    assert chain.tip().height == 7
    assert time.waits_s == [0.75, 1.5]


def test_it_is_asked_four_times_and_then_left_alone_for_a_while(
    chain: RemoteChain, played: Played, time: FakeTime
) -> None:
    played.script = koios_of(in_turn(Say("away", 503)))
    with pytest.raises(UnreachableError, match="/tip answers with status 503"):
        chain.tip()
    assert (tips_asked(played), time.waits_s) == (4, [0.75, 1.5, 3.0])
    with pytest.raises(UnreachableError, match="status 503; it is asked again in 5 s"):
        chain.parameters()
    assert tips_asked(played) == 4
    time.now_s += 5
    played.script = koios_of(in_turn(Say([TIP])))
    assert chain.tip().height == 7


def test_retry_after_is_kept_to_and_a_long_one_ends_the_call(
    chain: RemoteChain, played: Played, time: FakeTime
) -> None:
    played.script = koios_of(in_turn(Say("", 429, {"Retry-After": "4"}), Say([TIP])))
    assert chain.tip().height == 7
    assert time.waits_s == [4.0]
    time.now_s += 3  # the tip is remembered that long
    played.script = koios_of(in_turn(Say("", 429, {"Retry-After": "90"})))
    with pytest.raises(UnreachableError):
        chain.tip()
    assert time.waits_s == [4.0]
    time.now_s += 89
    with pytest.raises(UnreachableError, match="asked again in 1 s"):
        chain.tip()


@pytest.mark.parametrize(
    ("say", "why"),
    [
        (Say("", 401), "does not accept the key"),
        (Say("", 402), "quota is used up"),
        (Say("", 403), "does not accept the key"),
        (Say("", 418), "has banned this address"),
        (Say("", 404), "status 404"),
        (Say("", 413), "koios takes bodies of 1 KB without a key"),
        (Say("", 302, {"Location": "http://127.0.0.1:1/tip"}), "redirect, which is not followed"),
        (Say(b"{]"), "koios /tip: it is not JSON"),
        (Say(b'[{"abs_slot": NaN}]'), "it is not JSON"),
        (Say(b"[" * 100_000), "it is not JSON"),
        (Say([]), "it has 0 items instead of one"),
        (Say({}), "it is no list"),
        (Say([{**TIP, "hash": "ab"}]), r"koios /tip\[0\].hash: it has 1 bytes instead of 32"),
        (Say([{**TIP, "hash": 7}]), "hash: 7 is no text"),
        (Say([{**TIP, "abs_slot": "9"}]), "abs_slot: '9' is no whole number"),
        (Say([{**TIP, "block_no": 1.5}]), "block_no: 1.5 is no whole number"),
        (Say([{**TIP, "block_no": True}]), "block_no: True is no whole number"),
        (Say([{**TIP, "block_no": -1}]), "block_no: -1 is no whole number"),
        (Say([{**TIP, "block_no": None}]), "it has no 'block_no'"),
        (Say(b" " * (ANSWER_MAX_BYTES + 1)), f"longer than {ANSWER_MAX_BYTES} bytes"),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said_and_not_believed(
    chain: RemoteChain, played: Played, say: Say, why: str
) -> None:
    played.script = koios_of(in_turn(say))
    with pytest.raises(UnreachableError, match=why):
        chain.tip()


def test_a_banned_or_refused_key_is_not_tried_again_for_five_minutes(
    chain: RemoteChain, played: Played, time: FakeTime
) -> None:
    played.script = koios_of(in_turn(Say("", 403)))
    for _ in range(3):
        with pytest.raises(UnreachableError):
            chain.tip()
        time.now_s += 99
    assert tips_asked(played) == 1
    time.now_s += 10
    played.script = koios_of(in_turn(Say([TIP])))
    assert chain.tip().height == 7


def test_a_burst_is_let_through_and_then_so_many_a_second(
    chain: RemoteChain, played: Played, time: FakeTime
) -> None:
    played.script = lambda heard: Say([GENESIS] if heard.path == "/genesis" else [])
    for number in range(100):
        assert chain.transaction(bytes([number]) * 32) is None
    assert len(played.heard) == 101
    assert sum(time.waits_s) == pytest.approx(11 / 9)


def test_the_key_goes_into_the_header_and_nowhere_else(
    played: Played, time: FakeTime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    koios = opened(played, time, tmp_path)
    assert koios.tip().height == 7
    assert played.heard[0].headers["authorization"] == f"Bearer {SECRET}"
    koios.close()
    blockfrost = opened(played, time, tmp_path, "blockfrost")
    played.script = lambda _heard: Say({"network_magic": 1, "system_start": 0})
    with pytest.raises(UnreachableError) as caught:
        blockfrost.tip()
    assert played.heard[-1].headers["project_id"] == SECRET
    assert SECRET not in str(caught.value) + caught.value.hint + caplog.text + repr(
        vars(blockfrost)
    )
    blockfrost.close()


def test_a_key_file_with_more_than_a_key_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"two words", b"\xff\x00", b"k" * 3000):
        (tmp_path / "key").unlink(missing_ok=True)
        write_secret(tmp_path / "key", content)
        with pytest.raises(ConfigError, match="holds no single key") as caught:
            open_chain(Source(backend="koios", key_file=tmp_path / "key"), Surroundings(PREPROD))
        assert "words" not in str(caught.value)


def test_a_silent_chain_that_turns_out_to_be_another_network_is_never_believed(
    chain: RemoteChain, played: Played, time: FakeTime
) -> None:
    away = Say("", 503)
    played.script = lambda _heard: away
    with pytest.raises(UnreachableError, match="503"):
        chain.is_spent(TxInput(bytes(32), 0))
    time.now_s += 10
    played.script = lambda heard: (
        Say([{**GENESIS, "networkmagic": "2"}]) if heard.path == "/genesis" else Say([TIP])
    )
    for ask in (chain.tip, chain.parameters, lambda: chain.transaction(bytes(32))):
        with pytest.raises(UnreachableError, match="magic 2, preprod has 1"):
            ask()
    with pytest.raises(VerificationError) as caught:
        chain.check_network()
    assert caught.value.code == "wrong_network"
    assert {heard.path for heard in played.heard} == {"/genesis"}


def test_the_slots_of_a_public_network_need_nobody(chain: RemoteChain, played: Played) -> None:
    assert chain.slot_at(1_655_769_600) == 86_400
    assert chain.slot_at(1_655_769_601.9) == 86_401
    assert played.heard == []


def test_bytes_of_another_transaction_are_never_used(
    chain: RemoteChain, played: Played, foreign_row: dict[str, Any]
) -> None:
    played.script = lambda heard: Say([GENESIS] if heard.path == "/genesis" else [foreign_row])
    with pytest.raises(UnreachableError, match=f"asked for transaction {'00' * 32} it gives"):
        chain.transaction(bytes(32))
    foreign_row["cbor"] = "00"
    with pytest.raises(UnreachableError, match="transaction that cannot be read"):
        chain.transaction(bytes(32))


@pytest.fixture
def foreign_row() -> dict[str, Any]:
    cbor = (
        "84a40081825820" + "11" * 32 + "00018182581d60" + "22" * 28 + "1a000f4240"
        "021a00028b0a031a0303c827a0f5f6"
    )
    return {
        "cbor": cbor,
        "block_height": 5,
        "block_hash": "33" * 32,
        "valid_contract": True,
    }


def test_another_address_s_outputs_are_not_believed(chain: RemoteChain, played: Played) -> None:
    row = {
        "tx_hash": "11" * 32,
        "tx_index": 0,
        "address": PaymentKey.from_seed(bytes([1]) * 32).address(0).bech32,
        "value": "5",
        "is_spent": False,
    }
    played.script = lambda heard: Say([GENESIS] if heard.path == "/genesis" else [row])
    with pytest.raises(UnreachableError, match=r"asked for addr_test1.* it speaks of addr_test1"):
        chain.unspent_outputs(ADDRESS)


def test_absurd_parameters_are_not_used(chain: RemoteChain, played: Played) -> None:
    sane = {"txFeePerByte": 44, "txFeeFixed": 1, "utxoCostPerByte": 4310, "maxTxSize": 16384}
    for key in sane:
        wild = {**sane, key: 10**15}
        played.script = lambda heard, wild=wild: Say(  # type: ignore[misc]
            [GENESIS] if heard.path == "/genesis" else wild
        )
        with pytest.raises(UnreachableError, match=r"whole number|proportion"):
            chain.parameters()


def test_a_timing_is_the_real_one_unless_a_test_says_otherwise() -> None:
    real = Timing()
    assert {each.name for each in dataclasses.fields(real)} >= {"monotonic", "wait", "jitter"}
    assert 0 <= real.jitter() < 1
    assert real.total_s == 20
