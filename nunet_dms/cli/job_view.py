"""A requester's quote and job, as facts for scripts and lines for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from nunet_dms.cli.times import clock_time

if TYPE_CHECKING:
    from nunet_dms.protocol.submission import JobView
    from nunet_dms.requester.pay import CheckedQuote


def quote_facts(checked: CheckedQuote) -> dict[str, object]:
    """Return a quote for `--json`; amounts in base units."""
    quote = checked.quote
    return {
        "quote_id": quote.quote_id,
        "job_id": quote.request.job_id,
        "price": quote.request.price,
        "lines": [asdict(line) for line in quote.lines],
        "node_id": quote.request.node_id,
        "escrow_address": quote.escrow_address,
        "escrow_lovelace": quote.escrow_lovelace,
        "expires_s": quote.expires_s,
    }


def quote_lines(checked: CheckedQuote) -> tuple[str, ...]:
    """Return a quote line by line, the sum last."""
    from nunet_dms.protocol.amount import (  # noqa: PLC0415 - loaded with the rest of requester
        LOVELACE_DECIMALS,
        show_amount,
    )

    quote, network = checked.quote, checked.network
    unit = network.token_name.decode("ascii", "replace")
    parts = [(line.text, line.amount) for line in quote.lines]
    width = max(len(text) for text, _ in parts)
    lines = [
        f"{text.ljust(width)}  {show_amount(amount, network.token_decimals, unit)}"
        for text, amount in parts
    ]
    price = show_amount(quote.request.price, network.token_decimals, unit)
    deposit = show_amount(quote.escrow_lovelace, LOVELACE_DECIMALS, "ADA")
    return (
        *lines,
        f"{'at most'.ljust(width)}  {price}; what does not run comes back",
        f"{'deposit'.ljust(width)}  {deposit}, back with the settlement, less fees",
    )


def view_facts(view: JobView) -> dict[str, object]:
    """Return a job for `--json`."""
    facts = asdict(view)
    facts["state"] = view.state.value
    facts["reason"] = view.reason.value if view.reason else None
    facts["objections"] = list(view.objections)
    return facts


def view_lines(view: JobView) -> tuple[str, ...]:
    """Return how a job stands, in words."""
    reason = f" ({view.reason.value})" if view.reason else ""
    lines = [
        f"job        {view.job_id}",
        f"state      {view.state.value}{reason}",
        f"price      {view.price} base units, paid in {view.payment_tx_id}",
    ]
    if view.detail:
        lines.append(f"detail     {view.detail}")
    if view.exit_code is not None:
        lines.append(f"exit code  {view.exit_code}")
    if view.provider_amount is not None:
        lines.append(
            f"verdict    {view.provider_amount} to the provider,"
            f" {view.requester_amount} back to the requester"
        )
    lines += _dispute_lines(view)
    if view.settlement_tx_id:
        word = "settled" if view.settled_ms else "settling"
        lines.append(f"{word.ljust(10)} in {view.settlement_tx_id}")
    if view.log_complete is False:
        lines.append(f"log        {view.log_bytes} bytes, not complete")
    return tuple(lines)


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
