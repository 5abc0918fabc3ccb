"""The node's news: a tampered ticket never becomes a container, a wrong payout is never signed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nunet_dms.cardano.agreement import asset_of, escrow_terms, settlement_terms
from nunet_dms.cardano.builder import Utxo, build_settlement, new_output
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import Value
from nunet_dms.errors import VerificationError
from nunet_dms.node.backoff import Backoff
from nunet_dms.node.clock import Clock
from nunet_dms.node.deps import Deps
from nunet_dms.node.inbox import InboxHandler
from nunet_dms.node.journal import Journal
from nunet_dms.node.journal_trouble import JournalFullError
from nunet_dms.node.payout import sign_settlement
from nunet_dms.node.pool import Outcome, Pool, Task
from nunet_dms.node.rows import DECLINED, RECEIPT_REFUSED, JobEnd, JobRow
from nunet_dms.node.runner import Runner
from nunet_dms.node.states import State
from nunet_dms.protocol import strict
from nunet_dms.protocol.node import Inbox, Offer, Refusal, Settlement, Voided
from nunet_dms.protocol.receipt import linked
from nunet_dms.protocol.report import Reason, Verdict
from nunet_dms.protocol.signing import Domain, Sealed, seal
from tests.unit.node.conftest import NOW_S, PLENTY, World
from tests.unit.receipt_world import FORGER, ORACLE, REVISED, receipt_of, sealed_by


class Untouched:
    """An engine that must not be asked for anything."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"the engine was asked to {name}")


class Refusals:
    """An Oracle that notes what is refused."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def refuse(self, _job_id: str, refusal: Refusal) -> None:
        self.codes.append(refusal.code)

    def ack_receipt(self, _job_id: str) -> None:
        self.codes.append("receipt taken")


class InlinePool(Pool):
    """Runs each task at once, in the caller's thread."""

    def submit(
        self, _task: object, work: Callable[[], object], _limit_s: float | None = None
    ) -> bool:
        work()
        return True


@pytest.fixture
def oracle() -> Refusals:
    return Refusals()


@pytest.fixture
def backoff() -> Backoff:
    return Backoff(random.Random(1))


@pytest.fixture
def inbox(
    world: World, journal: Journal, oracle: Refusals, backoff: Backoff, tmp_path: Path
) -> InboxHandler:
    deps = Deps(
        journal=journal, engine=Untouched(), oracle=oracle, pool=InlinePool(), identity=world.us,
        clock=Clock(lambda: NOW_S, lambda: 0.0), backoff=backoff,
        jobs_dir=tmp_path, core_mhz=1000, user="1:1", boot_id="boot",
    )  # fmt: skip
    handler = InboxHandler(deps, Runner(deps), PLENTY, tmp_path / "receipts")
    handler.oracle = world.info
    return handler


def test_a_whole_offer_is_admitted_once(
    world: World, inbox: InboxHandler, journal: Journal
) -> None:
    inbox.take(Inbox(offers=(world.offer(), world.offer())))
    assert [row.job_id for row in journal.jobs()] == [world.request.job_id]


def test_a_tampered_ticket_never_becomes_a_job(
    world: World, inbox: InboxHandler, journal: Journal, oracle: Refusals
) -> None:
    good = world.offer()
    forged = replace(good.ticket, payload=good.ticket.payload.replace("600000", "600001"))
    inbox.take(Inbox(offers=(replace(good, ticket=forged),)))
    assert (journal.jobs(), oracle.codes) == ((), [])


def test_an_offer_that_cannot_be_answered_does_not_make_us_ask_again_at_once(
    world: World, inbox: InboxHandler, backoff: Backoff
) -> None:
    good = world.offer()
    forged = replace(good.ticket, signature="0" * 128)
    assert backoff.is_ready(Task("", "poll"), 0.0)
    inbox.take(Inbox(offers=(replace(good, ticket=forged),)))
    assert not backoff.is_ready(Task("", "poll"), 0.0)


@pytest.mark.parametrize(
    ("change", "code"),
    [({"node_id": "9" * 56}, "foreign_ticket"), ({"expires_s": NOW_S - 61}, "expired")],
)
def test_a_ticket_that_is_not_ours_or_too_old_is_refused_by_name(
    world: World, inbox: InboxHandler, journal: Journal, oracle: Refusals,
    change: dict[str, object], code: str,
) -> None:  # fmt: skip
    offer = world.offer(ticket=replace(world.ticket, **change))
    inbox.take(Inbox(offers=(offer,)))
    assert (journal.jobs(), oracle.codes) == ((), [code])


def test_a_job_that_does_not_fit_is_refused(
    world: World, inbox: InboxHandler, oracle: Refusals, admit: Callable[..., JobRow]
) -> None:
    admit(cpu_mhz=3500)
    inbox.take(Inbox(offers=(world.offer(),)))
    assert oracle.codes == ["no_capacity"]


def settlement(world: World, verdict: Verdict, tx_verdict: Verdict | None = None) -> Settlement:
    """Return a settlement whose transaction pays `tx_verdict`, else what its verdict says."""
    ref = TxInput(bytes.fromhex(world.ticket.payment_tx_id), 0)
    held = Value.of(3_000_000, {asset_of(world.request): world.request.price})
    escrow = Utxo(ref, new_output(escrow_terms(world.request).address, held))
    terms = settlement_terms(world.request, ref, tx_verdict or verdict)
    return Settlement(
        job_id=world.request.job_id,
        verdict=seal(verdict, Domain.VERDICT, world.ticket_key),
        tx=build_settlement(escrow, terms).raw.hex(),
        request=world.request,
        escrow_tx_id=world.ticket.payment_tx_id,
        escrow_output_index=0,
    )


def verdict_of(world: World, provider: int, reason: Reason = Reason.SUCCEEDED) -> Verdict:
    return Verdict(
        job_id=world.request.job_id, report_hash=None, reason=reason, price=600_000, ran_ms=30_000,
        provider_amount=provider, requester_amount=600_000 - provider, issued_s=NOW_S,
    )  # fmt: skip


def ended(world: World, admit: Callable[..., JobRow]) -> JobRow:
    """Return a job whose report comes to 300,000 for half of its minute."""
    row = admit(world.request.job_id)
    return replace(row, reason="succeeded", ran_ms=30_000)


def test_a_settlement_that_pays_our_share_is_signed(
    world: World, admit: Callable[..., JobRow]
) -> None:
    offered = settlement(world, verdict_of(world, 300_000))
    payout = sign_settlement(offered, world.ticket_key.public, world.us, ended(world, admit))
    assert payout.amount == 300_000
    assert payout.signature.public_key == world.us.settlement_key.public.hex()


def test_a_settlement_below_our_report_is_not_signed(
    world: World, admit: Callable[..., JobRow]
) -> None:
    offered = settlement(world, verdict_of(world, 200_000))
    with pytest.raises(VerificationError, match="comes to 250000") as caught:
        sign_settlement(offered, world.ticket_key.public, world.us, ended(world, admit))
    assert caught.value.code == "paid_too_little"


def test_a_transaction_that_pays_less_than_its_verdict_is_not_signed(
    world: World, admit: Callable[..., JobRow]
) -> None:
    offered = settlement(world, verdict_of(world, 300_000), verdict_of(world, 1))
    with pytest.raises(VerificationError):
        sign_settlement(offered, world.ticket_key.public, world.us, ended(world, admit))


def test_a_refund_of_a_job_we_never_took_is_signed(world: World) -> None:
    offered = settlement(world, verdict_of(world, 0, Reason.NOT_ACCEPTED))
    assert sign_settlement(offered, world.ticket_key.public, world.us, None).amount == 0


def test_a_verdict_under_another_key_is_not_trusted(world: World) -> None:
    offered = settlement(world, verdict_of(world, 0))
    with pytest.raises(VerificationError, match="another key"):
        sign_settlement(offered, PaymentKey.generate().public.hex(), world.us, None)


def test_an_offer_is_not_taken_before_the_oracle_is_known(
    world: World, inbox: InboxHandler, journal: Journal
) -> None:
    inbox.oracle = None
    inbox.take(Inbox(offers=(world.offer(),)))
    assert journal.jobs() == ()


def test_offer_is_what_the_journal_keeps(
    world: World, inbox: InboxHandler, journal: Journal
) -> None:
    inbox.take(Inbox(offers=(world.offer(),)))
    assert strict.decode(Offer, journal.offer(world.request.job_id)) == world.offer()


def test_a_settlement_that_is_not_signed_is_in_the_job_s_story_once(
    world: World, inbox: InboxHandler, journal: Journal, admit: Callable[..., JobRow]
) -> None:
    offered = settlement(world, verdict_of(world, 200_000), verdict_of(world, 1))
    inbox.take(Inbox(settlements=(offered,)))
    assert journal.events(offered.job_id) == ()  # of a job that we never took there is no story
    admit(world.request.job_id)
    inbox.take(Inbox(settlements=(offered,)))
    inbox.take(Inbox(settlements=(offered,)))
    admitted, declined = journal.events(offered.job_id)
    assert (admitted.what, declined.what) == ("admitted", DECLINED)
    assert declined.detail.startswith("cannot sign the settlement: ")


@pytest.fixture
def exited(
    inbox: InboxHandler, journal: Journal, world: World, admit: Callable[..., JobRow]
) -> JobRow:
    """A job that has ended here, with the Oracle of the receipts that hold."""
    inbox.oracle = replace(world.info, ticket_key=ORACLE.public)
    row = journal.move(admit(receipt_of().job_id), State.ACCEPTED)
    end = JobEnd("succeeded", "", 0, 50_000, None, None, None)
    return journal.ended(row, end, "key", b"{}")


@pytest.fixture
def signed(journal: Journal, exited: JobRow) -> JobRow:
    """A job whose settlement we co-signed."""
    return journal.signed(journal.reported(exited), 500_001, receipt_of().settlement_tx_id)


def test_news_of_a_report_whose_answer_was_lost_send_it_again_at_once(
    inbox: InboxHandler, journal: Journal, backoff: Backoff, exited: JobRow
) -> None:
    deliver = Task(exited.job_id, "deliver")
    for _ in range(8):
        backoff.fail(deliver, 0.0)
    inbox.take(Inbox(receipts=(exited.job_id,)))
    assert journal.job(exited.job_id).state is State.EXITED
    assert backoff.is_ready(deliver, 0.0)
    assert not backoff.is_ready(Task("", "poll"), 0.0)


def take_receipt(inbox: InboxHandler, job_id: str, sealed: Sealed) -> None:
    assert inbox.handle(Outcome(Task(job_id, "receipt"), value=sealed))


def test_a_receipt_that_holds_ends_the_job_with_what_it_paid(
    inbox: InboxHandler, journal: Journal, oracle: Refusals, signed: JobRow
) -> None:
    take_receipt(inbox, signed.job_id, sealed_by(receipt_of()))
    row = journal.job(signed.job_id)
    assert (row.state, row.earned) == (State.SETTLED, 500_001)
    assert oracle.codes == ["receipt taken"]


@pytest.mark.parametrize(
    ("sealed", "why"),
    [
        (sealed_by(receipt_of(), FORGER), "broken at seal"),
        (sealed_by(replace(receipt_of(), links=())), "broken at spec"),
        (sealed_by(linked(replace(receipt_of(), settlement_tx_id="0" * 64))), "at settlement"),
        (replace(sealed_by(receipt_of()), payload="{}"), "broken at request"),
        (sealed_by(receipt_of(REVISED)), "it is of another job"),
    ],
)
def test_a_receipt_that_does_not_hold_pays_nothing_and_is_told_once(
    inbox: InboxHandler, journal: Journal, oracle: Refusals, signed: JobRow,
    sealed: Sealed, why: str,
) -> None:  # fmt: skip
    take_receipt(inbox, signed.job_id, sealed)
    take_receipt(inbox, signed.job_id, sealed)
    assert (journal.job(signed.job_id), oracle.codes) == (signed, [])
    (told,) = [each for each in journal.events(signed.job_id) if each.what == RECEIPT_REFUSED]
    assert why in told.detail
    assert journal.earnings()[0].why == told.detail
    assert signed.job_id in inbox.next_poll().known_receipts  # not asked for again at once


def test_a_void_job_waits_for_nothing_any_more_and_its_story_says_why(
    inbox: InboxHandler, journal: Journal, oracle: Refusals, signed: JobRow
) -> None:
    void = Voided(job_id=signed.job_id, why="nothing to pay out: its escrow is spent")
    inbox.take(Inbox(voided=(void, Voided(job_id="9" * 32, why="of a job that we never had"))))
    inbox.take(Inbox(voided=(void,)))  # the acknowledgement was lost
    (told,) = journal.earnings()
    assert (told.state, told.why) == (State.LOST, void.why)
    assert [each.what for each in journal.events(signed.job_id)].count("lost") == 1
    assert (journal.jobs()[0].job_id, len(journal.jobs())) == (signed.job_id, 1)
    assert oracle.codes == ["receipt taken"] * 3


def test_a_payout_that_the_chain_took_back_for_good_is_no_longer_counted(
    inbox: InboxHandler, journal: Journal, signed: JobRow
) -> None:
    take_receipt(inbox, signed.job_id, sealed_by(receipt_of()))
    assert journal.earned() == 500_001
    inbox.take(Inbox(voided=(Voided(job_id=signed.job_id, why="its escrow is spent"),)))
    assert journal.earned() == 0


def test_news_that_found_no_room_is_not_asked_for_again_at_once(inbox: InboxHandler) -> None:
    def refuse(_job_id: str, _value: object) -> None:
        raise JournalFullError

    inbox._tasks["receipt"] = refuse
    with pytest.raises(JournalFullError):
        inbox.handle(Outcome(Task("a" * 32, "receipt")))
    assert inbox.next_poll().known_receipts == ("a" * 32,)
