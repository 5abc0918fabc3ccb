"""Admit a submission: signed by the requester, for this quote, paid by this transaction."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.cip8 import SignedMessage, verify_message
from nunet_dms.cardano.payment import PaymentRefusal, VerifiedPayment, check_payment
from nunet_dms.errors import CapacityError, RefusedError, UnreachableError
from nunet_dms.oracle import files, jobs, quotes
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.jobs import JobRow, Paper
from nunet_dms.oracle.quotes import QuoteRow
from nunet_dms.oracle.terms import payment_terms
from nunet_dms.protocol import strict
from nunet_dms.protocol.job import JobSpec, Manifest
from nunet_dms.protocol.node import MissingBlobs
from nunet_dms.protocol.quote import JobRequest, signing_payload
from nunet_dms.protocol.submission import JobState, JobSubmission

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VerifiedSubmission:
    """A submission whose signature and payment hold; only `verify` makes one."""

    submission: JobSubmission
    quote: QuoteRow
    request: JobRequest
    spec: JobSpec
    payment: VerifiedPayment


def submit(oracle: Oracle, requester: str, submission: JobSubmission) -> JobRow:
    """Verify a submission, store the job and hand its payment to the chain.

    The same submission again returns the same job. Raises VerificationError whose code names the
    rule that does not hold; nothing is stored then.
    """
    with oracle.store.reading() as db:
        quote = _own_quote(db, submission.quote_id, requester)
    verified = verify(oracle, quote, submission)
    job, is_new = _store(oracle, verified)
    if is_new:
        log.info("job_submitted job=%s payment=%s", job.job_id, job.payment_tx_id)
        _hand_in(oracle, job, bytes.fromhex(submission.payment_tx))
    return job


def announce_inputs(
    oracle: Oracle, requester: str, quote_id: str, manifest: Manifest
) -> MissingBlobs:
    """Grant the upload of a quoted job's inputs and return what is missing.

    Raises RefusedError `unknown_quote`, or `not_quoted` for a file that the spec does not name.
    """
    with oracle.store.writing() as db:
        quote = _own_quote(db, quote_id, requester)
        spec = strict.decode(JobSpec, quote.spec, at="$spec")
        strangers = set(manifest.files) - set(spec.inputs.files)
        if strangers:
            path = min(entry.path for entry in strangers)
            raise RefusedError(
                "not_quoted", f"cannot take {path!r:.200}: the quoted job has no such input"
            )
        files.grant(db, requester, manifest, int(oracle.clock()) + files.GRANT_LIFE_S)
        return files.missing(db, oracle.blobs, requester, manifest)


def verify(oracle: Oracle, quote: QuoteRow, submission: JobSubmission) -> VerifiedSubmission:
    """Check signature and payment against the quote; raises VerificationError."""
    if submission.request != quote.request:
        raise RefusedError(
            "request_mismatch",
            "cannot submit: the request is not the one that was quoted",
            where="$.request",
        )
    request = strict.decode(JobRequest, submission.request, at="$.request")
    spec = strict.decode(JobSpec, quote.spec, at="$spec")
    message = SignedMessage(
        bytes.fromhex(submission.cose_sign1), bytes.fromhex(submission.cose_key)
    )
    payload = verify_message(message, parse_address(request.requester))
    if payload != signing_payload(submission.request):
        raise RefusedError(
            "wrong_payload",
            "cannot submit: the wallet signed something else than this request",
            where="$.cose_sign1",
        )
    terms = payment_terms(request, oracle.network, spec.time_limit_s, oracle.config.window_s)
    payment = check_payment(bytes.fromhex(submission.payment_tx), terms)
    if payment.amount != request.price:  # a settlement divides the price, nothing beside it
        raise RefusedError(
            "overpaid",
            f"cannot accept the payment: it pays {payment.amount}, the price is {request.price}",
            where="$.payment_tx",
        )
    return VerifiedSubmission(submission, quote, request, spec, payment)


def _own_quote(db: Connection, quote_id: str, requester: str) -> QuoteRow:
    quote = quotes.find(db, quote_id)
    if quote is None or quote.requester != requester:
        raise RefusedError(
            "unknown_quote", "cannot find the quote: you have no such quote", where="$.quote_id"
        )
    return quote


def _store(oracle: Oracle, verified: VerifiedSubmission) -> tuple[JobRow, bool]:
    """Store the job in one transaction; returns it, and whether it is new."""
    try:
        with oracle.store.writing() as db:
            known = jobs.find(db, verified.request.job_id)
            if known is not None:
                return _same(known, verified), False
            _check_quote(oracle, db, verified)
            return _add(oracle, db, verified), True
    except IntegrityError as error:  # another submission took quote or payment
        raise _already_used() from error


def _same(known: JobRow, verified: VerifiedSubmission) -> JobRow:
    if known.payment_tx_id != verified.payment.tx_id.hex():
        raise _already_used()
    return known


def _check_quote(oracle: Oracle, db: Connection, verified: VerifiedSubmission) -> None:
    # Read again: a quote may have been used or swept since.
    quote = quotes.find(db, verified.quote.quote_id)
    if quote is None or quote.used or quote.expires_s <= oracle.clock():
        raise RefusedError(
            "quote_expired", "cannot submit: the quote has expired; nothing was paid"
        )
    spec, resume = verified.spec, verified.spec.resume
    missing = files.missing(db, oracle.blobs, quote.requester, spec.inputs).missing
    if resume is not None:
        missing += files.missing(db, oracle.blobs, quote.requester, resume.files).missing
    if missing:
        raise RefusedError(
            "inputs_missing",
            f"cannot submit: {len(missing)} of the job's input files are not uploaded",
            where="$.quote_id",
        )


def _add(oracle: Oracle, db: Connection, verified: VerifiedSubmission) -> JobRow:
    quote, request, payment = verified.quote, verified.request, verified.payment
    submission = verified.submission
    job = JobRow(
        job_id=request.job_id,
        state=JobState.SUBMITTED,
        quote_id=quote.quote_id,
        node_id=quote.node_id,
        requester=quote.requester,
        cpu_mhz=quote.cpu_mhz,
        ram_mb=quote.ram_mb,
        disk_mb=quote.disk_mb,
        time_limit_s=verified.spec.time_limit_s,
        price=request.price,
        deadline_slot=request.deadline_slot,
        payment_tx_id=payment.tx_id.hex(),
        payment_index=payment.output_index,
        submitted_ms=oracle.now_ms,
    )
    jobs.add(db, job)
    for kind, body in (
        (Paper.SPEC, quote.spec),
        (Paper.REQUEST, quote.request),
        (Paper.COSE_SIGN1, submission.cose_sign1),
        (Paper.COSE_KEY, submission.cose_key),
        (Paper.PAYMENT_TX, submission.payment_tx),
    ):
        jobs.keep(db, job.job_id, kind, body)
    files.bind(db, job.job_id, verified.spec.inputs, files.INPUT)
    if (resume := verified.spec.resume) is not None:
        files.bind(db, job.job_id, resume.files, files.RESUMED)
    quotes.set_used(db, quote.quote_id, used=True)
    return job


def _hand_in(oracle: Oracle, job: JobRow, raw: bytes) -> None:
    """Give the payment to the chain; a refusal there undoes the job and is passed on.

    The job is stored first: a crash in between loses no payment, the clockwork hands it in again.
    """
    try:
        oracle.chain.submit(raw)
    except RefusedError as refusal:
        with oracle.store.writing() as db:
            jobs.remove(db, job.job_id)
            files.unbind(db, job.job_id)
            quotes.set_used(db, job.quote_id, used=False)
        log.info("payment_refused job=%s code=%s", job.job_id, refusal.code)
        raise
    except (CapacityError, UnreachableError) as error:
        log.warning("payment_waits job=%s why=%s", job.job_id, error)


def _already_used() -> RefusedError:
    return RefusedError(
        PaymentRefusal.ALREADY_USED.value,
        "cannot submit: this payment or this quote already belongs to a job",
    )
