"""The development ledger's verdicts are those of a ledger that we did not write (npm scalus).

Needs Node.js and `npm ci --prefix tests/judge/scalus`; skipped by name without them, unless CI is
set. Where the two differ, the ledger's own source decides who is right: see EXCEPTIONS.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from judge_cases import ADA, PEOPLE, Case, plain_case, random_case
from judge_edits import least_of, outputs_of, set_value, value_of, with_fee
from judge_inputs import WEAK_KEY
from judge_mutations import MUTATIONS, PRELUDES
from judge_outputs import with_size, with_value_size
from judge_process import Question, Scalus, Verdict, missing, scalus, utxo_map

from nunet_dms.cardano.address import address_from_bytes
from nunet_dms.cardano.builder import build_transfer, new_output, sign
from nunet_dms.cardano.chain.devnet import Devnet
from nunet_dms.cardano.chain.ledger import LedgerRule, check_transaction, read_bounded
from nunet_dms.cardano.fees import Utxo, min_fee
from nunet_dms.cardano.hashes import blake2b_224
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.transaction import TTL, TxInput, TxOutput, read_transaction
from nunet_dms.cardano.value import Value
from nunet_dms.errors import CapacityError, RefusedError

SEED = int(os.environ.get("JUDGE_SEED", "20260826"))
TRIALS = 11_000
COMPARED_AT_LEAST = 10_000
WORKERS = 2
"""Judges side by side, each with its own share of the trials."""
ACCEPTED_SHARE = 0.25
EACH_RULE_AT_LEAST = 20
SHOWN_DISAGREEMENTS = 5

FIRST_ELSEWHERE = {LedgerRule.NO_INPUT, LedgerRule.DUPLICATE_INPUT}
"""Rules that no bytes can break: the reader refuses such a transaction as malformed before."""


@dataclass(frozen=True)
class Difference:
    """A rule by which the verdicts differ, and who is right by the ledger's own source."""

    ours: LedgerRule | None
    """Our rule that refuses; None where we take what the judge refuses."""
    says: str
    """What the one who refuses says: a regular expression."""
    reason: str
    only: Callable[[Case], bool] = lambda _: True

    def covers(self, case: Case, ours: Verdict, judge: Verdict) -> bool:
        """Whether this difference is the known one."""
        if self.ours is None:
            return ours.accepted and bool(re.search(self.says, judge.why)) and self.only(case)
        prefix = f"{self.ours.value}: "
        return ours.why.startswith(prefix) and bool(re.search(self.says, ours.why))


EXCEPTIONS = {
    "an input twice": Difference(
        LedgerRule.MALFORMED,
        "there is no input, or one twice",
        "the ledger refuses it from protocol version 9 on; Scalus takes the list for a set",
    ),
    "a key of the body twice": Difference(
        LedgerRule.MALFORMED,
        "the body has key . twice",
        "the ledger refuses it; Scalus takes the last",
    ),
    "a signer required twice": Difference(
        LedgerRule.UNSUPPORTED,
        "required_signer_twice",
        "the ledger refuses it from protocol version 9 on; Scalus takes the list for a set",
    ),
    "an amount of zero": Difference(
        LedgerRule.UNSUPPORTED,
        "zero_amount",
        "the ledger refuses it from protocol version 9 on; Scalus leaves it out",
    ),
    "an output at a stake address": Difference(
        LedgerRule.MALFORMED,
        "an output's address has a wrong type",
        "the ledger reads no such address in an output; Scalus does",
    ),
    "a forged signature of a weak key": Difference(
        LedgerRule.INVALID_SIGNATURE,
        f"key {blake2b_224(WEAK_KEY).hex()}",
        "nodes verify with libsodium, which refuses keys of small order; Scalus does not",
    ),
    "a key twice in a map within metadata": Difference(
        LedgerRule.MALFORMED,
        "a map has the same key twice",
        "the ledger takes it; we refuse what two readers could read differently",
    ),
    "a script nested more than 16 deep": Difference(
        LedgerRule.MALFORMED,
        "nested more than 16 deep",
        "the ledger knows no limit but the transaction's size; an escrow nests 4 deep",
    ),
    "what we do not judge": Difference(
        LedgerRule.UNSUPPORTED,
        "carries a (datum|reference script)|auxiliary_scripts|collateral|pointer_address"
        "|reference_inputs|treasury_value|donation|certificates|withdrawals",
        "the ledger may take it; we refuse whatever we cannot judge",
    ),
    "no is_valid": Difference(
        None,
        r"got Array-Header\(3\)",
        "the ledger reads three elements as well as four (CIP-167); Scalus does not yet",
    ),
    "the size with is_valid": Difference(
        None,
        "Transaction size 16385 exceeds",
        "the ledger does not count the byte of is_valid (sizeTxF); for the fee Scalus knows it",
    ),
    "numbers from 2**63 on": Difference(
        None,
        "got OverLong",
        "the ledger's slots and metadata go up to 2**64 - 1; Scalus keeps them in signed 64 bits",
    ),
    "a ttl from 2**63 on": Difference(
        None,
        "is outside the validity interval",
        "as above; Scalus takes it for a slot before slot 0",
        only=lambda case: case.body.get(TTL, 0) >= 2**63,
    ),
}
"""Every known difference, by rule. Each must be provoked, or it goes."""


@pytest.fixture(scope="module", autouse=True)
def _judge_is_there() -> None:
    lacking = missing()
    if lacking and os.environ.get("CI"):
        pytest.fail(f"no judge, and CI is set: {lacking}", pytrace=False)
    if lacking:
        pytest.skip(f"no judge: {lacking}")


@dataclass
class Tally:
    """What came of the trials."""

    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    exceptions: Counter[str] = field(default_factory=Counter)
    disagreements: list[str] = field(default_factory=list)

    @property
    def compared(self) -> int:
        """Trials in which the verdicts are equal; exceptions do not count."""
        return self.accepted + self.refused.total()

    def summary(self) -> str:
        """Return the figures as people read them, and how to repeat the run."""
        return (
            f"\nJUDGE_SEED={SEED}: {self.compared} compared, {self.accepted} accepted by both\n"
            f"refused by both, by our rule: {dict(sorted(self.refused.items()))}\n"
            f"exceptions: {dict(sorted(self.exceptions.items()))}\n"
        )

    def add(self, other: Tally) -> None:
        """Count another's trials too."""
        self.accepted += other.accepted
        self.refused += other.refused
        self.exceptions += other.exceptions
        self.disagreements += other.disagreements


def our_verdict(case: Case, raw: bytes) -> Verdict:
    """Judge as Devnet.submit does."""
    try:
        check_transaction(read_bounded(raw), case.state())
    except RefusedError as refusal:
        return Verdict(False, f"{refusal.code}: {refusal}")
    return Verdict(True)


def trials(rng: Random, count: int) -> Iterator[tuple[tuple[str, Case, Verdict], Question]]:
    """Return so many transactions, our verdict on each, and the question for the judge."""
    names, weights = zip(*MUTATIONS.items(), strict=True)
    for _ in range(count):
        case = random_case(rng)
        prelude = rng.choice(PRELUDES) if rng.random() < 0.2 else None
        mutation = rng.choices(names, weights)[0]
        for each in filter(None, (prelude, mutation)):
            each(rng, case)
        try:
            raw = case.raw()
        except OverflowError:  # a number of more than 64 bits has no bytes
            continue
        story = f"{getattr(prelude, '__name__', 'plain')}, {mutation.__name__}"
        yield (story, case, our_verdict(case, raw)), (utxo_map(case.unspent), case.slot, raw)


def judge_all(seed: str, count: int) -> Tally:
    """Run trials past one judge."""
    tally = Tally()
    with scalus() as judge:
        for (story, case, ours), theirs in judge.judge(trials(Random(seed), count)):
            if ours.accepted == theirs.accepted:
                tally.accepted += ours.accepted
                if not ours.accepted:
                    tally.refused[ours.why.split(":")[0]] += 1
                continue
            known = [name for name, each in EXCEPTIONS.items() if each.covers(case, ours, theirs)]
            tally.exceptions[known[0] if known else "unknown"] += 1
            if not known:
                tally.disagreements.append(
                    f"{story}\n  ours: {ours}\n  judge: {theirs}\n  slot {case.slot}\n"
                    f"  utxos {utxo_map(case.unspent).hex()}\n  transaction {case.raw().hex()}"
                )
    return tally


@pytest.mark.timeout(900)
def test_the_devnets_verdicts_are_the_judges(capsys: pytest.CaptureFixture[str]) -> None:
    """At least 10,000 transactions of our builder and mutations of them, each judged by both."""
    tally = Tally()
    with ThreadPoolExecutor(WORKERS) as pool:
        shares = [(f"{SEED}/{worker}", TRIALS // WORKERS) for worker in range(WORKERS)]
        for part in pool.map(lambda share: judge_all(*share), shares):
            tally.add(part)
    with capsys.disabled():
        sys.stdout.write(tally.summary())
    assert not tally.disagreements, "\n".join(tally.disagreements[:SHOWN_DISAGREEMENTS])
    assert tally.compared >= COMPARED_AT_LEAST
    assert tally.accepted >= ACCEPTED_SHARE * tally.compared
    rare = {
        rule.value: tally.refused[rule.value]
        for rule in set(LedgerRule) - FIRST_ELSEWHERE
        if tally.refused[rule.value] < EACH_RULE_AT_LEAST
    }
    assert not rare, "rules provoked too seldom"
    assert tally.exceptions.keys() == EXCEPTIONS.keys()


def _of_fee(short: int) -> Case:
    case = plain_case()
    with_fee(case, min_fee(len(case.raw()) - 1) - short)
    return case


def _of_lovelace(short: int) -> Case:
    case = plain_case()
    first, rest = outputs_of(case)
    moved = value_of(first).lovelace - (least_of(first) - short)
    set_value(first, value_of(first) - Value(moved))
    set_value(rest, value_of(rest) + Value(moved))
    return case


def _of_value_size(excess: int) -> Case:
    case = plain_case()
    with_value_size(Random(SEED), case, 5000 + excess)
    return case


def _of_size(excess: int) -> Case:
    """Sizes count the byte of is_valid here, as the judge does: one below the ledger's limit."""
    case = plain_case()
    with_size(case, 16_384 + 2 * excess)
    return case


@pytest.mark.parametrize("build", [_of_fee, _of_lovelace, _of_value_size, _of_size])
def test_the_judge_goes_by_the_same_parameters(build: Callable[[int], Case]) -> None:
    """44, 155381, 4310, 5000 and 16384: at the limit both take it, one beyond neither does."""
    cases = [build(0), build(1)]
    questions = [
        (our_verdict(case, case.raw()).accepted, (utxo_map(case.unspent), case.slot, case.raw()))
        for case in cases
    ]
    with scalus() as judge:
        found = [(ours, theirs.accepted) for ours, theirs in judge.judge(questions)]
    assert found == [(True, True), (False, False)]


class History:
    """The same people pay on a real devnet and before the judge."""

    def __init__(self, ledger: Devnet, judge: Scalus, rng: Random) -> None:
        self.ledger, self.judge, self.rng = ledger, judge, rng
        self.outputs: dict[TxInput, TxOutput] = {}
        """Everything that was ever made, spent or not."""
        self.unspent: set[TxInput] = set()
        self.taken: set[bytes] = set()
        self.verdicts: Counter[bool] = Counter()

    def start(self, slot: int) -> None:
        """Fund everybody, and open the judge's ledger with what they have."""
        for key in PEOPLE:
            for _ in range(3):
                self.ledger.faucet(key.address(0), self.rng.randint(20, 60) * ADA, 1000)
        self.ledger.tick()
        for key in PEOPLE:
            found = self.ledger.unspent_outputs(key.address(0))
            self.outputs |= {utxo.ref: utxo.output for utxo in found}
        self.unspent |= self.outputs.keys()
        self.judge.open(self.outputs, slot)

    def pay(self) -> None:
        """Hand a payment to both; what it spends may be spent already, or signed by too few."""
        choices = self.unspent if self.rng.random() < 0.7 else self.outputs.keys()
        refs = self.rng.sample(sorted(choices), self.rng.choice((1, 1, 1, 2)))
        utxos = tuple(Utxo(ref, self.outputs[ref]) for ref in refs)
        hashes = {address_from_bytes(utxo.output.address).payment_hash for utxo in utxos}
        owners = [key for key in PEOPLE if key.key_hash in hashes]
        paid = new_output(
            self.rng.choice(PEOPLE).address(0),
            Value.of(
                self.rng.randint(1, 9) * ADA, {self.ledger.asset: self.rng.choice((0, 1, 400))}
            ),
        )
        try:
            built = build_transfer(utxos, (paid,), owners[0].address(0))
        except CapacityError:
            return
        signing = owners if self.rng.random() < 0.9 else owners[1:]
        raw = sign(built.raw, *signing) if signing else built.raw
        if raw in self.taken:
            return  # handed in again, a devnet says yes once more: no verdict to compare
        try:
            self.ledger.submit(raw)
            ours = Verdict(True)
        except RefusedError as refusal:
            ours = Verdict(False, str(refusal))
        theirs = self.judge.submit(raw)
        assert ours.accepted == theirs.accepted, f"{SEED=}: {ours=}, {theirs=}, {raw.hex()}"
        self.verdicts[ours.accepted] += 1
        if ours.accepted:
            self.taken.add(raw)
            transaction = read_transaction(raw)
            for index, output in enumerate(transaction.outputs):
                self.outputs[TxInput(transaction.tx_id, index)] = output
                self.unspent.add(TxInput(transaction.tx_id, index))
            self.unspent -= {*transaction.inputs}

    def held(self) -> dict[TxInput, TxOutput]:
        """Return what the people hold on the devnet, without the sizes."""
        return {
            utxo.ref: TxOutput(utxo.output.address, utxo.output.value)
            for key in PEOPLE
            for utxo in self.ledger.unspent_outputs(key.address(0))
        }


@pytest.mark.timeout(300)
def test_a_history_on_a_real_devnet_leaves_what_the_judge_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Payments, double spends, blocks, rollbacks: every verdict and all that is left are equal."""
    # A ledger makes its faucet's key by chance, and all ids follow from it.
    monkeypatch.setattr(PaymentKey, "generate", lambda: PaymentKey.from_seed(b"f" * 32))
    now = 1_800_000_000.0
    rng = Random(SEED)
    with Devnet(tmp_path / "devnet.db", lambda: now) as ledger, scalus() as judge:
        history = History(ledger, judge, rng)
        history.start(slot=0)
        for step in range(600):
            history.pay()
            if step % 20 == 19:
                now += rng.randint(0, 30)
                judge.set_slot(ledger.slot_at(now))
                ledger.tick()
            if step % 90 == 89:
                ledger.rollback(max(1, ledger.tip().height - 2))
        while ledger.tick():
            pass
        ledger.verify()
        assert history.held() == judge.holdings()
        assert min(history.verdicts[True], history.verdicts[False]) >= 80, history.verdicts
