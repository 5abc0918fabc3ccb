"""Register nodes, and hear that they live."""

from __future__ import annotations

import logging

from sqlalchemy import Connection

from nunet_dms.cardano.address import parse_payee
from nunet_dms.errors import MalformedError, RefusedError
from nunet_dms.oracle import disputing, jobs, machines, missed, nodes
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.nodes import NodeRow
from nunet_dms.oracle.states import ENDED
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import JOBS_MAX, Done
from nunet_dms.protocol.keys import node_id_of
from nunet_dms.protocol.node import Heartbeat, HeartbeatReply, NodeRegistration, Unsettled
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed
from nunet_dms.protocol.submission import JobState

LEASE_S = 600
"""How long a running job is a node's without a word from it; it speaks every few seconds."""

log = logging.getLogger(__name__)


def register(oracle: Oracle, node_id: str, sealed: Sealed) -> Done:
    """Take a node's registration, or what changed in it.

    Raises VerificationError for a foreign or broken one, RefusedError `stale_registration` for
    one older than ours, and `jobs_open` for another settlement key while jobs are open. Another
    wallet is paid from the next job on: those that are open have theirs in their requests.
    """
    if node_id_of(sealed.public_key) != node_id:
        raise RefusedError("foreign_key", "cannot register: the key is not this node's")
    found = open_sealed(sealed, NodeRegistration, Domain.REGISTRATION, sealed.public_key)
    _check(oracle, node_id, found)
    with oracle.store.writing() as db:
        known = nodes.find(db, node_id)
        if known is not None and known.issued_s > found.issued_s:
            raise RefusedError("stale_registration", "cannot register: a newer one is known")
        if known is not None and known.settlement_key_hash != found.settlement_key_hash:
            open_states = set(JobState) - ENDED
            if jobs.node_jobs(db, node_id, open_states):
                raise RefusedError(
                    "jobs_open",
                    "cannot register: the settlement key may not change while jobs are open",
                    where="$registration.settlement_key_hash",
                )
        row = _row(found, sealed, known)
        nodes.put(db, row)
    log.info("node_registered node=%s cpu_mhz=%d ram_mb=%d", node_id, row.cpu_mhz, row.ram_mb)
    _log_machine(known, found)
    return Done(duplicate=known is not None and known.registration == row.registration)


def heartbeat(oracle: Oracle, node_id: str, beat: Heartbeat) -> HeartbeatReply:
    """Renew the leases of what a node holds, name those that are lost, and what work it missed.

    Raises RefusedError `unknown_node` before the node has registered.
    """
    now_s = int(oracle.clock())
    phases = {each.job_id: strict.encode(each.phase).decode() for each in beat.progress}
    with oracle.store.writing() as db:
        if not nodes.seen(db, node_id, oracle.now_ms, accepting=beat.accepting):
            raise RefusedError("unknown_node", "cannot take the heartbeat: register first")
        lost = []
        for job_id in beat.holding:
            job = jobs.find(db, job_id)
            if job is None or job.node_id != node_id:
                lost.append(job_id)
            elif job.state is JobState.RUNNING:
                phase = phases.get(job_id, job.phase)
                jobs.change(db, job, lease_expires_s=now_s + LEASE_S, phase=phase)
            elif job.state is not JobState.OFFERED and job.report_hash is None:
                lost.append(job_id)
    slot = oracle.chain.slot_at(now_s)
    with oracle.store.reading() as db:
        missed_work = missed.of_node(db, node_id, now_s)
        unsettled = _unsettled(db, node_id, now_s - slot)
    return HeartbeatReply(time_s=now_s, lost=tuple(lost), missed=missed_work, unsettled=unsettled)


def _unsettled(db: Connection, node_id: str, slot_zero_s: int) -> tuple[Unsettled, ...]:
    """Return the verdicts that give a node something and are not paid out."""
    found = jobs.node_jobs(db, node_id, (JobState.DECIDED, JobState.SETTLING))
    owed = sorted((job for job in found if job.provider_amount), key=lambda job: job.deadline_slot)
    return tuple(
        [
            Unsettled(
                job_id=job.job_id,
                amount=job.provider_amount or 0,
                window_ends_s=job.window_ends_s or 0,
                objections=disputing.parties(db, job.job_id),
                deadline_s=slot_zero_s + job.deadline_slot,
            )
            for job in owed[:JOBS_MAX]
        ]
    )


def _check(oracle: Oracle, node_id: str, found: NodeRegistration) -> None:
    if found.node_id != node_id:
        raise RefusedError("foreign_key", "cannot register: it is for another node id")
    if found.network_magic != oracle.network.magic:
        raise RefusedError(
            "wrong_network",
            f"cannot register: the node is not of {oracle.network.name}",
            where="$registration.network_magic",
        )
    try:
        parse_payee(found.wallet, oracle.network.network_id)
    except MalformedError as error:
        raise RefusedError(
            error.code, f"cannot register: {error}", where="$registration.wallet"
        ) from error


def _log_machine(known: NodeRow | None, found: NodeRegistration) -> None:
    before = None if known is None else machines.known_machine(known.registration)
    if before is None or found.machine is None:
        return
    if changed := machines.logged_changes(before, found.machine):
        log.info("node_machine_changed node=%s %s", found.node_id, changed)


def _row(found: NodeRegistration, sealed: Sealed, known: NodeRow | None) -> NodeRow:
    return NodeRow(
        node_id=found.node_id,
        public_key=sealed.public_key,
        settlement_key_hash=found.settlement_key_hash,
        wallet=found.wallet,
        cpu_mhz=found.capacity.cpu_mhz,
        ram_mb=found.capacity.ram_mb,
        disk_mb=found.capacity.disk_mb,
        per_ghz_hour=found.price.per_ghz_hour,
        per_ram_gb_hour=found.price.per_ram_gb_hour,
        per_gpu_hour=found.price.per_gpu_hour,
        issued_s=found.issued_s,
        accepting=known is not None and known.accepting,
        seen_ms=0 if known is None else known.seen_ms,
        registration=strict.encode(sealed).decode(),
    )
