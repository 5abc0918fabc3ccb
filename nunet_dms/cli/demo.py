"""`nunet demo`: one real job, paid, run and settled on this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from nunet_dms.cli import render

if TYPE_CHECKING:
    from nunet_dms.demo.story import Outcome

app = typer.Typer()


@app.command()
def demo(
    image: str = typer.Option("", help="Use this image, name@sha256:..., instead of building one."),
    keep: bool = typer.Option(False, "--keep", help="Keep every file, not only the results."),
    as_json: bool = typer.Option(False, "--json", help="End with one line of JSON."),
) -> None:
    """Pay for and run one real machine-learning job here, from end to end.

    In a temporary place of its own: an Oracle on a development ledger without value, a requester
    with faucet mNTX, and this machine onboarded with half of what it has.
    """
    from nunet_dms.demo.story import play  # noqa: PLC0415 - docker, for this command only

    def line(text: str) -> None:
        render.progress(f"  {text}")

    outcome = play(render.progress, line, image=image, keep=keep)
    render.show(render.Shown("nunet.demo/1", asdict(outcome), lines_of(outcome)), as_json)


def lines_of(outcome: Outcome) -> tuple[str, ...]:
    """Return what the demo came to, in words."""
    from nunet_dms.protocol.amount import Unit  # noqa: PLC0415 - lazy

    show = Unit(outcome.token, outcome.token_decimals).show
    paid, back = show(outcome.provider_amount), show(outcome.requester_amount)
    requester = (outcome.requester_tokens_before, outcome.requester_tokens_after)
    provider = (outcome.provider_tokens_before, outcome.provider_tokens_after)
    seconds = ", ".join(f"{name} {spent:.1f}" for name, spent in outcome.seconds.items())
    return (
        "",
        f"accuracy    {outcome.accuracy:.4f} on digits that the training never saw",
        f"job         {outcome.job_id}: {outcome.reason}",
        f"payment     {show(outcome.price)} in {outcome.payment_tx_id}",
        f"settlement  {paid} to the provider, {back} back, in {outcome.settlement_tx_id}",
        f"requester   {' -> '.join(map(show, requester))}",
        f"provider    {' -> '.join(map(show, provider))}",
        f"results     {outcome.results}",
        f"receipt     {outcome.receipt}",
        f"seconds     {seconds}",
    )
