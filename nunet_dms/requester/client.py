"""What a requester does with an Oracle, from the quote to the receipt.

quote --> upload --> prepare --> submit --> follow --> wait_settled --> save_results
                        |
                     recorded on disk before anything is paid
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TypeVar

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.agreement import escrow_terms
from nunet_dms.cardano.builder import UnsignedTransaction, sign
from nunet_dms.cardano.known_network import known_network
from nunet_dms.cardano.network import NETWORK_S_OWN, Network, TokenChoice
from nunet_dms.errors import CapacityError, RefusedError, UsageError, VerificationError
from nunet_dms.oracle_http import OracleHttp
from nunet_dms.protocol.amount import Unit, unit_of
from nunet_dms.protocol.api import Done, Empty, OracleInfo
from nunet_dms.protocol.dispute import Decision, Grounds
from nunet_dms.protocol.job import FileEntry, JobSpec, Manifest
from nunet_dms.protocol.node import Cosignature, MissingBlobs, Settlement
from nunet_dms.protocol.quote import Quote
from nunet_dms.protocol.receipt import Receipt
from nunet_dms.protocol.signing import Sealed
from nunet_dms.protocol.submission import JobList, JobState, JobView, QuoteRequest
from nunet_dms.requester import elsewhere, ending, joblog, objecting, pay
from nunet_dms.requester.jobfile import InputFile, JobFile
from nunet_dms.requester.ledger import Ledger
from nunet_dms.requester.patience import patiently
from nunet_dms.requester.records import Records, SubmissionRecord
from nunet_dms.requester.results import check_fits, save_results
from nunet_dms.requester.wallet import Wallet

T = TypeVar("T")

SETTLE_EVERY_S = 1.0
"""Between two looks at a job that has ended and is being paid out."""
SETTLE_WAIT_S = 600.0
"""After that `wait_settled` returns what there is: an open settlement stays open at the Oracle."""
PATIENCE_S = 900.0
"""An Oracle that does not answer for that long in one go is given up."""
UPLOAD_PATIENCE_S = 60.0
"""The same while we upload and submit, since a quote lives for minutes."""

ENDED = frozenset({JobState.SETTLED, JobState.VOID})
RAN = ENDED | {JobState.REPORTED, JobState.DECIDED, JobState.SETTLING}
"""States in which a log grows no more."""
NOT_OURS_TO_SIGN = frozenset({"no_settlement", "not_settling", "revised_against_us"})
"""Settled meanwhile, or in the node's favour, which signs it."""

Told = Callable[[JobView], None]
"""Is told of a job when its state has changed."""


class Requester:
    """One wallet's dealings with one Oracle, whose keys are pinned in `info`.

    `clock` gives Unix seconds; `wait` waits that many seconds.
    """

    def __init__(
        self,
        http: OracleHttp,
        wallet: Wallet,
        info: OracleInfo,
        records: Records,
        *,
        clock: Callable[[], float],
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self.ledger = Ledger(http)
        self._http = http
        self._wallet = wallet
        self._info = info
        self._records = records
        self._clock = clock
        self._wait = wait or threading.Event().wait
        self.token: TokenChoice = NETWORK_S_OWN
        """What we pay with; another one has to be in our own settings."""

    @property
    def address(self) -> Address:
        """Where the wallet is paid: what comes back comes here."""
        return self._wallet.address

    @property
    def network(self) -> Network:
        """The Oracle's network, with its token."""
        return known_network(self._info, self.token)

    @property
    def unit(self) -> Unit:
        """What amounts of the Oracle's token are shown in."""
        return unit_of(self.network.token_name, self.network.token_decimals)

    def funds(self, at: Address | None = None) -> pay.Funds:
        """Return what lies at an address, the wallet's own unless another is given."""
        return pay.Funds(at or self.address, self.ledger.utxos(at or self.address))

    def send(self, unsigned: UnsignedTransaction) -> str:
        """Sign a transaction of the wallet's own, hand it in, and return its id."""
        return self.ledger.submit(sign(unsigned.raw, self._wallet.key))

    def quote(
        self,
        spec: JobSpec,
        *,
        max_price: int | None = None,
        node_id: str | None = None,
        hold_s: int | None = None,
    ) -> pay.CheckedQuote:
        """Ask what a job costs and check the answer; `max_price` in base units.

        Raises CapacityError when no node has room, RefusedError, VerificationError.
        """
        wanted = pay.Wanted(spec, self.address, max_price, node_id, self.token)
        request = QuoteRequest(
            spec=spec,
            requester=self.address.bech32,
            max_price=max_price,
            node_id=node_id,
            hold_s=hold_s,
        )
        try:
            quote = self._http.call("POST", "/v1/quotes", request, Quote)
        except RefusedError as refused:
            if refused.code == "no_capacity":
                raise CapacityError(str(refused)) from refused
            raise
        slot = self.ledger.terms().slot
        return pay.check_quote(quote, wanted, self._info, slot, self._clock())

    def upload(
        self, quote: Quote, job: JobFile, told: Callable[[InputFile], None] | None = None
    ) -> int:
        """Upload those inputs that the Oracle lacks; returns how many, tells of each before."""
        path, manifest = f"/v1/quotes/{quote.quote_id}/inputs", job.spec.inputs
        asked = self._patiently(
            lambda: self._http.call("POST", path, manifest, MissingBlobs), UPLOAD_PATIENCE_S
        )
        missing = set(asked.missing)
        files = {file.sha256: file for file in job.inputs if file.sha256 in missing}
        for file in files.values():
            if told is not None:
                told(file)
            self._patiently(lambda file=file: self._put(file), UPLOAD_PATIENCE_S)  # type: ignore[misc]
        return len(files)

    def prepare(
        self, checked: pay.CheckedQuote, spec: JobSpec, payer: Address | None = None
    ) -> SubmissionRecord:
        """Sign the request and its payment, and record both before they go anywhere.

        With a `payer` the payment spends what lies there and stays unsigned. Raises CapacityError
        when the payer holds too little.
        """
        funds, terms = self.funds(payer), self.ledger.terms()
        make = pay.sign_submission if payer is None else pay.build_submission
        record = SubmissionRecord(
            oracle_url=self._http.base_url,
            wallet=self._wallet.name,
            signed_s=int(self._clock()),
            spec=spec,
            quote=checked.quote,
            submission=make(checked, self._wallet, funds, terms),
            unsigned=payer is not None,
            pay_from=None if payer is None else payer.bech32,
        )
        self._records.save(record)
        return record

    def submit(self, record: SubmissionRecord) -> JobView:
        """Hand in a recorded job; doing so again is harmless and returns the same job.

        Raises RefusedError: nothing was paid then, and the record says so; UsageError for a
        payment that is not signed.
        """
        elsewhere.check_signed(record)
        view = self._patiently(lambda: self._submit_once(record), UPLOAD_PATIENCE_S)
        self._records.save(replace(record, submitted=True))
        return view

    def jobs(self) -> tuple[JobView, ...]:
        """Return the wallet's jobs at this Oracle, newest first."""
        return self._http.call("GET", "/v1/jobs", None, JobList).jobs

    def job(self, job_id: str) -> JobView:
        """Return one job; raises RefusedError `unknown_job`."""
        return self._http.call("GET", f"/v1/jobs/{job_id}", None, JobView)

    def checkpoint(self, job_id: str) -> Sealed:
        """Return a job's last whole checkpoint; raises RefusedError `no_checkpoint`."""
        return self._http.call("GET", f"/v1/jobs/{job_id}/checkpoint", None, Sealed)

    def cancel(self, job_id: str) -> JobView:
        """Ask for a job's end; what it ran until then is paid."""
        return self._http.call("POST", f"/v1/jobs/{job_id}/cancel", Empty(), JobView)

    def follow(
        self, job_id: str, write: Callable[[bytes], None], told: Told | None = None
    ) -> JobView:
        """Hand on a job's log as it grows, until the job has ended; survives an Oracle's restart.

        Raises OracleUnreachableError after PATIENCE_S without an answer.
        """
        offset, view = 0, self._patiently(lambda: self.job(job_id), PATIENCE_S)
        if told is not None:
            told(view)
        while True:
            piece, is_complete = self._patiently(
                lambda: joblog.piece(self._http, job_id, offset, view),  # noqa: B023 - called at once
                PATIENCE_S,
            )
            if piece:
                write(piece)
                offset += len(piece)
                continue
            before, view = view, self._patiently(lambda: self.job(job_id), PATIENCE_S)
            if told is not None and (view.state, view.phase) != (before.state, before.phase):
                told(view)
            if is_complete or (view.state in RAN and view.log_bytes <= offset):
                return view

    def wait_settled(
        self, job_id: str, told: Told | None = None, *, limit_s: float = SETTLE_WAIT_S
    ) -> JobView:
        """Return the job once it is settled or void, or as it stands after `limit_s`.

        A settlement that gives all back to us, or whose verdict was revised in our favour, is
        co-signed on the way: the node may be gone.
        """
        ends, before = self._clock() + limit_s, None
        while True:
            view = self._patiently(lambda: self.job(job_id), PATIENCE_S)
            if told is not None and view.state is not before:
                told(view)
            before = view.state
            if view.state in ENDED or self._clock() >= ends:
                return view
            if view.state is JobState.SETTLING and (view.provider_amount == 0 or view.is_revised):
                self._patiently(lambda: self._cosign_if_recorded(job_id), PATIENCE_S)
            self._wait(SETTLE_EVERY_S)

    def log(self, job_id: str) -> Iterator[bytes]:
        """Yield what a job's log holds now, piece by piece."""
        offset = 0
        while True:
            piece, _ = joblog.piece(self._http, job_id, offset, None)
            if not piece:
                return
            yield piece
            offset += len(piece)

    def save_results(self, job_id: str, folder: Path, *, force: bool = False) -> Manifest:
        """Download a job's results into a folder, each checked, and return what they are.

        Of a settled job the list itself is checked against what the node signed. Raises
        RefusedError, UsageError when other files are in the way, VerificationError.
        """
        manifest = self._http.call("GET", f"/v1/jobs/{job_id}/results", None, Manifest)
        record = self._records.find(job_id)
        if record is not None:
            check_fits(manifest, record.spec)
        if self.job(job_id).state is JobState.SETTLED:
            signed = ending.results_hash_of(self.receipt(job_id)[1])
            if signed not in (None, manifest.digest):
                raise VerificationError(
                    "foreign_results", "cannot trust the results: the node signed other ones"
                )
        save_results(manifest, self._get, folder, force=force)
        return manifest

    def receipt(self, job_id: str) -> tuple[Sealed, Receipt]:
        """Keep a settled job's receipt, and return it sealed and opened; raises RefusedError."""
        sealed = self._http.call("GET", f"/v1/jobs/{job_id}/receipt", None, Sealed)
        receipt = ending.open_receipt(sealed, job_id, self._info.ticket_key)
        self._records.keep_receipt(job_id, sealed)
        return sealed, receipt

    def cosign(self, job_id: str) -> None:
        """Sign the settlement that waits for a job, if it pays what a just verdict says.

        Raises RefusedError when none waits, VerificationError, UsageError for a job whose record
        is on another machine.
        """
        record = self._records.find(job_id)
        if record is None:
            raise UsageError(
                f"cannot sign for job {job_id}: it was not submitted from here, so that there is "
                "nothing to check it against"
            )
        path = f"/v1/jobs/{job_id}/settlement"
        witness = ending.cosign(
            self._http.call("GET", path, None, Settlement),
            record,
            self._info.ticket_key,
            self._wallet.key,
            self.ledger.terms().fees,
        )
        body = Cosignature(public_key=witness.public.hex(), signature=witness.signature.hex())
        self._http.call("POST", path, body, Done)

    def object_to(self, job_id: str, grounds: Grounds) -> Decision:
        """Object to the verdict on a job, while its window is open; raises RefusedError."""
        given, key = (job_id, grounds), self._info.ticket_key
        return objecting.object_to(self._http, self._wallet, key, given, int(self._clock()))

    def refund(self, record: SubmissionRecord) -> tuple[str, ...]:
        """Take back what lies in a job's escrow, alone, after its deadline; returns the tx ids.

        Raises VerificationError (`deadline_not_reached`, `escrow_empty`), RefusedError.
        """
        terms = self.ledger.terms()
        found = self.ledger.utxos(escrow_terms(record.request).address)
        sent = ending.refund(record.request, found, terms.slot, self._wallet.key, terms.fees)
        return tuple([self.ledger.submit(raw) for raw in sent])

    def _submit_once(self, record: SubmissionRecord) -> JobView:
        """Look first: a job that the Oracle has is handed in, even when its quote has expired."""
        try:
            return self.job(record.job_id)
        except RefusedError as refused:
            if refused.code != "unknown_job":
                raise
        return self._http.call("POST", "/v1/jobs", record.submission, JobView)

    def _put(self, file: InputFile) -> None:
        with file.open() as content:
            self._http.put_bytes(f"/v1/blobs/{file.sha256}", content if file.size else b"")

    def _get(self, entry: FileEntry, to: BinaryIO) -> None:
        self._http.get_bytes(f"/v1/blobs/{entry.sha256}", to=to, limit=entry.size)

    def _cosign_if_recorded(self, job_id: str) -> None:
        try:
            self.cosign(job_id)
        except UsageError:
            return  # the record is on another machine; the node signs, or that machine
        except VerificationError as refused:
            if refused.code not in NOT_OURS_TO_SIGN:
                raise

    def _patiently(self, action: Callable[[], T], patience_s: float) -> T:
        return patiently(action, patience_s, self._clock, self._wait)
