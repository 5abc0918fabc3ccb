"""`nunet request`: pay for a job, follow it, fetch its results."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nunet_dms import paths
from nunet_dms.cli import objection, render
from nunet_dms.cli.contact import DEFAULT_WALLET, oracle_url, records, requester
from nunet_dms.cli.job_view import quote_facts, quote_lines, view_facts, view_lines
from nunet_dms.errors import ExitCode, RefusedError, UsageError, VerificationError
from nunet_dms.paths import Paths

if TYPE_CHECKING:
    from nunet_dms.protocol.submission import JobView
    from nunet_dms.requester.client import Requester
    from nunet_dms.requester.jobfile import JobFile
    from nunet_dms.requester.records import SubmissionRecord

app = typer.Typer(no_args_is_help=True)
FILE = typer.Argument(help="The job.toml.", exists=True, dir_okay=False)
OPTIONAL_FILE = typer.Argument(None, help="The job.toml.", exists=True, dir_okay=False)
RESULTS = typer.Option(None, "--results", help="Fetch results into this folder.")
RESULTS_TO = typer.Option(Path("results"), "--to", help="The folder to write to.")
RECEIPT_TO = typer.Option(None, "--to", help="Write it to this file.")
JOB = typer.Argument(help="The job's id, or how it begins.")
WALLET = typer.Option(DEFAULT_WALLET, "--wallet", help="The wallet that pays.")
PAYER = typer.Option("", "--wallet", help="A wallet's name; else the one that paid for the job.")
ORACLE = typer.Option("", "--oracle", help="The Oracle's URL; else $NUNET_ORACLE, else config.")
IMAGE = typer.Option("", "--image", help="Use this image, name@sha256:..., not the file's.")
MAX_PRICE = typer.Option(0, "--max-price", min=0, help="In base units; 0 means no limit.")
JSON = typer.Option(False, "--json", help="One line of JSON.")


@app.command()
def quote(
    job_file: Path = FILE, image: str = IMAGE, max_price: int = MAX_PRICE, wallet: str = WALLET,
    oracle: str = ORACLE, as_json: bool = JSON,
) -> None:  # fmt: skip
    """Show what a job costs, line by line; capacity is held for a few minutes."""
    from nunet_dms.requester.jobfile import read_job  # noqa: PLC0415 - when needed

    where = paths.resolve()
    job = read_job(job_file, image=image)
    with requester(where, oracle_url(where, oracle), wallet) as us:
        checked = us.quote(job.spec, max_price=max_price or None)
    shown = render.Shown("nunet.quote/1", quote_facts(checked), quote_lines(checked))
    render.show(shown, as_json)


@app.command()
def submit(
    job_file: Path | None = OPTIONAL_FILE,
    follow: bool = typer.Option(False, "--follow", "-f", help="Show the log, wait for the end."),
    results: Path | None = RESULTS,
    resume: str = typer.Option("", "--resume", help="Hand in again a job that was signed before."),
    image: str = IMAGE, max_price: int = MAX_PRICE, wallet: str = WALLET, oracle: str = ORACLE,
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
    as_json: bool = JSON,
) -> None:  # fmt: skip
    """Quote, pay and hand in a job. With --follow the exit code is 0 only if it succeeded.

    Example: nunet request submit job.toml --follow --results out
    """
    where = paths.resolve()
    if results is not None and not follow:
        raise UsageError("cannot use --results without --follow: there are none yet")
    if job_file is not None and resume:
        raise UsageError("cannot do both: give either a job.toml or --resume JOB")
    old = _record(where, resume) if resume else None
    if old is not None:
        wallet, oracle = old.wallet, old.oracle_url
    with requester(where, oracle_url(where, oracle), wallet) as us:
        record = old or _signed(us, _read(job_file, image), max_price, yes=yes)
        view = us.submit(record)
        render.progress(f"job {view.job_id} handed in, paid in transaction {view.payment_tx_id}")
        if follow:
            view = _follow(us, view.job_id, results)
    shown = render.Shown("nunet.request/1", view_facts(view), view_lines(view))
    render.show(shown, as_json)
    if follow and view.reason != "succeeded":
        raise typer.Exit(int(ExitCode.UNEXPECTED))


@app.command(name="list")
def list_jobs(wallet: str = WALLET, oracle: str = ORACLE, as_json: bool = JSON) -> None:
    """List this wallet's jobs, and those that were signed but not handed in."""
    where = paths.resolve()
    with requester(where, oracle_url(where, oracle), wallet) as us:
        views = us.jobs()
    known = {view.job_id for view in views}
    signed = [
        record
        for record in records(where).all()
        if record.wallet == wallet and record.job_id not in known and not record.submitted
    ]
    table = render.Table(
        ("job", "state", "reason", "price", "paid", "refunded"),
        tuple(
            (
                view.job_id[:12], view.state.value, view.reason.value if view.reason else "",
                str(view.price), _number(view.provider_amount), _number(view.requester_amount),
            )
            for view in views
        )
        + tuple(
            (record.job_id[:12], "not handed in", "", str(record.request.price), "", "")
            for record in signed
        ),
    )  # fmt: skip
    facts = {
        "jobs": [view_facts(view) for view in views],
        "not_handed_in": [record.job_id for record in signed],
    }
    text: tuple[str | render.Table, ...] = (table,) if table.rows else ("no jobs yet",)
    render.show(render.Shown("nunet.requests/1", facts, text), as_json)


@app.command()
def show(job: str = JOB, wallet: str = PAYER, oracle: str = ORACLE, as_json: bool = JSON) -> None:
    """Show how a job stands, and who gets what."""
    where = paths.resolve()
    with _dealings(where, job, wallet, oracle) as us:
        view = us.job(_job_id(where, us, job))
    render.show(render.Shown("nunet.request/1", view_facts(view), view_lines(view)), as_json)


@app.command()
def logs(
    job: str = JOB,
    follow: bool = typer.Option(False, "-f", "--follow", help="Go on until the job ends."),
    wallet: str = PAYER,
    oracle: str = ORACLE,
) -> None:
    """Print a job's log as the Oracle has it."""
    where = paths.resolve()
    with _dealings(where, job, wallet, oracle) as us:
        job_id, log = _job_id(where, us, job), render.LogView()
        if follow:
            us.follow(job_id, log.write)
        else:
            for piece in us.log(job_id):
                log.write(piece)
        log.close()


@app.command()
def results(
    job: str = JOB,
    to: Path = RESULTS_TO,
    force: bool = typer.Option(False, "--force", help="Replace files that are there."),
    wallet: str = PAYER, oracle: str = ORACLE, as_json: bool = JSON,
) -> None:  # fmt: skip
    """Fetch a job's results, each file checked by its hash."""
    where = paths.resolve()
    with _dealings(where, job, wallet, oracle) as us:
        job_id = _job_id(where, us, job)
        manifest = us.save_results(job_id, to, force=force)
    facts = {"job_id": job_id, "folder": str(to), "files": [f.path for f in manifest.files]}
    lines = tuple(f"{to / file.path}  {file.size} bytes" for file in manifest.files)
    render.show(render.Shown("nunet.results/1", facts, lines or ("no results",)), as_json)


@app.command()
def cancel(job: str = JOB, wallet: str = PAYER, oracle: str = ORACLE, as_json: bool = JSON) -> None:
    """Stop a job; the time that it ran is paid, the rest comes back."""
    where = paths.resolve()
    with _dealings(where, job, wallet, oracle) as us:
        view = us.cancel(_job_id(where, us, job))
    render.show(render.Shown("nunet.request/1", view_facts(view), view_lines(view)), as_json)


@app.command(name="object")
def object_to(
    job: str = JOB, why: str = objection.WHY, evidence: Path | None = objection.EVIDENCE,
    wallet: str = PAYER, oracle: str = ORACLE, as_json: bool = JSON,
) -> None:  # fmt: skip
    """Object to the verdict on a job while its window is open; the settlement waits for an answer.

    Example: nunet request object JOB --why "it only slept" --evidence log.txt
    """
    where, grounds = paths.resolve(), objection.grounds_of(why, evidence)
    with _dealings(where, job, wallet, oracle) as us:
        decision = us.object_to(_job_id(where, us, job), grounds)
    render.show(objection.shown(decision), as_json)


@app.command()
def refund(job: str = JOB, wallet: str = PAYER, oracle: str = ORACLE, as_json: bool = JSON) -> None:
    """Get back what a verdict gives back, or after the deadline all of it, without the node."""
    where = paths.resolve()
    with _dealings(where, job, wallet, oracle) as us:
        job_id = _job_id(where, us, job)
        try:
            us.cosign(job_id)
            tx_ids: tuple[str, ...] = ()
            lines: tuple[str, ...] = ("signed the settlement that the verdict asks for",)
        except VerificationError as refused:  # none waits, or one that we do not sign
            render.progress(f"no settlement to sign ({refused.code}); trying the deadline's refund")
            tx_ids = us.refund(_record(where, job_id))
            lines = tuple(f"on the way in {tx_id}" for tx_id in tx_ids)
    facts = {"job_id": job_id, "tx_ids": tx_ids}
    render.show(render.Shown("nunet.refund/1", facts, lines), as_json)


@app.command()
def receipt(
    job: str = JOB,
    to: Path | None = RECEIPT_TO,
    wallet: str = PAYER, oracle: str = ORACLE, as_json: bool = JSON,
) -> None:  # fmt: skip
    """Fetch a settled job's receipt: signed by the Oracle, payment to payout.

    It is kept here too, for `nunet receipt show JOB` and `nunet receipt verify JOB`.
    """
    from nunet_dms.protocol import strict  # noqa: PLC0415 - when needed
    from nunet_dms.requester.records import write_private  # noqa: PLC0415 - as above

    where = paths.resolve()
    with _dealings(where, job, wallet, oracle) as us:
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


def _dealings(
    where: Paths, job: str, wallet: str, oracle: str
) -> AbstractContextManager[Requester]:
    """Return the dealings that a job belongs to: its record knows wallet and Oracle."""
    record = records(where).find(job)
    url = oracle or (record.oracle_url if record else "")
    name = wallet or (record.wallet if record else DEFAULT_WALLET)
    return requester(where, oracle_url(where, url), name)


def _read(job_file: Path | None, image: str) -> JobFile:
    from nunet_dms.requester.jobfile import read_job  # noqa: PLC0415 - when needed

    if job_file is None:
        raise UsageError("cannot submit nothing: give a job.toml, or --resume JOB")
    return read_job(job_file, image=image)


def _signed(us: Requester, job: JobFile, max_price: int, *, yes: bool) -> SubmissionRecord:
    """Show the price, upload, sign, and write down what was signed before anything is paid."""
    checked = us.quote(job.spec, max_price=max_price or None)
    for line in quote_lines(checked):
        render.progress(line)
    if render.can_ask() and not yes and not render.confirm("Pay this?"):
        raise UsageError("nothing was paid", hint="to skip the question: --yes")
    uploaded = us.upload(checked.quote, job)
    render.progress(f"inputs: {len(job.inputs)} files, {uploaded} uploaded")
    return us.prepare(checked, job.spec)


def _follow(us: Requester, job_id: str, results_folder: Path | None) -> JobView:
    """Show the log, wait for the settlement, then fetch what the node signed as its results."""
    log, tell = render.LogView(), _teller()
    us.follow(job_id, log.write, tell)
    log.close(end_line=True)  # what follows, JSON above all, begins a line of its own
    view = us.wait_settled(job_id, tell)
    if results_folder is not None:
        try:
            manifest = us.save_results(job_id, results_folder)
            render.progress(f"results: {len(manifest.files)} files in {results_folder}")
        except RefusedError as refused:  # a job that never ran has none; its end is shown below
            render.progress(f"no results: {refused}")
    return view


def _teller() -> Callable[[JobView], None]:
    """Return what says each new state of a job once."""
    said: set[str] = set()

    def tell(view: JobView) -> None:
        reason = f" ({view.reason.value})" if view.reason else ""
        line = f"job {view.job_id[:12]} is {view.state.value}{reason}"
        if line not in said:
            said.add(line)
            render.progress(line)

    return tell


def _record(where: Paths, prefix: str) -> SubmissionRecord:
    record = records(where).find(prefix)
    if record is None:
        raise UsageError(f"cannot find a job {prefix!r:.40} that was signed here")
    return record


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


def _number(amount: int | None) -> str:
    return "" if amount is None else str(amount)
