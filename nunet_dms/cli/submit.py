"""`nunet request quote` and `submit`: what a job costs, and paying for it, here or elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nunet_dms import paths
from nunet_dms.cli import render
from nunet_dms.cli.contact import DEFAULT_WALLET, oracle_url, records, requester
from nunet_dms.cli.job_view import (
    phase_text,
    quote_facts,
    quote_lines,
    unsigned_facts,
    unsigned_lines,
    view_facts,
    view_lines,
)
from nunet_dms.cli.passphrases import PASSPHRASE
from nunet_dms.cli.wallet_sign import check_new, read_bounded, write_new
from nunet_dms.errors import ExitCode, RefusedError, UsageError
from nunet_dms.paths import Paths

if TYPE_CHECKING:
    from nunet_dms.cardano.address import Address
    from nunet_dms.protocol.submission import JobView
    from nunet_dms.requester.client import Requester
    from nunet_dms.requester.jobfile import JobFile
    from nunet_dms.requester.pay import CheckedQuote
    from nunet_dms.requester.records import SubmissionRecord

FILE = typer.Argument(help="The job.toml.", exists=True, dir_okay=False)
OPTIONAL_FILE = typer.Argument(None, help="The job.toml.", exists=True, dir_okay=False)
RESULTS = typer.Option(None, "--results", help="Fetch results into this folder.")
WALLET = typer.Option(DEFAULT_WALLET, "--wallet", help="The wallet that pays.")
ORACLE = typer.Option("", "--oracle", help="The Oracle's URL; else $NUNET_ORACLE, else config.")
IMAGE = typer.Option("", "--image", help="Use this image, name@sha256:..., not the file's.")
MAX_PRICE = typer.Option("", "--max-price", help="Pay at most so many mNTX, such as 1.5.")
FOLLOW = typer.Option(False, "--follow", "-f", help="Show the log, wait for the end.")
RESUME = typer.Option("", "--resume", help="Hand in again a job that was signed before.")
UNSIGNED = typer.Option(
    None, "--unsigned", help="Sign the payment elsewhere: write it to this new file, and stop."
)
PAY_FROM = typer.Option(
    "", "--pay-from", help="With --unsigned: the address that pays, and gets the change."
)
SIGNED = typer.Option(
    None, "--signed", exists=True, dir_okay=False,
    help="Hand in the job whose payment this file signs: a transaction, or a witness alone.",
)  # fmt: skip
YES = typer.Option(False, "--yes", help="Do not ask.")
JSON = typer.Option(False, "--json", help="One line of JSON.")


def quote(
    job_file: Path = FILE, image: str = IMAGE, max_price: str = MAX_PRICE, wallet: str = WALLET,
    passphrase: Path | None = PASSPHRASE, oracle: str = ORACLE, as_json: bool = JSON,
) -> None:  # fmt: skip
    """Show what a job costs, line by line; capacity is held for a few minutes."""
    from nunet_dms.requester.jobfile import read_job  # noqa: PLC0415 - when needed

    where = paths.resolve()
    job = read_job(job_file, image=image)
    with requester(where, oracle_url(where, oracle), wallet, passphrase) as us:
        checked = us.quote(job.spec, max_price=_limit(us, max_price))
    shown = render.Shown("nunet.quote/1", quote_facts(checked), quote_lines(checked))
    render.show(shown, as_json)


def submit(
    job_file: Path | None = OPTIONAL_FILE, follow: bool = FOLLOW, results: Path | None = RESULTS,
    resume: str = RESUME, unsigned: Path | None = UNSIGNED, pay_from: str = PAY_FROM,
    signed: Path | None = SIGNED, image: str = IMAGE, max_price: str = MAX_PRICE,
    wallet: str = WALLET, passphrase: Path | None = PASSPHRASE, oracle: str = ORACLE,
    yes: bool = YES, as_json: bool = JSON,
) -> None:  # fmt: skip
    """Quote, pay and hand in a job. With --follow the exit code is 0 only if it succeeded.

    Example: nunet request submit job.toml --follow --results out

    To pay with another wallet: submit job.toml --unsigned pay.tx --pay-from ADDRESS; sign pay.tx
    there; then submit --signed FILE. Only the payment is signed there, and its change goes back
    there; what a settlement or a refund gives back goes to the wallet here.
    """
    where = paths.resolve()
    _check_usage(job_file, resume, signed, unsigned, pay_from)
    ending = Ending(follow, results)
    if unsigned is not None and job_file is not None:
        if follow:
            raise UsageError("cannot follow a job that is not paid: give --follow with --signed")
        check_new(unsigned)
        job = _read(job_file, image)
        with requester(where, oracle_url(where, oracle), wallet, passphrase) as us:
            _write_unsigned(us, job, max_price, unsigned, pay_from, yes=yes, as_json=as_json)
        return
    old = _old(where, resume, signed)
    if old is not None:
        wallet, oracle = old.wallet, old.oracle_url
    with requester(where, oracle_url(where, oracle), wallet, passphrase) as us:
        record = old or signed_job(us, _read(job_file, image), max_price, yes=yes)
        hand_in(us, record, ending, as_json=as_json)


@dataclass(frozen=True, slots=True)
class Ending:
    """What is to be done with a job once it is handed in."""

    follow: bool
    results: Path | None

    def __post_init__(self) -> None:
        """Raise UsageError for what makes no sense."""
        if self.results is not None and not self.follow:
            raise UsageError("cannot use --results without --follow: there are none yet")


def hand_in(us: Requester, record: SubmissionRecord, ending: Ending, *, as_json: bool) -> None:
    """Hand in what was signed and show the job; followed to its end, exit 1 unless it succeeded."""
    view = us.submit(record)
    render.progress(f"job {view.job_id} handed in, paid in transaction {view.payment_tx_id}")
    if ending.follow:
        view = _follow(us, view.job_id, ending.results)
    shown = render.Shown("nunet.request/1", view_facts(view, us.unit), view_lines(view, us.unit))
    render.show(shown, as_json)
    if ending.follow and view.reason != "succeeded":
        raise typer.Exit(int(ExitCode.UNEXPECTED))


def recorded(where: Paths, prefix: str) -> SubmissionRecord:
    """Return what was signed here for a job; raises UsageError when there is nothing."""
    record = records(where).find(prefix)
    if record is None:
        raise UsageError(f"cannot find a job {prefix!r:.40} that was signed here")
    return record


def _check_usage(
    job_file: Path | None, resume: str, signed: Path | None, unsigned: Path | None, pay_from: str
) -> None:
    given = [job_file is not None, bool(resume), signed is not None]
    if sum(given) != 1:
        why = "cannot submit nothing" if not any(given) else "cannot do several at once"
        raise UsageError(f"{why}: give one of a job.toml, --resume JOB, or --signed FILE")
    if unsigned is not None and job_file is None:
        raise UsageError("cannot write a payment without a job: --unsigned goes with a job.toml")
    if pay_from and unsigned is None:
        raise UsageError("cannot pay from elsewhere: --pay-from goes with --unsigned FILE")


def _old(where: Paths, resume: str, signed: Path | None) -> SubmissionRecord | None:
    """Return the record to hand in, if any is named; one that a file signs is recorded so."""
    if resume:
        return recorded(where, resume)
    if signed is None:
        return None
    from nunet_dms.requester.elsewhere import take_signature  # noqa: PLC0415 - when needed

    record = take_signature(records(where), read_bounded(signed), time.time())
    render.progress(f"the signature is good: it pays job {record.job_id}")
    return record


def _read(job_file: Path | None, image: str) -> JobFile:
    from nunet_dms.requester.jobfile import read_job  # noqa: PLC0415 - when needed

    if job_file is None:
        raise UsageError("cannot submit nothing: give a job.toml, or --resume JOB")
    return read_job(job_file, image=image)


def _limit(us: Requester, text: str) -> int | None:
    """Return the highest price in base units, None for no limit; raises UsageError."""
    if not text:
        return None
    limit = us.unit.parse(text)
    if not limit:
        raise UsageError("cannot use --max-price 0: every job costs something")
    return limit


def _agreed(
    us: Requester, job: JobFile, max_price: str, *, yes: bool, hold_s: int | None = None
) -> CheckedQuote:
    """Show the price, ask, and upload; raises UsageError when nobody wants it."""
    checked = us.quote(job.spec, max_price=_limit(us, max_price), hold_s=hold_s)
    for line in quote_lines(checked):
        render.progress(line)
    if render.can_ask() and not yes and not render.confirm("Pay this?"):
        raise UsageError("nothing was paid", hint="to skip the question: --yes")
    uploaded = us.upload(checked.quote, job)
    if len(job.inputs) == len(job.spec.inputs.files):  # else they are the Oracle's own copies
        render.progress(f"inputs: {len(job.inputs)} files, {uploaded} uploaded")
    return checked


def signed_job(us: Requester, job: JobFile, max_price: str, *, yes: bool) -> SubmissionRecord:
    """Sign, and write down what was signed before anything is paid."""
    return us.prepare(_agreed(us, job, max_price, yes=yes), job.spec)


def _write_unsigned(
    us: Requester, job: JobFile, max_price: str, to: Path, pay_from: str,
    *, yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Write the payment for another wallet to sign; the record is on disk before."""
    from nunet_dms.cardano.envelope import write_envelope  # noqa: PLC0415 - when needed
    from nunet_dms.protocol.submission import QUOTE_HOLD_MAX_S  # noqa: PLC0415 - as above

    payer = _payer(us, pay_from)
    checked = _agreed(us, job, max_price, yes=yes, hold_s=QUOTE_HOLD_MAX_S)
    record = us.prepare(checked, job.spec, payer)
    write_new(to, write_envelope(bytes.fromhex(record.submission.payment_tx), signed=False))
    facts = unsigned_facts(record, to)
    lines = unsigned_lines(record, to, time.time())
    render.show(render.Shown("nunet.request.unsigned/1", facts, lines), as_json)


def _payer(us: Requester, text: str) -> Address:
    """Return whose tokens pay; raises MalformedError and UsageError for what cannot."""
    from nunet_dms.cardano.address import parse_address  # noqa: PLC0415 - when needed

    if not text:
        return us.address
    address = parse_address(text)
    if address.payment_is_script:
        raise UsageError(f"cannot pay from {address}: a script guards it; give a key's address")
    if address.network_id != us.address.network_id:
        raise UsageError(f"cannot pay from {address}: it is of another network than the Oracle's")
    return address


def _follow(us: Requester, job_id: str, results_folder: Path | None) -> JobView:
    """Show the log, wait for the settlement, keep its receipt, then fetch what the node signed."""
    from nunet_dms.protocol.submission import JobState  # noqa: PLC0415 - loaded with the rest

    log, tell = render.LogView(), _teller()
    us.follow(job_id, log.write, tell)
    log.close(end_line=True)  # what follows, JSON above all, begins a line of its own
    view = us.wait_settled(job_id, tell)
    if view.state is JobState.SETTLED:
        us.receipt(job_id)
        render.progress(f"receipt: nunet receipt verify {job_id[:12]}")
    if results_folder is not None:
        try:
            manifest = us.save_results(job_id, results_folder)
            render.progress(f"results: {len(manifest.files)} files in {results_folder}")
        except RefusedError as refused:  # a job that never ran has none; its end is shown below
            render.progress(f"no results: {refused}")
    return view


def _teller() -> Callable[[JobView], None]:
    """Return what says each new state and phase of a job once."""
    said: set[str] = set()

    def tell(view: JobView) -> None:
        reason = f" ({view.reason.value})" if view.reason else ""
        at = f": {phase_text(view.phase)}" if view.phase else ""
        line = f"job {view.job_id[:12]} is {view.state.value}{reason}{at}"
        if line not in said:
            said.add(line)
            render.progress(line)

    return tell
