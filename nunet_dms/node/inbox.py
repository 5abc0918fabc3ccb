"""The node's side of the Oracle's news: offers, cancels, settlements, receipts, void jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nunet_dms.errors import (
    CapacityError,
    NunetError,
    UsageError,
    VerificationError,
)
from nunet_dms.node.admission import VerifiedJob, read_offer, verify_offer
from nunet_dms.node.deps import Deps
from nunet_dms.node.journal_trouble import JournalFullError
from nunet_dms.node.limits import limit_of
from nunet_dms.node.payout import Payout, open_receipt, sign_settlement
from nunet_dms.node.poison import count_deaths
from nunet_dms.node.pool import Outcome, Task
from nunet_dms.node.rows import DECLINED, RECEIPT_REFUSED, Capacity, JobRow
from nunet_dms.node.runner import Runner
from nunet_dms.node.states import State
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import JOBS_MAX, OracleInfo
from nunet_dms.protocol.node import Inbox, Offer, Poll, Refusal, Settlement, Voided
from nunet_dms.protocol.receipt import Receipt
from nunet_dms.protocol.report import Reason, Verdict
from nunet_dms.protocol.signing import Sealed
from nunet_dms.wholefile import remove_unfinished, write_whole

log = logging.getLogger(__name__)

POLL_WAIT_S = 25
"""Of one long poll: well under what proxies cut off."""
DECLINED_S = 600.0
"""How long a settlement that we refuse to sign is not asked for again."""
_MAY_BE_VOID = frozenset({State.REPORTED, State.SIGNED, State.SETTLED})
"""Jobs that were to be paid, or were until the chain took it back."""


class InboxHandler:
    """Turns news into journal rows and tasks; `oracle` is set at first contact."""

    def __init__(self, deps: Deps, runner: Runner, capacity: Capacity, receipts: Path) -> None:
        self.oracle: OracleInfo | None = None
        self.complaint = ""
        self.capacity = capacity
        """What may be sold now; a machine can become smaller."""
        self._deps = deps
        self._runner = runner
        self._receipts = receipts
        self._muted: dict[Task, float] = {}
        self._tasks: dict[str, Callable[[str, object], None]] = {
            "refuse": lambda _job_id, _value: None,
            "cosign": self._cosigned,
            "receipt": self._received,
            "ack": lambda _job_id, _value: None,
        }

    def resume(self) -> None:
        """Take up every open job of the journal again."""
        remove_unfinished(self._receipts)
        count_deaths(self._deps.journal)
        for row in self._deps.journal.open_jobs():
            offer = strict.decode(Offer, self._deps.journal.offer(row.job_id))
            self._runner.take(row, read_offer(offer, offer.ticket.public_key))
            log.info("job_resumed job=%s state=%s", row.job_id, row.state.value)

    def advance(self) -> None:
        """Forget what was muted long enough."""
        now_s = self._deps.clock.monotonic_s()
        self._muted = {task: until for task, until in self._muted.items() if until > now_s}

    def next_poll(self) -> Poll:
        """Return the next question: what is in hand is named, so that it is not sent again."""
        rows = self._runner.rows()
        return Poll(
            known_offers=self._known("refuse", [row.job_id for row in rows]),
            known_cancels=tuple(row.job_id for row in rows if row.stop_reason)[:JOBS_MAX],
            known_settlements=self._known("cosign", []),
            known_receipts=self._known("receipt", list(self._known("ack", []))),
            wait_s=POLL_WAIT_S,
        )

    def take(self, inbox: Inbox) -> None:
        """Take the news of one poll."""
        for offer in inbox.offers:
            self._take_offer(offer)
        for job_id in inbox.cancels:
            self._runner.stop(job_id, Reason.CANCELLED)
        for job_id in inbox.lost_payments:
            log.error("payment_lost job=%s", job_id)
            self._runner.stop(job_id, Reason.PAYMENT_LOST)
        self._take_ends(inbox)

    def _take_ends(self, inbox: Inbox) -> None:
        """Take the news of what was reported, unless we do not know yet that it was."""
        for settlement in inbox.settlements:
            self._take_settlement(settlement)
        for job_id in inbox.receipts:
            self._take_receipt(job_id)
        for void in inbox.voided:
            self._take_void(void)

    def handle(self, outcome: Outcome) -> bool:
        """Take what came of one of our tasks; False if it is the runner's."""
        task = outcome.task
        if task.what not in self._tasks:
            return False
        if outcome.error is not None:
            self._mute(task)
            log.warning("task_failed job=%s task=%s: %s", task.job_id, task.what, outcome.error)
            return True
        try:
            self._tasks[task.what](task.job_id, outcome.value)
        except JournalFullError:
            self._mute(task)  # else the Oracle would tell us the same at once
            raise
        self._deps.backoff.clear(task)
        return True

    def _mute(self, task: Task) -> None:
        now_s = self._deps.clock.monotonic_s()
        self._muted[task] = now_s + self._deps.backoff.fail(task, now_s)

    def _take_offer(self, offer: Offer) -> None:
        if self.oracle is None:
            return
        try:
            us, here = self._deps.identity, self._runner.checkpoints.platform
            job = verify_offer(offer, self.oracle, us, self._deps.clock.wall_s(), here)
            if self._deps.journal.find(job.job_id) is not None:
                self._hold_polls()  # a stale offer of a job that we have: its own state goes on
                return
            row = self._admit(offer, job)
        except (CapacityError, UsageError, VerificationError) as error:
            self._refuse(offer, error)
            return
        log.info("job_admitted job=%s", row.job_id)
        self._runner.take(row, job)

    def _admit(self, offer: Offer, job: VerifiedJob) -> JobRow:
        """Reserve and store: after this the job survives whatever happens to us."""
        resources = job.spec.resources
        values: dict[str, object] = {
            "job_id": job.job_id,
            "ticket_id": job.ticket.ticket_id,
            "cpu_mhz": resources.cpu_mhz,
            "ram_mb": resources.ram_mb,
            "disk_mb": resources.disk_mb,
            "time_limit_s": job.spec.time_limit_s,
            "price": job.request.price,
            "image": job.spec.image,
            "offer": strict.encode(offer),
        }
        self._deps.journal.admit(values, self.capacity)
        row = self._deps.journal.find(job.job_id)
        if row is None:
            raise NunetError(f"cannot take job {job.job_id}: the journal did not keep it")
        return row

    def _refuse(self, offer: Offer, error: NunetError) -> None:
        """Tell the Oracle why not, if the offer names a job and a ticket at all."""
        code = error.code if isinstance(error, VerificationError) else _CODES[type(error)]
        log.warning("offer_refused code=%s: %s", code, error)
        try:
            job = read_offer(offer, offer.ticket.public_key)
        except VerificationError:
            self._hold_polls()
            return
        refusal = Refusal(ticket_id=job.ticket.ticket_id, code=code, message=str(error)[:500])
        self._task(job.job_id, "refuse", lambda: self._deps.oracle.refuse(job.job_id, refusal))

    def _puts_off(self, row: JobRow | None) -> bool:
        """Put off news about a report which the Oracle has, and we do not know yet that it has.

        The Oracle says it again once that is written down. It answers, so the report, of which only
        the answer was lost, need not wait for its back-off to pass. False if this is no such news.
        """
        if row is None or row.state is not State.EXITED:
            return False
        self._hold_polls()
        self._deps.backoff.clear(Task(row.job_id, "deliver"))
        return True

    def _hold_polls(self) -> None:
        """Wait before the next poll: what we cannot answer by name would come again at once."""
        self._deps.backoff.fail(Task("", "poll"), self._deps.clock.monotonic_s())

    def _take_receipt(self, job_id: str) -> None:
        if not self._puts_off(self._deps.journal.find(job_id)):
            self._task(job_id, "receipt", partial(self._fetch_receipt, job_id))

    def _take_settlement(self, settlement: Settlement) -> None:
        job_id = settlement.job_id
        row = self._deps.journal.find(job_id)
        if self.oracle is None or self._puts_off(row):
            return
        try:
            payout = sign_settlement(settlement, self.oracle.ticket_key, self._deps.identity, row)
        except VerificationError as error:
            self.complaint = f"job {job_id[:8]}: {error}"
            log.error("settlement_declined job=%s code=%s: %s", job_id, error.code, error)
            self._note_once(job_id, DECLINED, str(error))
            until_s = self._deps.clock.monotonic_s() + DECLINED_S
            self._muted[Task(job_id, "cosign")] = until_s
            return
        if payout.revised_why is not None:
            log.warning(
                "verdict_revised job=%s amount=%d why=%s", job_id, payout.amount, payout.revised_why
            )
        self._keep_payout(row, payout)
        self._task(job_id, "cosign", lambda: self._deps.oracle.cosign(job_id, payout.signature))

    def _take_void(self, void: Voided) -> None:
        """Nothing can be paid out any more: the job waits for nothing, and its story says why."""
        row = self._deps.journal.find(void.job_id)
        if self._puts_off(row):
            return
        if row is not None and row.state in _MAY_BE_VOID:
            log.error("job_void job=%s why=%s", void.job_id, void.why)
            self._runner.replace(self._deps.journal.move(row, State.LOST, void.why))
        self._task(void.job_id, "ack", lambda: self._deps.oracle.ack_receipt(void.job_id))

    def _note_once(self, job_id: str, what: str, why: str) -> None:
        """Put it into the job's story, once however often it comes: `nunet earnings` tells it."""
        journal = self._deps.journal
        story = journal.events(job_id)
        if story and not any((each.what, each.detail) == (what, why[:500]) for each in story):
            journal.note(job_id, what, why)

    def _keep_payout(self, row: JobRow | None, payout: Payout) -> None:
        if row is not None and row.state is State.REPORTED:
            self._runner.replace(self._deps.journal.signed(row, payout.amount, payout.tx_id))

    def _cosigned(self, job_id: str, _value: object) -> None:
        log.info("settlement_signed job=%s", job_id)

    def _fetch_receipt(self, job_id: str) -> Sealed:
        sealed = self._deps.oracle.receipt(job_id)
        write_whole(self._receipts / f"{job_id}.json", strict.encode(sealed))
        return sealed

    def _received(self, job_id: str, value: object) -> None:
        """A receipt is on the disk: check it, note what it paid, and say so."""
        if not isinstance(value, Sealed) or self.oracle is None:
            return
        try:
            receipt = open_receipt(value, job_id, self.oracle.ticket_key)
        except VerificationError as error:
            log.error("receipt_refused job=%s code=%s: %s", job_id, error.code, error)
            self._note_once(job_id, RECEIPT_REFUSED, str(error))
            self._muted[Task(job_id, "receipt")] = self._deps.clock.monotonic_s() + DECLINED_S
            return
        self._settle(job_id, receipt)

    def _settle(self, job_id: str, receipt: Receipt) -> None:
        verdict = strict.decode(Verdict, receipt.verdict.payload)
        row = self._deps.journal.find(job_id)
        if row is not None and row.state in {State.REPORTED, State.SIGNED}:
            row = self._deps.journal.settled(row, verdict.provider_amount, receipt.settlement_tx_id)
            self._runner.replace(row)
            log.info("job_settled job=%s earned=%d", job_id, verdict.provider_amount)
        self._task(job_id, "ack", lambda: self._deps.oracle.ack_receipt(job_id))

    def _known(self, what: str, job_ids: list[str]) -> tuple[str, ...]:
        """Return the jobs whose `what` is under way or muted, besides those named."""
        muted = [task.job_id for task in self._muted if task.what == what]
        return tuple(dict.fromkeys([*job_ids, *self._deps.pool.jobs_doing(what), *muted]))[
            :JOBS_MAX
        ]

    def _task(self, job_id: str, what: str, work: Callable[[], object]) -> None:
        self._deps.pool.submit(Task(job_id, what), work, limit_of(what))


_CODES: dict[type[NunetError], str] = {CapacityError: "no_capacity", UsageError: "ticket_used"}
