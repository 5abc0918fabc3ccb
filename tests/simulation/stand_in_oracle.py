"""An Oracle at the level of `OracleClient`: its rules in memory, on a clock that never jumps.

Leases, offers that expire, bodies by key, logs by offset, verdict, settlement and receipt follow
nunet_dms.oracle; tests/contract/test_stand_in_oracle.py holds the two together. Its network loses
requests and answers, delivers some twice, and repeats offers that were long taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from nunet_dms.errors import OracleUnreachableError, RefusedError
from nunet_dms.oracle.verdicts import ran_ms_of, reason_of
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Done, OracleInfo
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.node import (
    Cosignature,
    Heartbeat,
    HeartbeatReply,
    Inbox,
    Lease,
    MissingBlobs,
    Offer,
    Poll,
    Refusal,
)
from nunet_dms.protocol.report import Reason, Report, Verdict, provider_share
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed
from tests.simulation.oracle_files import OracleFiles
from tests.simulation.oracle_job import OracleJob, news_for
from tests.simulation.papers import INFO, LEASE_S, NODE, START_S, Paper, settlement_of

if TYPE_CHECKING:
    from tests.simulation.world import World

T = TypeVar("T")

REQUESTER_SIGNS_S = 100.0
"""A settlement that its node does not sign is signed by the requester after so long."""


class StandInOracle:
    """What the worker takes for its OracleClient; it outlives the worker."""

    def __init__(self, world: World) -> None:
        self.jobs: dict[str, OracleJob] = {}
        self.is_away = False
        self.registered = False
        self.stale: list[Offer] = []
        """Offers that a confused network may deliver again."""
        self._world = world
        self._news = world.signal()
        self._files = OracleFiles()

    # What the world does to it.

    def pay(self, paper: Paper) -> None:
        """A requester has paid for a job: offer it."""
        self.jobs[paper.job_id] = OracleJob(paper)
        self._world.after(
            paper.expires_s - START_S - self._world.now_s, lambda: self._expire(paper.job_id)
        )
        self._world.say(f"oracle offers {paper.job_id[:4]} {paper.spec.resources.cpu_mhz} MHz")
        self._news.give()

    def cancel(self, job_id: str) -> None:
        """The requester wants the job stopped."""
        job = self.jobs[job_id]
        if job.cancel_requested or job.state not in {"offered", "running"}:
            return
        job.cancel_requested = True
        self._world.say(f"requester cancels {job_id[:4]}")
        if job.state == "offered":
            self._close(job, Reason.CANCELLED, "cancelled before it ran")
        self._news.give()

    # What the worker may ask.

    def info(self) -> OracleInfo:
        return self._call("info", lambda: INFO)

    def register(self, _registration: Sealed) -> None:
        def effect() -> None:
            self.registered = True

        self._call("register", effect)

    def heartbeat(self, beat: Heartbeat) -> HeartbeatReply:
        reply = self._call("heartbeat", lambda: self._heartbeat(beat))
        for job_id in reply.lost:
            job = self.jobs.get(job_id)
            if job is None:
                continue
            if job.told_lost_s is None:
                job.told_lost_s = self._world.now_s
                self._world.told_lost(job_id)
        return reply

    def poll(self, poll: Poll) -> Inbox:
        until_s = self._world.now_s + poll.wait_s
        self._call("ask for news", lambda: None)
        while not self._has_news(poll) and self._world.now_s < until_s:
            self._news.wait(until_s - self._world.now_s)
            self._check_here()
        return self._call("poll", lambda: self._inbox(poll))

    def accept(self, job_id: str, ticket_id: str) -> Lease:
        return self._call(f"accept {job_id[:4]}", lambda: self._accept(job_id, ticket_id))

    def refuse(self, job_id: str, refusal: Refusal) -> None:
        self._call(f"refuse {job_id[:4]}", lambda: self._refuse(job_id, refusal))

    def put_log(self, job_id: str, offset: int, chunk: bytes) -> int:
        return self._call(f"put_log {job_id[:4]}", lambda: self._append(job_id, offset, chunk))

    def missing_results(self, job_id: str, results: Manifest) -> MissingBlobs:
        what = f"results {job_id[:4]}"
        return self._call(what, lambda: self._files.announce(self._job(job_id), results))

    def put_checkpoint(self, job_id: str, sealed: Sealed) -> MissingBlobs:
        return self._call(f"checkpoint {job_id[:4]}", lambda: self._save(job_id, sealed))

    def put_blob(self, sha256: str, content: BinaryIO) -> None:
        data = content.read()
        self._call("put_blob", lambda: self._files.put(sha256, data))

    def get_blob(self, sha256: str, to: BinaryIO, _size: int) -> None:
        data = self._call("get_blob", lambda: self._files.get(sha256, self.jobs.values()))
        if self._world.faults.is_drawn("spoiled blob", self._world.plan.spoiled):
            data = data[::-1]
        to.write(data)

    def report(self, job_id: str, body: bytes) -> Done:
        sealed = strict.decode(Sealed, body)
        return self._call(f"report {job_id[:4]}", lambda: self._report(job_id, sealed))

    def cosign(self, job_id: str, _signature: Cosignature) -> None:
        self._call(f"cosign {job_id[:4]}", lambda: self._cosign(job_id))

    def receipt(self, job_id: str) -> Sealed:
        return self._call(f"receipt {job_id[:4]}", lambda: self._receipt(job_id))

    def ack_receipt(self, job_id: str) -> None:
        self._call(f"ack {job_id[:4]}", lambda: self._ack(job_id))

    # How it does it.

    def _call(self, what: str, effect: Callable[[], T]) -> T:
        return self._world.faults.call(
            f"oracle {what}", self._check_here, effect, _silent, may_repeat=True
        )

    def _check_here(self) -> None:
        if self.is_away:
            raise OracleUnreachableError("cannot reach the Oracle: connection refused")

    def _job(self, job_id: str) -> OracleJob:
        job = self.jobs[job_id]
        if job.state == "running" and job.lease_expires_s <= self._world.now_s:
            self._lose(job)
        return job

    def _lose(self, job: OracleJob) -> None:
        if not self._world.node_knows(job.job_id):
            self._world.violated(f"job {job.job_id[:4]}: accepted, and its node does not know it")
        self._close(job, Reason.NODE_FAULT, "the node was not heard of any more")

    def _watch_lease(self, job: OracleJob) -> None:
        """Look again when the lease ends, as the Oracle's clockwork does."""

        def look() -> None:
            if job.state != "running":
                return
            if job.lease_expires_s <= self._world.now_s:
                self._lose(job)
            else:
                self._world.after(job.lease_expires_s - self._world.now_s, look)

        self._world.after(job.lease_expires_s - self._world.now_s, look)

    def _expire(self, job_id: str) -> None:
        job = self.jobs[job_id]
        if job.state == "offered":
            self._close(job, Reason.NOT_ACCEPTED, "the node did not take it in time")

    def _close(self, job: OracleJob, reason: Reason, why: str) -> None:
        """End a job without a report: nothing is counted."""
        self._world.say(f"oracle closes {job.job_id[:4]}: {reason.value}, {why}")
        job.why = why
        self._decide(job, reason)

    def _heartbeat(self, beat: Heartbeat) -> HeartbeatReply:
        if not self.registered:
            raise RefusedError("unknown_node", "cannot take the heartbeat: register first")
        lost = []
        for job_id in beat.holding:
            if job_id not in self.jobs:
                lost.append(job_id)
                continue
            job = self._job(job_id)
            if job.state == "running":
                job.lease_expires_s = self._world.now_s + LEASE_S
            elif job.state != "offered" and not job.report_digest:
                lost.append(job_id)
        return HeartbeatReply(time_s=START_S + int(self._world.now_s), lost=tuple(lost))

    def _has_news(self, poll: Poll) -> bool:
        return news_for(self.jobs.values(), poll) != Inbox()

    def _inbox(self, poll: Poll) -> Inbox:
        if not self.registered:
            raise RefusedError("unknown_node", "cannot poll: register first")
        found, again = news_for(self.jobs.values(), poll), ()
        faults, rate = self._world.faults, self._world.plan.news_confused
        if self.stale and faults.is_drawn("stale offer", rate):
            again = (self._world.choice(self.stale),)
        elif found.offers and faults.is_drawn("offer twice", rate):
            again = found.offers[:1]
        self.stale.extend(found.offers)
        return Inbox(
            offers=found.offers + again,
            cancels=found.cancels,
            settlements=found.settlements,
            receipts=found.receipts,
        )

    def _accept(self, job_id: str, ticket_id: str) -> Lease:
        job = self._job(job_id)
        if job.paper.ticket_id != ticket_id or job.state not in {"offered", "running"}:
            raise RefusedError("not_offered", f"cannot do this: job {job_id} is {job.state}")
        if job.state == "offered":
            job.state, job.started_s = "running", self._world.now_s
            job.lease_expires_s = self._world.now_s + LEASE_S
            self._watch_lease(job)
            self._world.say(f"oracle gives {job_id[:4]} to the node")
            self._world.job_given()
        return Lease(expires_s=START_S + int(job.lease_expires_s))

    def _refuse(self, job_id: str, refusal: Refusal) -> None:
        job = self._job(job_id)
        if job.reason is Reason.NOT_ACCEPTED:
            return
        if job.paper.ticket_id != refusal.ticket_id or job.state != "offered":
            raise RefusedError("not_offered", f"cannot do this: job {job_id} is {job.state}")
        self._close(job, Reason.NOT_ACCEPTED, f"{refusal.code}: {refusal.message}")

    def _append(self, job_id: str, offset: int, chunk: bytes) -> int:
        job = self._job(job_id)
        if offset != len(job.log):
            return len(job.log)  # OracleHttp.put_log turns 409 `log_offset` into this
        if job.state != "running":
            raise RefusedError("not_running", f"cannot append to the log of job {job_id}")
        job.log += chunk
        return len(job.log)

    def _save(self, job_id: str, sealed: Sealed) -> MissingBlobs:
        job = self._job(job_id)
        before = len(job.saved)
        answer = self._files.save(job, sealed)
        if len(job.saved) > before:
            self._world.say(f"oracle has checkpoint {job.saved[-1].resume.number} of {job_id[:4]}")
        return answer

    def _report(self, job_id: str, sealed: Sealed) -> Done:
        job = self._job(job_id)
        job.bodies.add(sealed.digest)
        report = open_sealed(sealed, Report, Domain.REPORT, NODE.public)
        if (report.job_id, report.ticket_id) != (job_id, job.paper.ticket_id):
            raise RefusedError("foreign_report", "cannot take the report: it is of another job")
        if job.report_digest:
            if job.report_digest == sealed.digest:
                return Done(duplicate=True)
            raise RefusedError(
                "report_conflict", f"cannot take the report of job {job_id}: another"
            )
        if job.state != "running":
            raise RefusedError("not_running", f"cannot do this: job {job_id} is {job.state}")
        if job.announced.digest != report.results_hash or self._files.missing(job.announced):
            raise RefusedError("results_missing", "cannot take the report: results are missing")
        self._take(job, report, sealed.digest)
        return Done()

    def _take(self, job: OracleJob, report: Report, digest: str) -> None:
        job.report, job.report_digest, job.reported_s = report, digest, self._world.now_s
        job.accepted_reports += 1
        stored = (len(job.log), hashlib.sha256(job.log).hexdigest())
        job.log_complete = report.log_complete and stored == (report.log_bytes, report.log_sha256)
        now_ms, started_ms = int(self._world.now_s * 1000), int((job.started_s or 0) * 1000)
        limit_s = job.paper.spec.time_limit_s
        job.ran_ms = ran_ms_of(report, started_ms, now_ms, limit_s)
        reason = reason_of(report, cancel_requested=job.cancel_requested, payment_lost=False)
        self._world.say(
            f"oracle takes the report of {job.job_id[:4]}: {report.reason.value},"
            f" ran {report.ran_ms} ms, log {report.log_bytes} {report.log_complete}"
        )
        self._decide(job, reason)

    def _decide(self, job: OracleJob, reason: Reason) -> None:
        job.state, job.reason = "reported", reason
        self._world.job_decided(job)
        due = provider_share(job.price, reason, job.ran_ms, job.paper.spec.time_limit_s)
        verdict = Verdict(
            job_id=job.job_id, report_hash=job.report_digest or None, reason=reason,
            price=job.price, ran_ms=job.ran_ms, provider_amount=due,
            requester_amount=job.price - due, issued_s=START_S + int(self._world.now_s),
        )  # fmt: skip

        def settle() -> None:
            job.settlement, job.state = settlement_of(job.paper, verdict), "settling"
            self._world.after(REQUESTER_SIGNS_S, lambda: self._cosign(job.job_id))
            self._news.give()

        self._world.after(self._world.draw(0, 3), settle)

    def _cosign(self, job_id: str) -> None:
        job = self._job(job_id)
        if job.state not in {"settling", "settled"}:
            raise RefusedError("not_settling", f"cannot co-sign: job {job_id} is {job.state}")
        if job.cosigned:
            return
        job.cosigned = True
        self._world.after(self._world.draw(0, 3), lambda: self._settle(job))

    def _settle(self, job: OracleJob) -> None:
        """The ledger pays."""
        assert job.settlement is not None
        verdict = strict.decode(Verdict, job.settlement.verdict.payload)
        job.state = "settled"
        job.paid.append((verdict.provider_amount, verdict.requester_amount))
        self._world.say(f"ledger pays {job.paid[-1]} of {job.job_id[:4]}")
        self._news.give()

    def _receipt(self, job_id: str) -> Sealed:
        job = self._job(job_id)
        if job.state != "settled" or job.settlement is None:
            raise RefusedError("no_receipt", f"cannot give a receipt: job {job_id} is {job.state}")
        return job.settlement.verdict

    def _ack(self, job_id: str) -> None:
        job = self._job(job_id)
        if job.state != "settled":
            raise RefusedError("no_receipt", f"cannot take this: job {job_id} has no receipt")
        job.acked = True


def _silent(what: str) -> OracleUnreachableError:
    return OracleUnreachableError(f"cannot reach the Oracle: {what}: connection reset")
