"""`nunet receipt`: show a job's receipt, and verify it without asking anybody."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from nunet_dms import paths
from nunet_dms.cli import render
from nunet_dms.cli.receipt_file import Trust, read_receipt, trusted_key
from nunet_dms.errors import ExitCode, MalformedError

if TYPE_CHECKING:
    from nunet_dms.cardano.receipt import Verification
    from nunet_dms.protocol.signing import Sealed

app = typer.Typer(no_args_is_help=True)
WHAT = typer.Argument(
    metavar="FILE|JOB", help="A receipt's file, - for stdin, or how a job's id begins (4 or more)."
)
ORACLE_KEY = typer.Option("", "--oracle-key", help="The Oracle's ticket key; else a pinned one.")
JSON = typer.Option(False, "--json", help="One line of JSON.")


@app.command()
def show(what: str = WHAT, oracle_key: str = ORACLE_KEY, as_json: bool = JSON) -> None:
    """Show who had what run, what it used, who was paid what, and whether the receipt holds.

    Exit code: 0; 7 for a receipt that is broken, or none.

    Example: nunet receipt show receipt.json
    """
    from nunet_dms.cli import receipt_view  # noqa: PLC0415 - nacl

    where = paths.resolve()
    trust, found = _verified(where, read_receipt(where, what), oracle_key)
    if found.receipt is None:
        raise MalformedError(f"cannot show the receipt: {_last_word(trust, found)[0]}")
    token = receipt_view.token_of(where, found.receipt.request)
    facts = receipt_view.receipt_facts(found.receipt, token)
    words = [
        f"{'' if number else 'verified':<10}  {word}"
        for number, word in enumerate(_last_word(trust, found))
    ]
    shown = {**asdict(facts), **_verdict_facts(trust, found)}
    text = (*receipt_view.receipt_lines(facts, token), *words)
    render.show(render.Shown("nunet.receipt.show/1", shown, text), as_json)
    if found.first_broken is not None:
        raise typer.Exit(int(ExitCode.REFUSED))


@app.command()
def verify(what: str = WHAT, oracle_key: str = ORACLE_KEY, as_json: bool = JSON) -> None:
    """Verify a receipt link by link, offline, as either side of a job can.

    Exit code: 0 if all of it holds and the Oracle's key is given or pinned here; 5 if all of it
    holds but nobody here can say whose key it is; 7 if a link is broken, or it is no receipt.

    Example: nunet receipt verify receipt.json
    """
    where = paths.resolve()
    trust, found = _verified(where, read_receipt(where, what), oracle_key)
    facts = {
        "job_id": found.receipt.job_id if found.receipt else None,
        **_verdict_facts(trust, found),
        "links": [
            {"link": each.link, "state": each.state.value, "text": each.text}
            for each in found.links
        ],
    }
    lines = [f"{each.link:<13}  {each.state.value:<6}  {each.text}" for each in found.links]
    text = (*lines, *_last_word(trust, found))
    render.show(render.Shown("nunet.receipt.verify/1", facts, text), as_json)
    raise typer.Exit(int(_exit_code(trust, found)))


def _verified(where: paths.Paths, sealed: Sealed, given: str) -> tuple[Trust, Verification]:
    from nunet_dms.cardano.receipt import verify_receipt  # noqa: PLC0415 - nacl

    trust = trusted_key(where, given, sealed)
    return trust, verify_receipt(sealed, trust.key)


def _exit_code(trust: Trust, found: Verification) -> ExitCode:
    if found.first_broken is not None:
        return ExitCode.REFUSED
    return ExitCode.FINE if trust.said_by else ExitCode.DEGRADED


def _last_word(trust: Trust, found: Verification) -> tuple[str, ...]:
    """Return what it comes to, in words."""
    from nunet_dms.protocol.keys import fingerprint_of  # noqa: PLC0415 - nacl

    broken, mark = found.first_broken, fingerprint_of(trust.key)
    if broken is not None:
        return (f"BROKEN at {broken.link}: {broken.text}",)
    if trust.said_by:
        return (f"every link holds; the Oracle's key is {mark}, {trust.said_by}",)
    return (
        "every link holds, but nobody here says that the key is the Oracle's",
        f"compare {mark} with its operator's word, or give --oracle-key",
    )


def _verdict_facts(trust: Trust, found: Verification) -> dict[str, object]:
    broken = found.first_broken
    return {
        "holds": broken is None,
        "first_broken": broken.link if broken else None,
        "oracle_key": trust.key,
        "oracle_key_checked": bool(trust.said_by),
    }
