"""What requesters, and everybody, may read."""

from __future__ import annotations

from importlib.metadata import version

from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.chain.devnet import NO_VALUE_NOTICE
from nunet_dms.cardano.network import DEVNET
from nunet_dms.errors import RefusedError
from nunet_dms.oracle import checkpoints, disputing, jobs, logs, retention
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.disputing import Disputed
from nunet_dms.oracle.jobs import JobRow
from nunet_dms.oracle.states import LOG_OPEN
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import JOBS_MAX, LOG_CHUNK_MAX_BYTES, OracleInfo
from nunet_dms.protocol.chain import (
    AssetQuantity,
    ChainParameters,
    TransactionId,
    UtxoList,
    UtxoView,
)
from nunet_dms.protocol.phase import Phase
from nunet_dms.protocol.submission import CheckpointView, JobList, JobState, JobView

VERSION = version("nunet-dms")


def info(oracle: Oracle) -> OracleInfo:
    """Return who this Oracle is."""
    network = oracle.network
    return OracleInfo(
        version=VERSION,
        network=network.name,
        network_magic=network.magic,
        network_id=network.network_id,
        token_policy=network.asset.policy.hex(),
        token_name=network.asset.name.hex(),
        token_decimals=network.token_decimals,
        ticket_key=oracle.keys.ticket.public,
        escrow_key_hash=oracle.keys.escrow.key_hash.hex(),
        warning=NO_VALUE_NOTICE if network.name == DEVNET.name else "",
    )


def view(
    oracle: Oracle, job: JobRow, disputed: Disputed, checkpoint: CheckpointView | None
) -> JobView:
    """Return what a requester may know of a job."""
    return JobView(
        job_id=job.job_id,
        state=job.state,
        reason=job.reason,
        detail=job.detail,
        node_id=job.node_id,
        exit_code=job.exit_code,
        price=job.price,
        provider_amount=job.provider_amount,
        requester_amount=job.requester_amount,
        payment_tx_id=job.payment_tx_id,
        settlement_tx_id=job.settlement_tx_id,
        log_bytes=job.log_bytes,
        log_complete=job.log_complete,
        log_dropped_bytes=job.log_dropped_bytes,
        cancel_requested=job.cancel_requested,
        submitted_ms=job.submitted_ms,
        started_ms=job.started_ms,
        finished_ms=job.finished_ms,
        settled_ms=job.settled_ms,
        deadline_slot=job.deadline_slot,
        window_ends_s=job.window_ends_s,
        objections=disputed.parties.get(job.job_id, ()),
        is_revised=job.job_id in disputed.revised,
        payment_missing=job.payment_missing_s is not None,
        phase=_phase(job),
        checkpoint=checkpoint,
        files_until_s=retention.files_until_s(oracle, job),
    )


def _phase(job: JobRow) -> Phase | None:
    if job.phase is None or job.state is not JobState.RUNNING:
        return None
    return strict.decode(Phase, job.phase.encode())


def job_view(oracle: Oracle, requester: str, job_id: str) -> JobView:
    """Return a requester's job; raises RefusedError `unknown_job`."""
    with oracle.store.reading() as db:
        job = jobs.of_requester(db, job_id, requester)
        saved = checkpoints.views(db, requester, job_id)
        disputed = disputing.disputed(db, requester, job_id)
        return view(oracle, job, disputed, saved.get(job_id))


def job_list(oracle: Oracle, requester: str) -> JobList:
    """Return a requester's jobs, newest first."""
    with oracle.store.reading() as db:
        rows = jobs.requester_jobs(db, requester, JOBS_MAX)
        disputed, saved = disputing.disputed(db, requester), checkpoints.views(db, requester)
    return JobList(jobs=tuple([view(oracle, row, disputed, saved.get(row.job_id)) for row in rows]))


def log_part(
    oracle: Oracle, requester: str, job_id: str, offset: int
) -> tuple[JobRow, bytes, bool]:
    """Return the job, its log from `offset` on (a chunk at most), and whether the log has ended.

    Raises RefusedError `files_gone` once the log is not kept any more.
    """
    with oracle.store.reading() as db:
        job = jobs.of_requester(db, job_id, requester)
        retention.check_kept(oracle, job)
        part = logs.read(db, job_id, offset, LOG_CHUNK_MAX_BYTES)
    return job, part, job.state not in LOG_OPEN


def submit(oracle: Oracle, raw: bytes) -> TransactionId:
    """Hand a wallet's transaction to the chain; raises RefusedError."""
    admit_guest(oracle)
    return TransactionId(tx_id=oracle.chain.submit(raw).hex())


def admit_guest(oracle: Oracle) -> None:
    """Raise RefusedError `busy` when wallets ask a chain that others have more than their share."""
    if not oracle.guests.take(longest_s=0):
        raise RefusedError(
            "busy", "cannot ask the chain: too many wallets do just now", hint="try again soon"
        )


def parameters(oracle: Oracle) -> ChainParameters:
    """Return the ledger's fee rules and its present slot."""
    found, tip = oracle.chain.parameters(), oracle.chain.tip()
    return ChainParameters(
        min_fee_a=found.min_fee_a,
        min_fee_b=found.min_fee_b,
        coins_per_utxo_byte=found.coins_per_utxo_byte,
        max_tx_size=found.max_tx_size,
        slot=max(tip.slot, oracle.chain.slot_at(oracle.clock())),
        height=tip.height,
    )


def utxos(oracle: Oracle, address: str) -> UtxoList:
    """Return an address's unspent outputs; raises MalformedError for what is no address."""
    wanted = parse_address(address)
    admit_guest(oracle)
    found = oracle.chain.unspent_outputs(wanted)
    return UtxoList(
        utxos=tuple(
            [
                UtxoView(
                    tx_id=utxo.ref.tx_id.hex(),
                    index=utxo.ref.index,
                    lovelace=utxo.output.value.lovelace,
                    assets=tuple(
                        [
                            AssetQuantity(
                                policy=asset.policy.hex(), name=asset.name.hex(), quantity=amount
                            )
                            for asset, amount in utxo.output.value.assets
                        ]
                    ),
                )
                for utxo in found
            ]
        )
    )
