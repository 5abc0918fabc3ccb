"""A requester's quote and job, as facts for scripts and lines for people.

Amounts are base units in facts, which name the decimals; in lines they are what people write.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nunet_dms.cli.times import clock_time

PHASES = {
    "pulling": "the node fetches its image; this is not billed",
    "preparing": "the node fetches its inputs and makes its container; this is not billed",
    "running": "it runs",
}

if TYPE_CHECKING:
    from nunet_dms.protocol.amount import Unit
    from nunet_dms.protocol.phase import Phase
    from nunet_dms.protocol.quote import PricePart
    from nunet_dms.protocol.submission import JobView
    from nunet_dms.requester.pay import CheckedQuote
    from nunet_dms.requester.records import SubmissionRecord


def quote_facts(checked: CheckedQuote) -> dict[str, object]:
    """Return a quote for `--json`."""
    quote = checked.quote
    return {
        "quote_id": quote.quote_id,
        "job_id": quote.request.job_id,
        "price": quote.request.price,
        **_unit_facts(checked.unit),
        "lines": [asdict(line) for line in quote.lines],
        "formula": [asdict(part) for part in checked.parts],
        "node_id": quote.request.node_id,
        "escrow_address": quote.escrow_address,
        "escrow_lovelace": quote.escrow_lovelace,
        "expires_s": quote.expires_s,
    }


def quote_lines(checked: CheckedQuote) -> tuple[str, ...]:
    """Return a quote as its formula line by line, the sum last."""
    from nunet_dms.protocol.amount import ADA  # noqa: PLC0415 - loaded with the rest of requester

    unit = checked.unit
    rows = [(_formula(part, unit), unit.show(part.amount)) for part in checked.parts]
    width = max(len(text) for text, _ in rows)
    price, deposit = unit.show(checked.quote.request.price), ADA.show(checked.quote.escrow_lovelace)
    return (
        *[f"{text.ljust(width)}  {amount}" for text, amount in rows],
        f"{'at most'.ljust(width)}  {price}; what does not run comes back",
        f"{'deposit'.ljust(width)}  {deposit}, back with the settlement, less fees",
    )


def _formula(part: PricePart, unit: Unit) -> str:
    if not part.per:
        return part.what
    return f"{part.what} x {part.time_s} s at {unit.show(part.rate)} per {part.per}"


def unsigned_facts(record: SubmissionRecord, file: Path) -> dict[str, object]:
    """Return a payment that is to be signed elsewhere, for `--json`."""
    from nunet_dms.requester.elsewhere import needed_key_hash, payment_of  # noqa: PLC0415 - lazy

    return {
        "job_id": record.job_id,
        "tx_id": payment_of(record).tx_id.hex(),
        "file": str(file),
        "pay_from": record.pay_from,
        "key_hash": needed_key_hash(record).hex(),
        "comes_back_to": record.request.requester,
        "expires_s": record.quote.expires_s,
    }


def unsigned_lines(record: SubmissionRecord, file: Path, now_s: float) -> tuple[str, ...]:
    """Return what is to be done with a payment that is to be signed elsewhere."""
    from nunet_dms.requester.elsewhere import payment_of  # noqa: PLC0415 - lazy

    left_s = max(0, int(record.quote.expires_s - now_s))
    return (
        f"job          {record.job_id}",
        f"payment      {payment_of(record).tx_id.hex()}, not signed, in {file}",
        f"to be signed by the wallet of {record.pay_from}, which also gets its change",
        f"comes back   to {record.request.requester}: what the settlement or a refund gives",
        f"held for     {left_s} s; then type: nunet request submit --signed FILE",
    )


def view_row(view: JobView, unit: Unit) -> tuple[str, ...]:
    """Return a job as a row of `nunet request list`."""
    reason = view.reason.value if view.reason else ""
    amounts = (view.price, view.provider_amount, view.requester_amount)
    shown = ["" if amount is None else unit.show(amount) for amount in amounts]
    return (view.job_id[:12], view.state.value, reason, *shown)


def view_facts(view: JobView, unit: Unit) -> dict[str, object]:
    """Return a job for `--json`."""
    facts = asdict(view)
    facts["state"] = view.state.value
    facts["reason"] = view.reason.value if view.reason else None
    facts["objections"] = list(view.objections)
    return {**facts, **_unit_facts(unit)}


def view_lines(view: JobView, unit: Unit) -> tuple[str, ...]:
    """Return how a job stands, in words."""
    reason = f" ({view.reason.value}{_whose(view)})" if view.reason else ""
    lines = [
        f"job        {view.job_id}",
        f"state      {view.state.value}{reason}",
        f"price      {unit.show(view.price)}, paid in {view.payment_tx_id}",
    ]
    if view.detail:
        lines.append(f"detail     {view.detail}")
    if view.exit_code is not None:
        lines.append(f"exit code  {view.exit_code}")
    if view.provider_amount is not None:
        lines.append(
            f"verdict    {unit.show(view.provider_amount)} to the provider,"
            f" {unit.show(view.requester_amount or 0)} back to the requester"
        )
    if view.phase is not None:
        lines.append(f"phase      {phase_text(view.phase)}")
    lines += _dispute_lines(view)
    if view.settlement_tx_id:
        word = "settled" if view.settled_ms else "settling"
        lines.append(f"{word.ljust(10)} in {view.settlement_tx_id}")
    return (*lines, *_kept_lines(view))


def _kept_lines(view: JobView) -> list[str]:
    """Return what there is of a job's log, files and checkpoint."""
    lines = []
    if (saved := view.checkpoint) is not None:
        lines.append(
            f"checkpoint number {saved.number} of {clock_time(saved.taken_ms // 1000)}, "
            f"{saved.size_bytes} bytes; to go on from it: nunet request resume {view.job_id[:12]}"
        )
    if view.log_complete is False:
        lines.append(f"log        {log_words(view)}")
    if view.files_until_s is not None:
        lines.append(f"kept       log and files, until {clock_time(view.files_until_s)}")
    return lines


def log_words(view: JobView) -> str:
    """Return what is wrong with a log that is not complete."""
    text = f"{view.log_bytes} bytes, not complete"
    if view.log_dropped_bytes:
        return f"{text}: the job wrote {view.log_dropped_bytes} bytes past the limit of a log"
    return f"{text}: part of what the job wrote is missing"


def _whose(view: JobView) -> str:
    """Return whose doing a job's end was; a success is nobody's."""
    from nunet_dms.protocol.report import BLAME, Blame, Reason  # noqa: PLC0415 - lazy

    if view.reason in {None, Reason.SUCCEEDED}:
        return ""
    blame = BLAME[view.reason]
    return ": nobody's fault" if blame is Blame.NOBODY else f": the {blame.value}'s doing"


def phase_text(phase: Phase) -> str:
    """Return what a job is at, in words."""
    if phase.name != "pulling" or not phase.total_bytes:
        return PHASES[phase.name]
    done, total = (f"{count / 1e6:.1f}" for count in (phase.done_bytes, phase.total_bytes))
    return f"{PHASES[phase.name]}, {done} of {total} MB so far"


def _dispute_lines(view: JobView) -> list[str]:
    """Return what was said against a verdict, and what holds a job."""
    lines = [f"objection  by the {party}" for party in view.objections]
    if view.is_revised:
        lines.append("revised    the Oracle's operator has revised the verdict")
    if view.state.value == "decided" and view.window_ends_s is not None:
        lines.append(f"window     objections are taken until {clock_time(view.window_ends_s)}")
    if view.payment_missing:
        lines.append("held       the chain does not have the payment now; it was handed in again")
    return lines


def _unit_facts(unit: Unit) -> dict[str, object]:
    return {"token": unit.name, "token_decimals": unit.decimals}
