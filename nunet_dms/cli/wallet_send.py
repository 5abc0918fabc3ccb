"""`nunet wallet send`: pay an address."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nunet_dms import paths
from nunet_dms.cli import render
from nunet_dms.cli.contact import oracle_url, requester
from nunet_dms.cli.passphrases import PASSPHRASE
from nunet_dms.errors import OracleUnreachableError, UnreachableError, UsageError

if TYPE_CHECKING:
    from nunet_dms.cardano.address import Address
    from nunet_dms.requester.client import Requester
    from nunet_dms.requester.transfer import Sending, Transfer

NAME = typer.Argument(help="The wallet's name.")
TO = typer.Option(..., "--to", help="The address to pay.")
AMOUNT = typer.Option("", "--amount", help="How many tokens (mNTX), such as 1.5.")
ADA_TOO = typer.Option("", "--ada", help="How many ADA; else the least that goes with tokens.")
TO_SCRIPT = typer.Option(False, "--to-script", help="Pay even the address of a script.")
WAIT = typer.Option(False, "--wait", help="Return when the transaction is on the chain.")
YES = typer.Option(False, "--yes", help="Do not ask.")
ORACLE = typer.Option("", "--oracle", help="The Oracle's URL; else $NUNET_ORACLE, else config.")
JSON = typer.Option(False, "--json", help="One line of JSON.")


def send(
    name: str = NAME, to: str = TO, amount: str = AMOUNT, ada: str = ADA_TOO,
    to_script: bool = TO_SCRIPT, wait: bool = WAIT, yes: bool = YES,
    passphrase: Path | None = PASSPHRASE, oracle: str = ORACLE, as_json: bool = JSON,
) -> None:  # fmt: skip
    """Send tokens or ADA to an address; shows what is sent, what it costs, what comes back.

    Example: nunet wallet send default --to addr1... --amount 1.5
    """
    from nunet_dms.protocol.amount import ADA  # noqa: PLC0415 - lazy
    from nunet_dms.requester.explain import show_value  # noqa: PLC0415 - nacl
    from nunet_dms.requester.transfer import plan_transfer  # noqa: PLC0415 - nacl

    if not yes and not render.can_ask():
        raise UsageError(
            "cannot send: nobody is at a terminal to agree", hint="to skip the question: --yes"
        )
    where = paths.resolve()
    with requester(where, oracle_url(where, oracle), name, passphrase) as us:
        sending = _sending(us, _payable(to, us.address, to_script=to_script), amount, ada)
        plan = plan_transfer(sending, us.funds(), us.ledger)
        units = {sending.asset: us.unit}
        for line in (
            f"sends   {show_value(plan.sent, units)}",
            f"to      {sending.to}",
            f"fee     {ADA.show(plan.unsigned.fee)}",
            f"change  {show_value(plan.change, units)} back to {us.address}",
        ):
            render.progress(line)
        if not yes and not render.confirm("Send this?"):
            raise UsageError("nothing was sent")
        tx_id = _submit(us, plan)
        if wait:
            _wait(us, tx_id, sending.to)
    facts = {
        "wallet": name, "tx_id": tx_id, "to": sending.to.bech32,
        "tokens": sending.amount, "token_decimals": us.unit.decimals,
        "lovelace": plan.sent.lovelace, "fee_lovelace": plan.unsigned.fee, "on_chain": wait,
    }  # fmt: skip
    lines = (f"{'on the chain' if wait else 'on the way'} in transaction {tx_id}",)
    render.show(render.Shown("nunet.wallet.send/1", facts, lines), as_json)


def _sending(us: Requester, to: Address, amount: str, ada: str) -> Sending:
    from nunet_dms.protocol.amount import ADA  # noqa: PLC0415 - lazy
    from nunet_dms.requester.transfer import Sending  # noqa: PLC0415 - nacl

    tokens = us.unit.parse(amount) if amount else 0
    lovelace = ADA.parse(ada) if ada else None
    if not tokens and not lovelace:
        raise UsageError("cannot send nothing: give --amount, --ada, or both")
    return Sending(to, us.network.asset, tokens, lovelace)


def _payable(text: str, home: Address, *, to_script: bool) -> Address:
    """Return the address to pay; raises MalformedError and UsageError as `send` is to refuse."""
    from nunet_dms.cardano.address import parse_address  # noqa: PLC0415 - lazy

    address = parse_address(text)
    if address.network_id != home.network_id:
        raise UsageError(
            f"cannot send to {address}: it is of another Cardano network than the Oracle's",
            hint=f"give an address that starts as yours does: {home.bech32[:12]}...",
        )
    if address.payment_is_script and not to_script:
        raise UsageError(
            f"cannot send to {address}: a script guards it, and might keep the tokens for ever",
            hint="to send all the same: --to-script",
        )
    return address


def _submit(us: Requester, plan: Transfer) -> str:
    try:
        return us.send(plan.unsigned)
    except OracleUnreachableError as error:
        raise OracleUnreachableError(
            f"cannot tell whether transaction {plan.unsigned.tx_id.hex()} is on the way: {error}",
            hint="look at `nunet wallet balance` before you send again",
        ) from error


def _wait(us: Requester, tx_id: str, to: Address) -> None:
    from nunet_dms.requester.transfer import SEE_WAIT_S, wait_on_chain  # noqa: PLC0415 - nacl

    places = (to, us.address)
    if not wait_on_chain(us.ledger, tx_id, places, time.time, threading.Event().wait):
        raise UnreachableError(
            f"cannot see transaction {tx_id} on the chain after {SEE_WAIT_S:g} s: it may yet come",
            hint="look at `nunet wallet balance` before you send again",
        )
