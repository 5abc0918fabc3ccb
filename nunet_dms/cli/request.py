"""`nunet request`: pay for a job, follow it, fetch its results."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nunet_dms import paths
from nunet_dms.cli import objection, render, request_resume, submit
from nunet_dms.cli.contact import DEFAULT_WALLET, oracle_url, records, requester
from nunet_dms.cli.job_view import log_words, view_facts, view_lines, view_row
from nunet_dms.cli.passphrases import PASSPHRASE, opening
from nunet_dms.cli.submit import JSON, ORACLE, WALLET, recorded
from nunet_dms.cli.wallet_sign import check_new, write_new
from nunet_dms.errors import UsageError, VerificationError
from nunet_dms.paths import Paths

if TYPE_CHECKING:
    from nunet_dms.requester.client import Requester
    from nunet_dms.requester.records import SubmissionRecord

app = typer.Typer(no_args_is_help=True)
RESULTS_TO = typer.Option(Path("results"), "--to", help="The folder to write to.")
REFUND_TO = typer.Option(None, "--to", help="Write the signed refund to this new file instead.")
RECEIPT_TO = typer.Option(None, "--to", help="Write it to this file.")
JOB = typer.Argument(help="The job's id, or how it begins.")
PAYER = typer.Option("", "--wallet", help="A wallet's name; else the one that requested the job.")

app.command()(submit.quote)
app.command()(submit.submit)
app.command()(request_resume.resume)


@app.command(name="list")
def list_jobs(
    wallet: str = WALLET, passphrase: Path | None = PASSPHRASE, oracle: str = ORACLE,
    as_json: bool = JSON,
) -> None:  # fmt: skip
    """List this wallet's jobs, and those that are not handed in yet."""
    where = paths.resolve()
    with requester(where, oracle_url(where, oracle), wallet, passphrase) as us:
        views, unit = us.jobs(), us.unit
    known = {view.job_id for view in views}
    waiting = [
        record
        for record in records(where).all()
        if record.wallet == wallet
        and record.job_id not in known
        and not record.submitted
        # A payment that was never signed can be signed no more once its quote has expired.
        and (not record.unsigned or record.quote.expires_s > time.time())
    ]
    table = render.Table(
        ("job", "state", "reason", "price", "paid", "refunded"),
        tuple(view_row(view, unit) for view in views)
        + tuple(
            (
                record.job_id[:12], "not signed" if record.unsigned else "not handed in", "",
                unit.show(record.request.price), "", "",
            )
            for record in waiting
        ),
    )  # fmt: skip
    facts = {
        "jobs": [view_facts(view, unit) for view in views],
        "not_handed_in": [record.job_id for record in waiting if not record.unsigned],
        "not_signed": [record.job_id for record in waiting if record.unsigned],
    }
    text: tuple[str | render.Table, ...] = (table,) if table.rows else ("no jobs yet",)
    render.show(render.Shown("nunet.requests/1", facts, text), as_json)


@app.command()
def show(
    job: str = JOB, wallet: str = PAYER, passphrase: Path | None = PASSPHRASE,
    oracle: str = ORACLE, as_json: bool = JSON,
) -> None:  # fmt: skip
    """Show how a job stands, and who gets what."""
    where = paths.resolve()
    with _dealings(where, job, wallet, oracle, passphrase) as us:
        view, unit = us.job(_job_id(where, us, job)), us.unit
    shown = render.Shown("nunet.request/1", view_facts(view, unit), view_lines(view, unit))
    render.show(shown, as_json)


@app.command()
def logs(
    job: str = JOB,
    follow: bool = typer.Option(False, "-f", "--follow", help="Go on until the job ends."),
    wallet: str = PAYER,
    passphrase: Path | None = PASSPHRASE,
    oracle: str = ORACLE,
) -> None:
    """Print a job's log as the Oracle has it."""
    where = paths.resolve()
    with _dealings(where, job, wallet, oracle, passphrase) as us:
        job_id, log = _job_id(where, us, job), render.LogView()
        if follow:
            us.follow(job_id, log.write)
        else:
            for piece in us.log(job_id):
                log.write(piece)
        log.close()
        if (view := us.job(job_id)).log_complete is False:
            render.progress(f"log: {log_words(view)}")


@app.command()
def results(
    job: str = JOB,
    to: Path = RESULTS_TO,
    force: bool = typer.Option(False, "--force", help="Replace files that are there."),
    wallet: str = PAYER, passphrase: Path | None = PASSPHRASE, oracle: str = ORACLE,
    as_json: bool = JSON,
) -> None:  # fmt: skip
    """Fetch a job's results, each file checked by its hash."""
    where = paths.resolve()
    with _dealings(where, job, wallet, oracle, passphrase) as us:
        job_id = _job_id(where, us, job)
        manifest = us.save_results(job_id, to, force=force)
    facts = {"job_id": job_id, "folder": str(to), "files": [f.path for f in manifest.files]}
    lines = tuple(f"{to / file.path}  {file.size} bytes" for file in manifest.files)
    render.show(render.Shown("nunet.results/1", facts, lines or ("no results",)), as_json)


@app.command()
def cancel(
    job: str = JOB, wallet: str = PAYER, passphrase: Path | None = PASSPHRASE,
    oracle: str = ORACLE, as_json: bool = JSON,
) -> None:  # fmt: skip
    """Stop a job; the time that it ran is paid, the rest comes back."""
    where = paths.resolve()
    with _dealings(where, job, wallet, oracle, passphrase) as us:
        view, unit = us.cancel(_job_id(where, us, job)), us.unit
    shown = render.Shown("nunet.request/1", view_facts(view, unit), view_lines(view, unit))
    render.show(shown, as_json)


@app.command(name="object")
def object_to(
    job: str = JOB, why: str = objection.WHY, evidence: Path | None = objection.EVIDENCE,
    wallet: str = PAYER, passphrase: Path | None = PASSPHRASE, oracle: str = ORACLE,
    as_json: bool = JSON,
) -> None:  # fmt: skip
    """Object to the verdict on a job while its window is open; the settlement waits for an answer.

    Example: nunet request object JOB --why "it only slept" --evidence log.txt
    """
    where, grounds = paths.resolve(), objection.grounds_of(why, evidence)
    with _dealings(where, job, wallet, oracle, passphrase) as us:
        decision = us.object_to(_job_id(where, us, job), grounds)
    render.show(objection.shown(decision), as_json)


@app.command()
def refund(
    job: str = JOB, to: Path | None = REFUND_TO, wallet: str = PAYER,
    passphrase: Path | None = PASSPHRASE, oracle: str = ORACLE, as_json: bool = JSON,
) -> None:  # fmt: skip
    """Get back what a verdict gives back, or after the deadline all of it, without the node.

    With --to nobody is asked, not even the Oracle: should it be gone for good, any Cardano node or
    wallet takes the file to the chain once the deadline has passed.
    """
    where = paths.resolve()
    if to is not None:
        _write_refund(where, recorded(where, job), to, passphrase, as_json=as_json)
        return
    with _dealings(where, job, wallet, oracle, passphrase) as us:
        job_id = _job_id(where, us, job)
        try:
            us.cosign(job_id)
            tx_ids: tuple[str, ...] = ()
            lines: tuple[str, ...] = ("signed the settlement that the verdict asks for",)
        except VerificationError as refused:  # none waits, or one that we do not sign
            render.progress(f"no settlement to sign ({refused.code}); trying the deadline's refund")
            tx_ids = us.refund(recorded(where, job_id))
            lines = tuple(f"on the way in {tx_id}" for tx_id in tx_ids)
    facts = {"job_id": job_id, "tx_ids": tx_ids}
    render.show(render.Shown("nunet.refund/1", facts, lines), as_json)


@app.command()
def receipt(
    job: str = JOB,
    to: Path | None = RECEIPT_TO,
    wallet: str = PAYER, passphrase: Path | None = PASSPHRASE, oracle: str = ORACLE,
    as_json: bool = JSON,
) -> None:  # fmt: skip
    """Fetch a settled job's receipt: signed by the Oracle, payment to payout.

    It is kept here too, for `nunet receipt show JOB` and `nunet receipt verify JOB`.
    """
    from nunet_dms.protocol import strict  # noqa: PLC0415 - when needed
    from nunet_dms.requester.records import write_private  # noqa: PLC0415 - as above

    where = paths.resolve()
    with _dealings(where, job, wallet, oracle, passphrase) as us:
        job_id = _job_id(where, us, job)
        sealed, opened = us.receipt(job_id)
    path = to or records(where).receipts_folder / f"{job_id}.json"
    if to is not None:
        write_private(to.absolute(), strict.encode(sealed))
    facts = {
        "job_id": job_id, "file": str(path), "payment_tx_id": opened.payment_tx_id,
        "settlement_tx_id": opened.settlement_tx_id,
    }  # fmt: skip
    render.show(render.Shown("nunet.receipt/1", facts, (f"receipt in {path}",)), as_json)


def _write_refund(
    where: Paths, record: SubmissionRecord, to: Path, passphrase: Path | None, *, as_json: bool
) -> None:
    """Write the requester's own refund, built of what is on this machine alone."""
    from nunet_dms.cardano.address import parse_address  # noqa: PLC0415 - when needed
    from nunet_dms.cardano.envelope import write_envelope  # noqa: PLC0415 - when needed
    from nunet_dms.requester.ending import refund_alone  # noqa: PLC0415 - when needed
    from nunet_dms.requester.wallet import find_wallet  # noqa: PLC0415 - when needed

    check_new(to)
    network_id = parse_address(record.request.requester).network_id
    known = find_wallet(where.wallets_dir, record.wallet)
    us = known.unlocked(network_id, opening(passphrase, record.wallet))
    write_new(to, write_envelope(refund_alone(record, us.key), signed=True))
    deadline = record.request.deadline_slot
    facts = {"job_id": record.job_id, "file": str(to), "valid_after_slot": deadline}
    lines = (
        f"signed refund of job {record.job_id[:12]} in {to}",
        f"the chain takes it after slot {deadline}, if the escrow is not paid out before",
    )
    render.show(render.Shown("nunet.refund.file/1", facts, lines), as_json)


def _dealings(
    where: Paths, job: str, wallet: str, oracle: str, passphrase: Path | None
) -> AbstractContextManager[Requester]:
    """Return the dealings that a job belongs to: its record knows wallet and Oracle."""
    record = records(where).find(job)
    url = oracle or (record.oracle_url if record else "")
    name = wallet or (record.wallet if record else DEFAULT_WALLET)
    return requester(where, oracle_url(where, url), name, passphrase)


def _job_id(where: Paths, us: Requester, prefix: str) -> str:
    """Return the whole id: from our own records, else from what the Oracle has of us."""
    if len(prefix) == 32:
        return prefix
    if (record := records(where).find(prefix)) is not None:
        return record.job_id
    found = [view.job_id for view in us.jobs() if view.job_id.startswith(prefix)]
    if len(found) != 1 or not prefix:
        why = "several begin so" if found else "there is none"
        raise UsageError(f"cannot find job {prefix!r:.40}: {why}", hint="type: nunet request list")
    return found[0]
