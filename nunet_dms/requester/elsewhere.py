"""A payment that another wallet signs: what comes back is checked, then it is as if we had signed.

Only the payment's inputs are the other wallet's. Who requests the job stays the wallet here: it
logs in, signs the request, and gets all that a settlement or a refund gives back.
"""

from __future__ import annotations

from dataclasses import replace

from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.builder import METADATA_LABEL
from nunet_dms.cardano.envelope import read_handed
from nunet_dms.cardano.signing import add_witness
from nunet_dms.cardano.transaction import Transaction, Witness, read_transaction, verifies
from nunet_dms.errors import RefusedError, UsageError, VerificationError
from nunet_dms.requester.records import Records, SubmissionRecord


def payment_of(record: SubmissionRecord) -> Transaction:
    """Return a recorded job's payment, read."""
    return read_transaction(bytes.fromhex(record.submission.payment_tx))


def check_signed(record: SubmissionRecord) -> None:
    """Raise UsageError for a payment that still lacks its signature."""
    if record.unsigned:
        raise UsageError(
            f"cannot hand in job {record.job_id}: its payment is not signed",
            hint="type: nunet request submit --signed FILE",
        )


def take_signature(records: Records, content: bytes, now_s: float) -> SubmissionRecord:
    """Put a signature from elsewhere into the payment that it is for, and record it.

    Raises as `with_signature`; the record on disk is then as it was.
    """
    record = with_signature(content, records.all(), now_s)
    records.save(record)
    return record


def with_signature(
    content: bytes, records: tuple[SubmissionRecord, ...], now_s: float
) -> SubmissionRecord:
    """Return the record whose payment a file signs, the signature put in.

    `content` is a signed transaction or signatures alone, as `read_handed` takes them. The
    transaction that goes out is the one we wrote, byte for byte, with the signature of the one
    key that it needs; what else the file holds is dropped. Raises MalformedError, and
    VerificationError whose code says what does not hold.
    """
    handed = read_handed(content)
    if isinstance(handed, bytes):
        signed = read_transaction(handed)
        record, witnesses = _same(signed, records), signed.witnesses
    else:
        record, witnesses = _signed_by(handed, records), handed
    if record.submitted or not record.unsigned:
        return record  # signed before: to hand it in again is harmless
    left_s = record.quote.expires_s - now_s
    if left_s <= 0:
        raise RefusedError(
            "quote_expired",
            f"cannot pay job {record.job_id[:12]}: its quote expired {-left_s:.0f} s ago; nothing "
            "was paid",
            hint="begin again: nunet request submit job.toml --unsigned FILE",
        )
    return _completed(record, witnesses)


def needed_key_hash(record: SubmissionRecord) -> bytes:
    """Return the hash of the key that must sign: all inputs lie at its address."""
    return parse_address(record.pay_from or record.request.requester).payment_hash


def _completed(record: SubmissionRecord, witnesses: tuple[Witness, ...]) -> SubmissionRecord:
    needed = needed_key_hash(record)
    payment = bytes.fromhex(record.submission.payment_tx)
    for witness in witnesses:
        if witness.key_hash == needed:
            signed = add_witness(payment, witness)  # raises when the signature does not hold
            submission = replace(record.submission, payment_tx=signed.hex())
            return replace(record, submission=submission, unsigned=False)
    raise VerificationError(
        "no_witness",
        f"cannot pay job {record.job_id[:12]}: the signature of key {needed.hex()} is missing",
        hint=f"sign it with the wallet of {record.pay_from or record.request.requester}",
    )


def _same(signed: Transaction, records: tuple[SubmissionRecord, ...]) -> SubmissionRecord:
    """Return the record of exactly this payment."""
    for record in records:
        if payment_of(record).body == signed.body:
            return record
    note = signed.metadata.get(METADATA_LABEL)
    job_hash = note.get("job") if isinstance(note, dict) else None
    for record in records:
        if isinstance(job_hash, bytes) and record.request.digest == job_hash.hex():
            raise VerificationError(
                "other_transaction",
                f"cannot pay job {record.job_id[:12]} with this transaction: it is not the one "
                "that was written for it",
                hint="sign the file as it is, or have the wallet give the signature alone",
            )
    raise UsageError(
        f"cannot find the job that transaction {signed.tx_id.hex()} pays: it was not written here",
        hint="type: nunet request list",
    )


def _signed_by(
    witnesses: tuple[Witness, ...], records: tuple[SubmissionRecord, ...]
) -> SubmissionRecord:
    """Return the record whose payment one of the signatures holds for."""
    for record in records:
        tx_id = payment_of(record).tx_id
        if any(verifies(witness, tx_id) for witness in witnesses):
            return record
    raise VerificationError(
        "bad_signature", "cannot find the job: the signature is of no payment that was written here"
    )
