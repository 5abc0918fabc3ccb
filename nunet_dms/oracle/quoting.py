"""Quote a job: match a live node that has room, price it by the node's own list, hold the room."""

from __future__ import annotations

import math
import secrets

from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.agreement import escrow_terms
from nunet_dms.cardano.builder import ESCROW_LOVELACE
from nunet_dms.errors import RefusedError
from nunet_dms.oracle import checkpoints, missed, quotes
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.matching import Candidate, best, candidates, misses, why_none
from nunet_dms.oracle.quotes import QuoteRow
from nunet_dms.protocol import strict
from nunet_dms.protocol.amount import unit_of
from nunet_dms.protocol.job import JobSpec
from nunet_dms.protocol.quote import JobRequest, Quote
from nunet_dms.protocol.submission import QuoteRequest

QUOTE_LIFE_S = 300
"""For that long a quote holds its place, unless its requester asks otherwise."""
QUOTES_OPEN_MAX = 16
"""Unused quotes of one requester at a time, so that nobody holds every node for nothing."""
DEADLINE_MARGIN_MIN_S = 3600
"""Never less between a job's time limit and its deadline, beside the window for objections: the
settlement must fit in."""
INPUTS_MAX_BYTES = 16 * 1024**3
"""Of all inputs of one job."""
SPEC_MAX_BYTES = 3 * 512 * 1024
"""Of a spec's canonical bytes. It travels on as text within JSON, which may double it, and must
then still be under `strict.TEXT_MAX_BYTES` with the ticket or the receipt around it."""


def make_quote(oracle: Oracle, requester: str, wanted: QuoteRequest) -> Quote:
    """Return a quote and hold the place until it expires; note what other nodes miss.

    Raises CapacityError naming what is requested and what is available, RefusedError
    `foreign_requester`, `unsupported`, `too_many_quotes`, `price_above_limit`, or
    `platform_mismatch` for a checkpoint that fits no node; and what `checkpoints.lend` raises.
    """
    _check_requester(requester, wanted)
    _check_size(wanted.spec)
    refusal = unsupported(wanted.spec)
    spec_hash, now_s = wanted.spec.digest, oracle.clock()
    quote: Quote | None = None
    with oracle.store.writing() as db:
        if quotes.count_open(db, requester, now_s) >= QUOTES_OPEN_MAX:
            raise RefusedError(
                "too_many_quotes", f"cannot quote: {QUOTES_OPEN_MAX} unused quotes hold places"
            )
        checkpoints.lend(oracle, db, requester, wanted.spec)
        found = candidates(db, wanted, now_s)
        chosen = None if refusal else best(found, wanted)
        missing = misses(found, chosen, wanted, supported=refusal is None)
        missed.record(db, requester, spec_hash, missing, now_s)
        if chosen is not None:
            quote = _quote(oracle, wanted, spec_hash, chosen, now_s)
            quotes.add(db, _row(quote, wanted))
    if quote is None:  # only now: what was missed is to stay in the ledger
        asset, decimals = oracle.network.asset, oracle.network.token_decimals
        raise refusal or why_none(found, wanted, unit_of(asset.name, decimals).show)
    return quote


def unsupported(spec: JobSpec) -> RefusedError | None:
    """Return the refusal, `unsupported` with the path, of what this version cannot run."""
    for asked, where, what in (
        (spec.network != "none", "$.spec.network", "network egress"),
        (spec.resources.gpus > 0, "$.spec.resources.gpus", "GPUs"),
        (spec.resources.vram_mb > 0, "$.spec.resources.vram_mb", "GPU memory"),
        (spec.kind != "batch", "$.spec.kind", "services"),
    ):
        if asked:
            return RefusedError(
                "unsupported", f"cannot quote: {what} cannot be had yet", where=where
            )
    return None


def _check_size(spec: JobSpec) -> None:
    if (size := len(strict.encode(spec))) > SPEC_MAX_BYTES:
        raise RefusedError(
            "spec_too_large",
            f"cannot quote: the spec has {size} bytes of JSON, {SPEC_MAX_BYTES} may be",
            where="$.spec",
        )
    if spec.inputs.total_bytes > INPUTS_MAX_BYTES:
        raise RefusedError(
            "inputs_too_large",
            f"cannot quote: the inputs have {spec.inputs.total_bytes} bytes, {INPUTS_MAX_BYTES} "
            "may be",
            where="$.spec.inputs",
        )


def _check_requester(requester: str, wanted: QuoteRequest) -> None:
    if wanted.requester != requester:
        raise RefusedError(
            "foreign_requester",
            "cannot quote: the session is of another wallet",
            where="$.requester",
        )
    if parse_address(requester).payment_is_script:
        raise RefusedError(
            "unsupported",
            "cannot quote: a script's address cannot sign a request",
            where="$.requester",
        )


def _quote(
    oracle: Oracle, wanted: QuoteRequest, spec_hash: str, chosen: Candidate, now_s: float
) -> Quote:
    hold_s = wanted.hold_s or QUOTE_LIFE_S
    expires_s = int(now_s) + hold_s
    margin = max(DEADLINE_MARGIN_MIN_S + oracle.config.window_s, oracle.config.deadline_margin_s)
    margin += max(0, hold_s - QUOTE_LIFE_S)  # a later payment is not to cost the settlement time
    asset = oracle.network.asset
    request = JobRequest(
        network_magic=oracle.network.magic,
        spec_hash=spec_hash,
        requester=wanted.requester,
        node_id=chosen.node.node_id,
        node_key_hash=chosen.node.settlement_key_hash,
        provider_wallet=chosen.node.wallet,
        oracle_key_hash=oracle.keys.escrow.key_hash.hex(),
        token_policy=asset.policy.hex(),
        token_name=asset.name.hex(),
        price=chosen.price,
        deadline_slot=oracle.chain.slot_at(math.ceil(now_s)) + wanted.spec.time_limit_s + margin,
        valid_until_s=expires_s,
        nonce=secrets.token_hex(16),
    )
    return Quote(
        quote_id=secrets.token_hex(16),
        request=request,
        lines=chosen.lines,
        price_list=chosen.node.price,
        escrow_address=escrow_terms(request).address.bech32,
        escrow_lovelace=ESCROW_LOVELACE,
        confirmations=oracle.network.confirmations,
        expires_s=expires_s,
    )


def _row(quote: Quote, wanted: QuoteRequest) -> QuoteRow:
    resources = wanted.spec.resources
    return QuoteRow(
        quote_id=quote.quote_id,
        node_id=quote.request.node_id,
        requester=wanted.requester,
        cpu_mhz=resources.cpu_mhz,
        ram_mb=resources.ram_mb,
        disk_mb=resources.disk_mb,
        expires_s=quote.expires_s,
        used=False,
        spec=strict.encode(wanted.spec).decode(),
        request=strict.encode(quote.request).decode(),
    )
