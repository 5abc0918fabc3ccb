"""The ledger of missed work over HTTP: who is told of which jobs that went elsewhere, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from oracle_world import TIME_LIMIT_S, Node, Requester, World, spec

from nunet_dms.errors import RefusedError
from nunet_dms.protocol.job import FileEntry, JobSpec, Manifest, Resources
from nunet_dms.protocol.node import MissedWork
from nunet_dms.protocol.quote import PriceList

PLAIN = Resources(cpu_mhz=1000, ram_mb=500, disk_mb=1)
PRICE = 1000 * TIME_LIMIT_S
"""Of the plain job at the usual node, 3,600,000 an hour for 1 GHz."""


def sized(**changes: int) -> JobSpec:
    return spec(resources=replace(PLAIN, **changes))


def missed(node: Node, *, accepting: bool = True) -> list[tuple[str, int, int]]:
    """Return reason, count and amount of what the node is told."""
    found = node.heartbeat(accepting=accepting).missed
    return [(work.reason, work.count, work.would_pay) for work in found]


def refusal(requester: Requester, job: JobSpec | None = None, **asked: object) -> str:
    with pytest.raises(RefusedError) as refused:
        requester.quote(job, **asked)
    return refused.value.code


def test_the_node_that_gets_the_job_misses_nothing_and_the_dearer_one_does(
    world: World, requester: Requester
) -> None:
    cheap, dear = Node(world).online(), Node(world, per_ghz_hour=7_200_000).online()
    assert requester.quote().request.node_id == cheap.node_id
    assert missed(cheap) == []
    assert missed(dear) == [("dearer", 1, 2 * PRICE)]


@pytest.mark.parametrize(
    ("job", "reason", "would_pay"),
    [
        (sized(cpu_mhz=4001), "cpu", 4001 * TIME_LIMIT_S),
        (sized(ram_mb=2001), "ram", PRICE),
        (sized(disk_mb=10_001), "disk", PRICE),
        (sized(cpu_mhz=4001, ram_mb=2001), "cpu", 4001 * TIME_LIMIT_S),
    ],
)
def test_the_first_resource_that_is_short_is_noted_though_the_quote_is_refused(
    world: World, node: Node, requester: Requester, job: JobSpec, reason: str, would_pay: int
) -> None:
    assert refusal(requester, job) == "no_capacity"
    assert missed(node) == [(reason, 1, would_pay)]


def test_it_is_the_room_left_that_counts(world: World, node: Node, requester: Requester) -> None:
    requester.quote(sized(cpu_mhz=3500))
    assert refusal(requester) == "no_capacity"
    assert missed(node) == [("cpu", 1, PRICE)]


@pytest.mark.parametrize(
    ("job", "would_pay"),
    [
        (spec(network="egress"), PRICE),
        (spec(kind="service"), PRICE),
        (sized(gpus=2), PRICE + 2 * 9000 * TIME_LIMIT_S // 3600),
        (sized(cpu_mhz=9000, gpus=1), 9 * PRICE + 9000 * TIME_LIMIT_S // 3600),
    ],
)
def test_what_nobody_offers_yet_is_missed_by_all_who_live(
    world: World, requester: Requester, job: JobSpec, would_pay: int
) -> None:
    price = PriceList(per_ghz_hour=3_600_000, per_ram_gb_hour=0, per_gpu_hour=9000)
    nodes = [Node(world) for _ in range(3)]
    for node in nodes:
        node.register(price=price)
    open_node, paused, silent = nodes
    silent.heartbeat()
    world.clock.now_s += 46
    open_node.heartbeat()
    paused.heartbeat(accepting=False)
    assert refusal(requester, job) == "unsupported"
    assert missed(open_node) == [("unsupported", 1, would_pay)]
    assert missed(paused, accepting=False) == [("unsupported", 1, would_pay)]
    assert missed(silent) == []


def test_a_price_above_the_limit_is_missed_whether_or_not_another_node_is_below_it(
    world: World, requester: Requester
) -> None:
    dear = Node(world, per_ghz_hour=7_200_000).online()
    assert refusal(requester, max_price=PRICE) == "price_above_limit"
    assert missed(dear) == [("price", 1, 2 * PRICE)]
    cheap = Node(world).online()
    other = spec(time_limit_s=2 * TIME_LIMIT_S)
    requester.quote(other, max_price=2 * PRICE)
    assert missed(dear) == [("price", 2, 6 * PRICE)]
    assert missed(cheap) == []


def test_a_paused_node_misses_what_would_fit_it(world: World, requester: Requester) -> None:
    paused, other = Node(world).online(), Node(world, per_ghz_hour=7_200_000).online()
    paused.heartbeat(accepting=False)
    assert requester.quote().request.node_id == other.node_id
    assert missed(paused, accepting=False) == [("paused", 1, PRICE)]
    assert refusal(requester, sized(ram_mb=2001)) == "no_capacity"
    assert refusal(requester, spec(time_limit_s=1), max_price=1) == "price_above_limit"
    assert missed(paused, accepting=False) == [
        ("paused", 1, PRICE),
        ("ram", 1, PRICE),
        ("price", 1, PRICE // 100),
    ]


def test_a_job_for_another_node_by_name_is_not_missed(world: World, requester: Requester) -> None:
    named, other = Node(world, per_ghz_hour=7_200_000).online(), Node(world).online()
    requester.quote(node_id=named.node_id)
    big = sized(cpu_mhz=4001)
    assert refusal(requester, big, node_id=named.node_id) == "no_capacity"
    assert refusal(requester, spec(kind="service"), node_id=named.node_id) == "unsupported"
    assert missed(other) == []
    assert [reason for reason, _, _ in missed(named)] == ["cpu", "unsupported"]


def test_the_same_job_asked_again_by_the_same_requester_counts_once_an_hour(
    world: World, node: Node, requester: Requester
) -> None:
    job = sized(cpu_mhz=5000)
    for _ in range(5):
        refusal(requester, job)
    assert missed(node) == [("cpu", 1, 5 * PRICE)]
    refusal(Requester(world, funded=False), job)
    assert missed(node) == [("cpu", 2, 10 * PRICE)]
    refusal(requester, sized(cpu_mhz=6000))
    assert missed(node) == [("cpu", 3, 16 * PRICE)]
    world.clock.now_s += 3600
    node.heartbeat()
    refusal(requester, job)
    assert missed(node) == [("cpu", 4, 21 * PRICE)]


def test_the_same_job_counts_once_for_each_reason(
    world: World, node: Node, requester: Requester
) -> None:
    for _ in range(2):
        refusal(requester, max_price=PRICE - 1)
        node.heartbeat(accepting=False)
        refusal(requester)
        node.heartbeat()
    assert missed(node) == [("paused", 1, PRICE), ("price", 1, PRICE)]


def test_a_node_is_told_of_the_last_24_hours(
    world: World, node: Node, requester: Requester
) -> None:
    refusal(requester, sized(cpu_mhz=5000))
    world.clock.now_s += 86_399
    assert missed(node) == [("cpu", 1, 5 * PRICE)]
    refusal(requester, sized(ram_mb=9000))
    assert missed(node) == [("cpu", 1, 5 * PRICE), ("ram", 1, PRICE)]
    world.clock.now_s += 1
    assert missed(node) == [("ram", 1, PRICE)]


def test_a_node_that_comes_later_missed_nothing(
    world: World, node: Node, requester: Requester
) -> None:
    refusal(requester, sized(cpu_mhz=5000))
    assert missed(Node(world).online()) == []


def test_the_ledger_forgets_who_asked_after_the_hour_and_everything_after_a_week(
    world: World, node: Node, requester: Requester
) -> None:
    refusal(requester, sized(cpu_mhz=5000))
    refusal(requester, sized(ram_mb=9000))
    assert world.ledger_rows() == (2, 2)
    world.step(3599)
    assert world.ledger_rows() == (2, 2)
    world.step(61)
    assert world.ledger_rows() == (0, 2)
    world.step(7 * 86_400 - 3660)
    assert world.ledger_rows() == (0, 2)
    world.step(3600)
    assert world.ledger_rows() == (0, 0)


def test_a_call_that_is_no_demand_for_work_is_not_noted(
    world: World, node: Node, requester: Requester
) -> None:
    stranger = Requester(world, funded=False)
    with pytest.raises(RefusedError, match="the session is of another wallet"):
        requester.quote(requester=stranger.address.bech32)
    huge = FileEntry(path="huge", size=2 * 1024**3, sha256="0" * 64)
    files = tuple([replace(huge, path=str(number)) for number in range(9)])
    assert refusal(requester, spec(inputs=Manifest(files=files))) == "inputs_too_large"
    roomy = Node(world, cpu_mhz=100_000, ram_mb=100_000).online()
    for _ in range(16):
        requester.quote(node_id=roomy.node_id)
    assert refusal(requester) == "too_many_quotes"
    assert missed(node) == []
    assert world.ledger_rows() == (0, 0)


def test_a_day_of_each_reason_travels(world: World, node: Node, requester: Requester) -> None:
    refusal(requester, sized(gpus=1))
    refusal(requester, sized(cpu_mhz=4001))
    refusal(requester, sized(ram_mb=2001))
    refusal(requester, sized(disk_mb=10_001))
    refusal(requester, max_price=1)
    requester.quote(node_id=node.node_id)
    Node(world, per_ghz_hour=1).online()
    requester.quote(spec(time_limit_s=50))
    node.heartbeat(accepting=False)
    requester.quote(spec(time_limit_s=40))
    told = node.heartbeat(accepting=False).missed
    assert {work.reason for work in told} == {
        "unsupported", "cpu", "ram", "disk", "price", "dearer", "paused"
    }  # fmt: skip
    amounts = [(-work.would_pay, work.reason) for work in told]
    assert amounts == sorted(amounts)
    assert told[0] == MissedWork(reason="cpu", count=1, would_pay=4001 * TIME_LIMIT_S)
