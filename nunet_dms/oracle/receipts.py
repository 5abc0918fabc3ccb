"""Receipts: made when a settlement is on the chain, given to either side, acknowledged by nodes."""

from __future__ import annotations

from sqlalchemy import Connection

from nunet_dms.cardano.chain.backend import ChainTransaction
from nunet_dms.cardano.transaction import read_transaction
from nunet_dms.errors import RefusedError
from nunet_dms.oracle import disputing, jobs
from nunet_dms.oracle.auth import Caller
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.jobs import JobRow, Paper
from nunet_dms.oracle.states import ENDED
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Done
from nunet_dms.protocol.receipt import Receipt
from nunet_dms.protocol.signing import Sealed
from nunet_dms.protocol.submission import JobState


def receipt_for(db: Connection, job: JobRow, found: ChainTransaction) -> Receipt:
    """Return the record of a job whose settlement the chain has, its links not made yet."""
    ticket = jobs.paper(db, job.job_id, Paper.TICKET)
    report = jobs.paper(db, job.job_id, Paper.REPORT)
    return Receipt(
        job_id=job.job_id,
        spec=jobs.spec_of(db, job.job_id),
        request=jobs.request_of(db, job.job_id),
        request_cose_sign1=jobs.needed_paper(db, job.job_id, Paper.COSE_SIGN1),
        request_cose_key=jobs.needed_paper(db, job.job_id, Paper.COSE_KEY),
        payment_tx=jobs.needed_paper(db, job.job_id, Paper.PAYMENT_TX),
        payment_tx_id=job.payment_tx_id,
        ticket=None if ticket is None else strict.decode(Sealed, ticket),
        report=None if report is None else strict.decode(Sealed, report),
        first_verdict=disputing.first_verdict(db, job.job_id),
        objections=disputing.signed_objections(db, job.job_id),
        verdict=strict.decode(Sealed, jobs.needed_paper(db, job.job_id, Paper.VERDICT)),
        settlement_tx=found.raw.hex(),
        settlement_tx_id=read_transaction(found.raw).tx_id.hex(),
        settled_height=found.height,
    )


def receipt_of(oracle: Oracle, caller: Caller, job_id: str) -> Sealed:
    """Return a settled job's receipt; raises RefusedError `no_receipt` before that."""
    with oracle.store.reading() as db:
        job = jobs.of_party(db, caller, job_id)
        text = jobs.paper(db, job_id, Paper.RECEIPT)
    if text is None or job.state is not JobState.SETTLED:
        raise RefusedError(
            "no_receipt", f"cannot give a receipt: job {job_id} is {job.state.value}"
        )
    return strict.decode(Sealed, text)


def ack_receipt(oracle: Oracle, node_id: str, job_id: str) -> Done:
    """Note that the node knows a job's end; raises RefusedError `no_receipt`."""
    with oracle.store.writing() as db:
        job = jobs.of_node(db, job_id, node_id)
        if job.state not in ENDED:
            raise RefusedError("no_receipt", f"cannot take this: job {job_id} has no receipt")
        if job.receipt_acked:
            return Done(duplicate=True)
        jobs.change(db, job, receipt_acked=True)
    return Done()
