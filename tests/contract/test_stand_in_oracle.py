"""The simulation's Oracle answers as the real one does: each test here asks both the same.

Where they differ, the stand-in is wrong. Only its times are shorter.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nunet_dms.errors import RefusedError
from nunet_dms.node.oracle_client import OracleClient
from nunet_dms.oracle.offering import OFFER_LIFE_S
from nunet_dms.oracle.registering import LEASE_S
from nunet_dms.protocol import strict
from nunet_dms.protocol.checkpoint import (
    CheckpointManifest,
    open_checkpoint,
    resume_from,
    seal_checkpoint,
)
from nunet_dms.protocol.job import FileEntry, Manifest, Resume
from nunet_dms.protocol.keys import SigningKey, node_id_of
from nunet_dms.protocol.node import Cosignature, Heartbeat, Inbox, Poll, Refusal, Settlement
from nunet_dms.protocol.report import Reason, Report
from nunet_dms.protocol.signing import Domain, Sealed, seal
from nunet_dms.protocol.ticket import open_ticket
from tests.contract.oracle.checkpoint_world import LINUX
from tests.contract.oracle.oracle_world import (
    ManualClock,
    Node,
    Requester,
    World,
    cosignature,
    running,
    spec,
)
from tests.simulation import papers
from tests.simulation.faults import QUIET
from tests.simulation.papers import CHECKPOINT, START_S, Shape, paper_of
from tests.simulation.stand_in_oracle import StandInOracle
from tests.simulation.world import World as SimulatedWorld

RESULT = b"42"
ENTRY = FileEntry(path="result", size=2, sha256=hashlib.sha256(RESULT).hexdigest())


@dataclass
class Real:
    """The reference Oracle on loopback."""

    world: World
    node: Node
    requester: Requester
    lease_s = LEASE_S
    offer_life_s = OFFER_LIFE_S

    @property
    def client(self) -> OracleClient:
        return OracleClient(self.node.http, self.node.node_id)

    @property
    def key(self) -> SigningKey:
        return self.node.key

    @property
    def ticket_key(self) -> str:
        return self.world.oracle.keys.ticket.public

    def pay(self, *, saves: bool, resume: Resume | None = None) -> None:
        self.requester.order(spec(checkpoint=replace(CHECKPOINT, resume=resume)) if saves else None)
        self.world.step()

    def cancel(self, job_id: str) -> None:
        self.requester.cancel(job_id)

    def let_pass(self, seconds: float) -> None:
        self.world.step(seconds)
        self.world.step()

    def sign(self, settlement: Settlement) -> Cosignature:
        return cosignature(bytes.fromhex(settlement.tx), self.node.settlement_key)


@dataclass
class StandIn:
    """The Oracle of the simulation."""

    world: SimulatedWorld
    count: int = 0
    lease_s = papers.LEASE_S
    offer_life_s = papers.OFFER_LIFE_S
    key = papers.NODE
    ticket_key = papers.ORACLE.public

    @property
    def client(self) -> StandInOracle:
        return self.world.oracle

    def pay(self, *, saves: bool, resume: Resume | None = None) -> None:
        self.count += 1
        issued_s = START_S + int(self.world.now_s)
        self.world.oracle.pay(paper_of(Shape(self.count, 1000, 100, saves, resume), issued_s))

    def cancel(self, job_id: str) -> None:
        self.world.oracle.cancel(job_id)

    def let_pass(self, seconds: float) -> None:
        self.world.let_pass(seconds, lambda: False)

    def sign(self, _settlement: Settlement) -> Cosignature:
        return Cosignature(public_key="0" * 64, signature="0" * 128)


Side = Real | StandIn


@pytest.fixture(params=["real", "stand-in"])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Side]:
    """Give the one Oracle, then the other, with a node that is registered."""
    if request.param == "real":
        with running(tmp_path / "oracle", ManualClock()) as world:
            node = Node(world)
            node.register(machine=LINUX)
            node.heartbeat()
            yield Real(world, node, Requester(world))
        return
    world = SimulatedWorld(0, tmp_path, QUIET)
    world.oracle.registered = True
    world.oracle.heartbeat(beat())
    yield StandIn(world)


def beat(*holding: str) -> Heartbeat:
    return Heartbeat(holding=holding, accepting=True, free_cpu_mhz=0, free_ram_mb=0)


def news(side: Side, **known: tuple[str, ...]) -> Inbox:
    return side.client.poll(Poll(**known))


def offered(side: Side, *, saves: bool = False, resume: Resume | None = None) -> tuple[str, str]:
    """Return the job and the ticket of a new offer."""
    side.pay(saves=saves, resume=resume)
    (offer,) = news(side).offers
    ticket = open_ticket(offer.ticket, side.ticket_key)
    return ticket.job_id, ticket.ticket_id


def taken(side: Side, *, saves: bool = False) -> tuple[str, str]:
    """Return a job that is accepted, and its ticket."""
    job_id, ticket_id = offered(side, saves=saves)
    side.client.accept(job_id, ticket_id)
    return job_id, ticket_id


def report_of(side: Side, job_id: str, ticket_id: str, **changes: object) -> bytes:
    plain = Report(
        job_id=job_id, ticket_id=ticket_id, node_id=node_id_of(side.key.public), attempt=1,
        reason=Reason.SUCCEEDED, exit_code=0, ran_ms=50_000,
        log_sha256=hashlib.sha256(b"").hexdigest(), log_complete=True,
        results_hash=Manifest().digest, results_complete=True,
    )  # fmt: skip
    found = replace(plain, **changes)  # type: ignore[arg-type]
    return strict.encode(seal(found, Domain.REPORT, side.key))


def ended(side: Side, **changes: object) -> str:
    """Return a job of which the report is taken."""
    job_id, ticket_id = taken(side)
    side.let_pass(55)
    side.client.heartbeat(beat(job_id))
    side.client.report(job_id, report_of(side, job_id, ticket_id, **changes))
    return job_id


@contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(RefusedError) as caught:
        yield
    assert caught.value.code == code


def refusal(ticket_id: str) -> Refusal:
    return Refusal(ticket_id=ticket_id, code="no_capacity")


def test_an_offer_comes_until_it_is_known_or_taken(side: Side) -> None:
    job_id, ticket_id = offered(side)
    assert len(news(side).offers) == 1
    assert news(side, known_offers=(job_id,)).offers == ()
    side.client.accept(job_id, ticket_id)
    assert news(side).offers == ()


def test_accepting_twice_is_the_same_lease(side: Side) -> None:
    job_id, ticket_id = offered(side)
    first = side.client.accept(job_id, ticket_id)
    side.let_pass(10)
    assert side.client.accept(job_id, ticket_id) == first


def test_another_ticket_accepts_nothing(side: Side) -> None:
    job_id, _ = offered(side)
    with refused("not_offered"):
        side.client.accept(job_id, "0" * 32)


def test_an_expired_offer_is_gone(side: Side) -> None:
    job_id, ticket_id = offered(side)
    side.let_pass(side.offer_life_s + 1)
    assert news(side).offers == ()
    with refused("not_offered"):
        side.client.accept(job_id, ticket_id)


def test_a_refusal_may_be_repeated_and_ends_the_offer(side: Side) -> None:
    job_id, ticket_id = offered(side)
    side.client.refuse(job_id, refusal(ticket_id))
    side.client.refuse(job_id, refusal(ticket_id))
    assert news(side).offers == ()
    with refused("not_offered"):
        side.client.accept(job_id, ticket_id)


def test_what_was_taken_cannot_be_refused(side: Side) -> None:
    job_id, ticket_id = taken(side)
    with refused("not_offered"):
        side.client.refuse(job_id, refusal(ticket_id))


def test_a_log_grows_at_its_end_and_says_where_that_is(side: Side) -> None:
    job_id, _ = taken(side)
    assert side.client.put_log(job_id, 0, b"abc") == 3
    assert side.client.put_log(job_id, 0, b"abc") == 3
    assert side.client.put_log(job_id, 7, b"x") == 3
    assert side.client.put_log(job_id, 3, b"de") == 5


def test_a_log_is_closed_by_the_report(side: Side) -> None:
    job_id = ended(side)
    assert side.client.put_log(job_id, 9, b"late") == 0
    with refused("not_running"):
        side.client.put_log(job_id, 0, b"late")


def test_a_report_twice_is_a_duplicate_and_another_one_is_refused(side: Side) -> None:
    job_id, ticket_id = taken(side)
    body = report_of(side, job_id, ticket_id)
    assert not side.client.report(job_id, body).duplicate
    assert side.client.report(job_id, body).duplicate
    with refused("report_conflict"):
        side.client.report(job_id, report_of(side, job_id, ticket_id, detail="another"))


def test_a_report_waits_for_its_results(side: Side) -> None:
    job_id, ticket_id = taken(side)
    manifest = Manifest(files=(ENTRY,))
    body = report_of(side, job_id, ticket_id, results_hash=manifest.digest)
    with refused("results_missing"):
        side.client.report(job_id, body)
    assert side.client.missing_results(job_id, manifest).missing == (ENTRY.sha256,)
    with refused("results_missing"):
        side.client.report(job_id, body)
    side.client.put_blob(ENTRY.sha256, io.BytesIO(RESULT))
    assert side.client.missing_results(job_id, manifest).missing == ()
    assert not side.client.report(job_id, body).duplicate
    assert side.client.missing_results(job_id, manifest).missing == ()


def test_other_results_after_the_report_are_refused(side: Side) -> None:
    job_id = ended(side)
    with refused("not_running"):
        side.client.missing_results(job_id, Manifest(files=(ENTRY,)))


def checkpoint(side: Side, job_id: str, number: int, *files: FileEntry) -> Sealed:
    manifest = CheckpointManifest(
        job_id=job_id, number=number, taken_ms=START_S * 1000, ran_ms=1, trigger="interval",
        platform=papers.HERE, files=Manifest(files=files),
    )  # fmt: skip
    return seal_checkpoint(manifest, side.key)


def test_a_checkpoint_is_whole_once_nothing_is_missing_and_may_be_repeated(side: Side) -> None:
    job_id, _ = taken(side, saves=True)
    first = checkpoint(side, job_id, 1, ENTRY)
    assert side.client.put_checkpoint(job_id, first).missing == (ENTRY.sha256,)
    with refused("hash_mismatch"):
        side.client.put_blob(ENTRY.sha256, io.BytesIO(b"43"))
    assert side.client.put_checkpoint(job_id, first).missing == (ENTRY.sha256,)
    side.client.put_blob(ENTRY.sha256, io.BytesIO(RESULT))
    assert side.client.put_checkpoint(job_id, first).missing == ()
    assert side.client.put_checkpoint(job_id, first).missing == ()
    with refused("stale_checkpoint"):
        side.client.put_checkpoint(job_id, checkpoint(side, job_id, 1))
    assert side.client.put_checkpoint(job_id, checkpoint(side, job_id, 7)).missing == ()


def test_only_a_running_job_that_names_a_folder_is_saved(side: Side) -> None:
    job_id, _ = taken(side)
    with refused("no_checkpoint_folder"):
        side.client.put_checkpoint(job_id, checkpoint(side, job_id, 1, ENTRY))
    job_id, ticket_id = taken(side, saves=True)
    whole = checkpoint(side, job_id, 1)
    side.client.put_checkpoint(job_id, whole)
    side.client.report(job_id, report_of(side, job_id, ticket_id))
    assert side.client.put_checkpoint(job_id, whole).missing == ()
    with refused("not_running"):
        side.client.put_checkpoint(job_id, checkpoint(side, job_id, 2))


def test_what_a_job_goes_on_from_can_be_fetched_while_it_is_at_its_node(side: Side) -> None:
    former, ticket_id = taken(side, saves=True)
    whole = checkpoint(side, former, 1, ENTRY)
    side.client.put_checkpoint(former, whole)
    side.client.put_blob(ENTRY.sha256, io.BytesIO(RESULT))
    assert side.client.put_checkpoint(former, whole).missing == ()
    with refused("unknown_blob"):  # it is the requester's: a node that sent it has it
        side.client.get_blob(ENTRY.sha256, io.BytesIO(), 2)
    side.client.report(former, report_of(side, former, ticket_id))
    resume = resume_from(whole, open_checkpoint(whole, former, node_id_of(side.key.public)))
    job_id, ticket_id = offered(side, saves=True, resume=resume)
    side.client.accept(job_id, ticket_id)
    side.client.get_blob(ENTRY.sha256, fetched := io.BytesIO(), 2)
    assert fetched.getvalue() == RESULT
    with refused("unknown_blob"):
        side.client.get_blob("0" * 64, io.BytesIO(), 2)
    side.client.report(job_id, report_of(side, job_id, ticket_id))
    with refused("unknown_blob"):
        side.client.get_blob(ENTRY.sha256, io.BytesIO(), 2)


def test_a_job_that_is_held_keeps_its_lease(side: Side) -> None:
    job_id, ticket_id = taken(side)
    for _ in range(3):
        side.let_pass(side.lease_s * 0.6)
        assert side.client.heartbeat(beat(job_id)).lost == ()
    side.client.report(job_id, report_of(side, job_id, ticket_id))


def test_a_job_that_is_not_held_is_lost_and_its_report_comes_too_late(side: Side) -> None:
    job_id, ticket_id = taken(side)
    side.let_pass(side.lease_s + 1)
    assert side.client.heartbeat(beat(job_id)).lost == (job_id,)
    with refused("not_running"):
        side.client.report(job_id, report_of(side, job_id, ticket_id))
    with refused("not_offered"):
        side.client.accept(job_id, ticket_id)


def test_only_what_nobody_may_run_is_named_as_lost(side: Side) -> None:
    reported = ended(side)
    waiting, _ = offered(side)
    assert side.client.heartbeat(beat(reported, waiting, "0" * 32)).lost == ("0" * 32,)


def test_a_cancel_before_the_job_runs_takes_the_offer_back(side: Side) -> None:
    job_id, ticket_id = offered(side)
    side.cancel(job_id)
    assert news(side).offers == ()
    with refused("not_offered"):
        side.client.accept(job_id, ticket_id)
    assert side.client.heartbeat(beat(job_id)).lost == (job_id,)


def test_a_cancel_of_a_running_job_is_told_until_it_is_known(side: Side) -> None:
    job_id, _ = taken(side)
    side.cancel(job_id)
    assert news(side).cancels == (job_id,)
    assert news(side, known_cancels=(job_id,)).cancels == ()


def test_from_the_report_to_the_receipt(side: Side) -> None:
    job_id = ended(side)
    side.let_pass(60)
    (settlement,) = news(side).settlements
    assert news(side, known_settlements=(job_id,)).settlements == ()
    with refused("no_receipt"):
        side.client.receipt(job_id)
    with refused("no_receipt"):
        side.client.ack_receipt(job_id)
    side.client.cosign(job_id, side.sign(settlement))
    side.client.cosign(job_id, side.sign(settlement))
    side.let_pass(60)
    assert news(side).settlements == ()
    assert news(side).receipts == (job_id,)
    assert news(side, known_receipts=(job_id,)).receipts == ()
    assert side.client.receipt(job_id)
    side.client.ack_receipt(job_id)
    side.client.ack_receipt(job_id)
    assert news(side).receipts == ()


def test_a_job_without_a_report_is_settled_too(side: Side) -> None:
    job_id, ticket_id = offered(side)
    side.client.refuse(job_id, refusal(ticket_id))
    side.let_pass(60)
    assert [each.job_id for each in news(side).settlements] == [job_id]


def test_nothing_is_settled_that_is_not_reported(side: Side) -> None:
    job_id, _ = taken(side)
    with refused("not_settling"):
        side.client.cosign(job_id, Cosignature(public_key="0" * 64, signature="0" * 128))
