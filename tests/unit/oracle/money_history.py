"""A chance history of deposits, jobs, settlements, disputes, rollbacks and crashes, and its sums.

What was paid to whom is read from the transactions in the ledger's blocks alone.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from money_world import TIME_LIMIT_S, Node, Requester, World

from nunet_dms.cardano import script
from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.agreement import escrow_terms
from nunet_dms.cardano.builder import PaymentPlan, Utxo, build_payment, build_transfer
from nunet_dms.cardano.output import new_output
from nunet_dms.cardano.signing import sign
from nunet_dms.cardano.transaction import Transaction, TxInput, read_transaction
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.errors import CapacityError, UnreachableError, VerificationError
from nunet_dms.oracle import disputing, jobs
from nunet_dms.protocol.quote import JobRequest
from nunet_dms.protocol.report import Reason
from nunet_dms.protocol.submission import JobState
from nunet_dms.requester import pay
from nunet_dms.requester.records import SubmissionRecord

DAY_S = 86_400
EXPECTED = (VerificationError, CapacityError, UnreachableError)
"""What a rule may answer; anything else is a mistake of ours."""
REASONS = list(Reason)
DEPOSITS = ("right", "right", "right", "right", "under", "over", "asset", "escrow", "twice")

NOTHING = Value(0)

Action = Callable[[], None]


class Crash(BaseException):
    """The process ends here: nothing may catch this."""


@dataclass
class Sums:
    """What became of the deposits of one escrow."""

    deposited: Value = NOTHING
    to_provider: Value = NOTHING
    to_requester: Value = NOTHING
    still_there: Value = NOTHING
    fees: int = 0
    payouts: int = 0
    """Transactions that paid the provider."""


class History:
    """One world and everything that chance does in it; the same seed does the same."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world = World(folder, window_s=self.chance.choice([0, 600, 3600]))
        self.nodes = [Node(self.world).register() for _ in range(2)]
        self.requesters = [Requester(self.world).fund() for _ in range(2)]
        self.story: list[str] = []
        self.reported: set[str] = set()
        """Jobs of which a node has signed a report, whether it was taken or not."""

    # What may happen.

    def act(self) -> None:
        """Do one thing; a refusal is an answer too."""
        open_jobs = [(each, self._state(each)) for each in self._all() if self._is_open(each)]
        if not open_jobs:
            self._try("deposit", self.deposit)
            self.world.block()
        elif self.chance.random() < 0.6:
            _, state = self.chance.choice(open_jobs)
            action = self._next(state)
            self._try(action.__name__, action)
        else:
            action = self._one_of(
                {
                    self.deposit: 4, self.cancel: 1, self.refund: 1, self.roll_back: 2,
                    self.crash: 1, self.crash_in_submit: 2, self.wait: 4, self.jump: 0.1,
                    self.block: 3, self.double_spend: 0.3, self.fund: 1, self.report_late: 0.5,
                    self.requester_signs: 1, self.object_to: 1,
                }
            )  # fmt: skip
            self._try(action.__name__, action)

    def _next(self, state: JobState | None) -> Action:
        """Return what usually comes next for a job in that state."""
        if state is JobState.OFFERED:
            return self._one_of({self.accept: 9, self.refuse: 1})
        if state is JobState.RUNNING:
            return self.report
        if state is JobState.DECIDED:
            return self._one_of({self.object_to: 2, self.answer: 2, self.wait_long: 3})
        if state is JobState.SETTLING:
            return self._one_of({self.node_signs: 4, self.requester_signs: 1, self.turn: 3})
        return self.turn

    def _one_of(self, weights: dict[Action, float]) -> Action:
        return self.chance.choices(list(weights), list(weights.values()))[0]

    def _all(self) -> list[str]:
        return [job_id for requester in self.requesters for job_id in requester.records]

    def _is_open(self, job_id: str) -> bool:
        return self._state(job_id) not in {None, JobState.SETTLED, JobState.VOID}

    def _try(self, name: str, action: Callable[[], object]) -> None:
        try:
            action()
            self.story.append(name)
        except EXPECTED as error:
            self.story.append(f"{name}: {getattr(error, 'code', type(error).__name__)}")
        except Crash:
            self.story.append(f"{name}: crash")
            self.world.reopen()

    def deposit(self) -> None:
        requester, kind = self.chance.choice(self.requesters), self.chance.choice(DEPOSITS)
        for node in self.nodes:
            node.beat()
        quote = requester.quote()
        record = requester.signed(quote, lambda *found: self._payment(requester, kind, *found))
        raw = bytes.fromhex(record.submission.payment_tx)
        requester.records[record.job_id] = record
        self.story.append(f"deposit {kind} {record.job_id[:6]}")
        if self.chance.random() < 0.2:  # past the Oracle, which then may refuse it
            self.world.ledger.submit(raw)
        requester.submit(record)
        if kind == "twice":
            utxos = self.world.ledger.unspent_outputs(requester.address)
            spent = set(read_transaction(raw).inputs)
            left = tuple(utxo for utxo in utxos if utxo.ref not in spent)
            plan = replace(self._plan_again(requester, record), utxos=left)
            self.world.ledger.submit(sign(build_payment(plan).raw, requester.key))

    def accept(self) -> None:
        node, job_id = self._job(JobState.OFFERED)
        node.accept(job_id)

    def refuse(self) -> None:
        node, job_id = self._job(JobState.OFFERED)
        node.refuse(job_id)

    def report(self) -> None:
        node, job_id = self._job(JobState.RUNNING)
        ran_s = self.chance.randrange(0, TIME_LIMIT_S + 1)
        self.world.clock.now_s += ran_s
        self.reported.add(job_id)
        reason = Reason.SUCCEEDED if self.chance.random() < 0.5 else self.chance.choice(REASONS)
        node.report(job_id, reason, ran_s * 1000)

    def report_late(self) -> None:
        """Report again, or a job that is not ours to report any more."""
        node, job_id = self._job(JobState.SETTLING)
        node.report(job_id, self.chance.choice(REASONS), TIME_LIMIT_S * 1000)

    def cancel(self) -> None:
        requester, job_id = self._mine()
        requester.cancel(job_id)

    def node_signs(self) -> None:
        node, job_id = self._job(JobState.SETTLING)
        node.cosign(job_id)

    def requester_signs(self) -> None:
        requester, job_id = self._mine()
        requester.cosign(job_id)

    def refund(self) -> None:
        requester, job_id = self._mine()
        requester.refund(job_id)

    def object_to(self) -> None:
        node, job_id = self._job(JobState.DECIDED)
        requester = next(each for each in self.requesters if job_id in each.records)
        side = self.chance.choice([node, requester])
        side.objects(job_id)

    def answer(self) -> None:
        _, job_id = self._job(JobState.DECIDED)
        if self.chance.random() < 0.5:
            disputing.uphold(self.world.oracle, job_id)
        else:
            disputing.revise(self.world.oracle, job_id, self.chance.randrange(101), "so it is")

    def roll_back(self) -> None:
        tip = self.world.ledger.tip().height
        depth = self.chance.choice([1, 1, 1, 2, 3, 5])
        self.world.ledger.rollback(max(0, tip - depth), drop=self.chance.random() < 0.5)

    def crash(self) -> None:
        raise Crash

    def crash_in_submit(self) -> None:
        """End the process while the next transaction is handed in: before or after it arrived."""
        ledger, arrives = self.world.ledger, self.chance.random() < 0.5
        submit = ledger.submit

        def crashing(raw: bytes) -> bytes:
            if arrives:
                submit(raw)
            raise Crash

        ledger.submit = crashing  # type: ignore[method-assign]
        try:
            self.chance.choice(
                [self.deposit, self.node_signs, self.requester_signs, self.world.step]
            )()
        finally:
            ledger.submit = submit  # type: ignore[method-assign]

    def turn(self) -> None:
        self.world.step(self.chance.choice([0, 1, 2]))

    def wait_long(self) -> None:
        self.world.step(self.chance.choice([600, 3600]))
        for node in self.nodes:
            node.beat()

    def wait(self) -> None:
        seconds = self.chance.choice([0, 1, 2, 20, 60, 300, 300, 601])
        for node in self.nodes:
            node.beat()
        self.world.step(seconds)

    def jump(self) -> None:
        self.world.step(DAY_S + 2 * TIME_LIMIT_S)
        for node in self.nodes:
            node.beat()

    def block(self) -> None:
        self.world.block()

    def fund(self) -> None:
        self.chance.choice(self.requesters).fund()

    def double_spend(self) -> None:
        """Roll back a block without its transactions, and spend otherwise what they spent."""
        requester = self.chance.choice(self.requesters)
        self.world.ledger.rollback(max(0, self.world.ledger.tip().height - 1), drop=True)
        utxos = self.world.ledger.unspent_outputs(requester.address)
        if not utxos:
            return
        spend = build_transfer(
            utxos, (new_output(requester.address, Value(3_000_000)),), requester.address
        )
        self.world.ledger.submit(sign(spend.raw, requester.key))
        self.world.block()

    # The end: everybody does all that is left to do.

    def finish(self) -> None:
        """Let every deadline pass, and everybody take what is theirs."""
        for _ in range(4):
            self.jump()
            for requester in self.requesters:
                for job_id in requester.records:
                    node = self._node_of(requester, job_id)
                    self._try("last cosign", lambda: node.cosign(job_id))  # noqa: B023 - at once
                    self._try("last refund", lambda: requester.refund(job_id))  # noqa: B023 - at once
            self.world.step(20)

    # What it comes to.

    def check(self) -> None:
        """Hold the ledger's own outputs to what must be true at every moment."""
        sums = self.sums()
        for requester in self.requesters:
            for job_id, record in requester.records.items():
                found, price = sums[job_id], record.request.price
                asset = self.world.oracle.network.asset
                whole = found.to_provider + found.to_requester + found.still_there
                assert found.deposited == whole + Value(found.fees), job_id
                assert found.payouts <= 1, f"{job_id} was paid twice"
                assert found.to_provider.quantity(asset) <= price, f"{job_id} was overpaid"
                if found.payouts:
                    assert job_id in self.reported, f"{job_id} was paid without a report"

    def sums(self) -> dict[str, Sums]:
        """Follow every output of every escrow through the transactions in the blocks."""
        records = {
            job_id: record
            for requester in self.requesters
            for job_id, record in requester.records.items()
        }
        homes = {escrow_terms(found.request).address.raw: key for key, found in records.items()}
        sums = {job_id: Sums() for job_id in records}
        held: dict[TxInput, tuple[str, Value]] = {}
        for raw in self._blocks():
            transaction = read_transaction(raw)
            spent = [held.pop(ref) for ref in transaction.inputs if ref in held]
            for index, output in enumerate(transaction.outputs):
                if (job_id := homes.get(output.address)) is not None:
                    held[TxInput(transaction.tx_id, index)] = (job_id, output.value)
                    sums[job_id].deposited += output.value
            if not spent:
                continue
            assert len(transaction.inputs) == len(spent) == 1, "an escrow is spent alone"
            job_id = spent[0][0]
            _add_up(sums[job_id], records[job_id].request, transaction)
        for job_id, value in held.values():
            sums[job_id].still_there += value
        return sums

    def _payment(
        self, requester: Requester, kind: str, checked: pay.CheckedQuote, utxos: tuple[Utxo, ...]
    ) -> bytes:
        """Return a payment, right or wrong in one way."""
        plan = plan_of(requester, checked, utxos)
        if kind == "asset":
            return foreign_tokens(requester, plan)
        if kind == "under":
            plan = replace(plan, price=plan.price - 1)
        elif kind == "over":
            plan = replace(plan, price=plan.price + 1)
        elif kind == "escrow" and requester.records:
            other = requester.records[self.chance.choice(list(requester.records))]
            plan = replace(plan, escrow=escrow_terms(other.request))
        return sign(build_payment(plan).raw, requester.key)

    def _plan_again(self, requester: Requester, record: SubmissionRecord) -> PaymentPlan:
        request = record.request
        return PaymentPlan(
            utxos=(),
            change_address=requester.address,
            escrow=escrow_terms(request),
            asset=self.world.oracle.network.asset,
            price=request.price,
            job_hash=bytes.fromhex(request.digest),
        )

    def _job(self, state: JobState) -> tuple[Node, str]:
        """Return a job in that state, if there is one, and the node that it is for."""
        found = [
            (self._node_of(requester, job_id), job_id)
            for requester in self.requesters
            for job_id in requester.records
            if self._state(job_id) is state
        ]
        if not found:
            raise CapacityError("no such job")
        return self.chance.choice(found)

    def _state(self, job_id: str) -> JobState | None:
        with self.world.oracle.store.reading() as db:
            found = jobs.find(db, job_id)
        return None if found is None else found.state

    def _node_of(self, requester: Requester, job_id: str) -> Node:
        node_id = requester.records[job_id].request.node_id
        return next(node for node in self.nodes if node.node_id == node_id)

    def _mine(self) -> tuple[Requester, str]:
        requester = self.chance.choice(self.requesters)
        if not requester.records:
            raise CapacityError("no job yet")
        return requester, self.chance.choice(list(requester.records))

    def _blocks(self) -> list[bytes]:
        with closing(sqlite3.connect(self.world.config.ledger)) as db:
            rows = db.execute(
                "SELECT raw FROM tx WHERE height IS NOT NULL ORDER BY height, sequence"
            )
            return [raw for (raw,) in rows]


def plan_of(
    requester: Requester, checked: pay.CheckedQuote, utxos: tuple[Utxo, ...]
) -> PaymentPlan:
    """Return the right payment of a quote."""
    request = checked.quote.request
    return PaymentPlan(
        utxos=utxos,
        change_address=requester.address,
        escrow=checked.escrow,
        asset=checked.network.asset,
        price=request.price,
        job_hash=bytes.fromhex(request.digest),
    )


def foreign_tokens(requester: Requester, plan: PaymentPlan) -> bytes:
    """Return a transaction that pays the escrow in tokens of the requester's own making."""
    policy = script.signature(requester.key.key_hash)
    asset = AssetId(script.script_hash(policy), b"mNTX")
    output = new_output(plan.escrow.address, Value.of(plan.lovelace, {asset: plan.price}))
    minted = ((asset, plan.price),)
    unsigned = build_transfer(plan.utxos, (output,), requester.address, minted, (policy,))
    return sign(unsigned.raw, requester.key)


def _add_up(found: Sums, request: JobRequest, transaction: Transaction) -> None:
    """Add what one transaction takes out of an escrow to its sums; nobody else may get any."""
    wallet = parse_address(request.provider_wallet).raw
    home = parse_address(request.requester).raw
    found.fees += transaction.fee
    for output in transaction.outputs:
        assert output.address in {wallet, home}, "an escrow pays its two parties alone"
        if output.address == wallet:
            found.to_provider += output.value
            found.payouts += 1
        else:
            found.to_requester += output.value
