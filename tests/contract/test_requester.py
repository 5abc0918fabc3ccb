"""A requester against a served Oracle: what it is given, what it gets back, what it refuses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.network import TokenChoice
from nunet_dms.errors import (
    CapacityError,
    OracleUnreachableError,
    RefusedError,
    VerificationError,
)
from nunet_dms.oracle.chain_config import ChainConfig, TokenConfig
from nunet_dms.oracle_http import OracleHttp, WalletProof
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.protocol.job import JobSpec
from nunet_dms.protocol.node import Settlement
from nunet_dms.protocol.report import Reason
from nunet_dms.protocol.submission import JobState, JobView
from nunet_dms.requester import ending
from nunet_dms.requester.client import Requester
from nunet_dms.requester.jobfile import InputFile, JobFile
from nunet_dms.requester.pins import meet_oracle
from nunet_dms.requester.records import Records, SubmissionRecord
from nunet_dms.requester.wallet import Wallet
from tests.contract.oracle.oracle_world import (
    PROGRAM,
    ManualClock,
    Node,
    World,
    running,
    spec,
    tokens_at,
)

TOKENS = 100_000_000
LOG = b"epoch 1\nepoch 2\n"
RESULT = b'{"accuracy": 97}\n'


@dataclass
class Us:
    """A requester, its records, and the files of the one job that it wants."""

    world: World
    info: OracleInfo
    requester: Requester
    wallet: Wallet
    records: Records
    job: JobFile

    def prepared(self) -> SubmissionRecord:
        """Do everything up to the signed payment."""
        checked = self.requester.quote(self.job.spec)
        self.requester.upload(checked.quote, self.job)
        return self.requester.prepare(checked, self.job.spec)

    def tokens(self) -> int:
        """Return what the wallet holds as of the last block."""
        return tokens_at(self.world, self.wallet.address, self.world.oracle.network.asset)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A running Oracle on an empty development ledger."""
    with running(tmp_path / "oracle", ManualClock()) as found:
        yield found


@pytest.fixture
def node(world: World) -> Node:
    """A registered node that takes jobs."""
    return Node(world).online()


@pytest.fixture
def us(world: World, tmp_path: Path) -> Iterator[Us]:
    """A requester with tokens, for whom waiting turns the Oracle's clock."""
    key = PaymentKey.from_seed(bytes([200]) * 32)
    wallet = Wallet("default", key, key.address(0))
    source = tmp_path / "job.py"
    source.write_bytes(PROGRAM)
    inputs = (InputFile("job.py", source, len(PROGRAM), hashlib.sha256(PROGRAM).hexdigest()),)
    records = Records(tmp_path / "requests")
    proof = WalletProof(key, wallet.address)
    ticket_key = world.oracle.keys.ticket.public
    with OracleHttp(world.url, proof, ticket_key=ticket_key, clock=world.clock) as http:
        info = meet_oracle(http, tmp_path / "requests").info
        requester = Requester(http, wallet, info, records, clock=world.clock, wait=world.step)
        requester.ledger.faucet(wallet.address, 100_000_000, TOKENS)
        world.step(1)
        yield Us(world, info, requester, wallet, records, JobFile(spec(), inputs))


def started(us: Us, node: Node, record: SubmissionRecord) -> str:
    """Bring a submitted job to where the node runs it; returns the ticket's id."""
    us.requester.submit(record)
    us.world.step(1)
    return node.take(record.job_id)


def reported(us: Us, node: Node, record: SubmissionRecord) -> Settlement:
    """Bring a submitted job to its settlement, log and results included."""
    ticket_id = started(us, node, record)
    node.http.put_log(record.job_id, 0, LOG)
    results = node.put_results(record.job_id, {"metrics.json": RESULT})
    us.world.step(50)
    node.send_report(
        node.report(
            record.job_id,
            ticket_id,
            log_bytes=len(LOG),
            log_sha256=hashlib.sha256(LOG).hexdigest(),
            results_hash=results.digest,
        )
    )
    us.world.step(1)
    (settlement,) = node.poll().settlements
    return settlement


def test_a_job_from_quote_to_receipt(us: Us, node: Node, tmp_path: Path) -> None:
    record = us.prepared()
    settlement = reported(us, node, record)
    log: list[bytes] = []
    states: list[JobState] = []

    def told(view: JobView) -> None:
        states.append(view.state)

    us.requester.follow(record.job_id, log.append, told)
    node.cosign(settlement)
    view = us.requester.wait_settled(record.job_id, told)
    us.requester.save_results(record.job_id, tmp_path / "out")
    _, receipt = us.requester.receipt(record.job_id)

    assert b"".join(log) == b"".join(us.requester.log(record.job_id)) == LOG
    assert states[-1] is JobState.SETTLED
    assert view.reason is Reason.SUCCEEDED
    assert (tmp_path / "out" / "metrics.json").read_bytes() == RESULT
    assert receipt.request == record.request
    assert view.provider_amount == record.request.price // 2
    assert us.tokens() == TOKENS - record.request.price // 2


def test_a_job_is_recorded_before_it_is_paid_and_may_be_handed_in_later(us: Us, node: Node) -> None:
    record = us.prepared()
    (found,) = us.records.all()
    assert (found, found.submitted) == (record, False)
    assert us.world.rows()["jobs"] == 0
    view = us.requester.submit(found)
    assert us.records.find(record.job_id) == replace(record, submitted=True)
    assert us.requester.submit(found) == view, "twice is the same job"
    us.world.step(1000)
    assert us.requester.submit(found).job_id == view.job_id, "even after the quote has expired"
    assert us.world.rows()["jobs"] == 1
    assert node.node_id == record.request.node_id


def test_a_job_that_was_not_handed_in_while_its_quote_lived_costs_nothing(
    us: Us, node: Node
) -> None:
    record = us.prepared()
    us.world.step(1000)
    with pytest.raises(RefusedError) as caught:
        us.requester.submit(record)
    assert caught.value.code == "quote_expired"
    us.world.step(1)
    assert us.tokens() == TOKENS
    assert us.records.find(record.job_id) == record
    assert node.poll().offers == ()


def test_only_missing_inputs_are_uploaded(us: Us, node: Node) -> None:
    told: list[str] = []
    for _ in range(2):
        quote = us.requester.quote(us.job.spec).quote
        us.requester.upload(quote, us.job, lambda file: told.append(file.path))
    assert told == ["job.py"]
    assert node.poll().offers == ()


def test_an_input_that_changed_since_it_was_hashed_is_refused(us: Us, node: Node) -> None:
    checked = us.requester.quote(us.job.spec)
    us.job.inputs[0].source.write_bytes(b"z" * len(PROGRAM))
    with pytest.raises(RefusedError) as caught:
        us.requester.upload(checked.quote, us.job)
    assert caught.value.code == "hash_mismatch"
    assert us.world.blob_files() == []
    assert node.poll().offers == ()


def test_what_no_node_has_room_for_is_named_with_what_there_is(us: Us, node: Node) -> None:
    huge = spec(resources=replace(spec().resources, cpu_mhz=1_000_000))
    with pytest.raises(CapacityError, match=r"1000000.*4000"):
        us.requester.quote(huge)
    assert node.poll().offers == ()


def test_when_the_node_is_gone_the_requester_gets_all_back_by_itself(us: Us, node: Node) -> None:
    record = us.prepared()
    started(us, node, record)
    us.world.step(3600)
    us.world.step(1)
    view = us.requester.wait_settled(record.job_id)
    assert (view.state, view.reason) == (JobState.SETTLED, Reason.NODE_FAULT)
    assert (view.provider_amount, us.tokens()) == (0, TOKENS)


def test_after_the_deadline_the_requester_needs_nobody(us: Us, node: Node) -> None:
    record = us.prepared()
    started(us, node, record)
    with pytest.raises(VerificationError) as caught:
        us.requester.refund(record)
    assert caught.value.code == "deadline_not_reached"
    slot = us.requester.ledger.terms().slot
    us.world.step(record.request.deadline_slot - slot + 1)
    (tx_id,) = us.requester.refund(record)
    us.world.step(1)
    assert len(tx_id) == 64
    assert us.tokens() == TOKENS
    with pytest.raises(VerificationError) as again:
        us.requester.refund(record)
    assert again.value.code == "escrow_empty"


def test_a_job_cancelled_before_it_ran_comes_back_whole(us: Us, node: Node) -> None:
    record = us.prepared()
    us.requester.submit(record)
    us.world.step(1)
    us.requester.cancel(record.job_id)
    view = us.requester.wait_settled(record.job_id)
    assert (view.reason, view.requester_amount) == (Reason.CANCELLED, record.request.price)
    assert us.tokens() == TOKENS
    assert node.poll().offers == ()


def waiting_settlement(us: Us, node: Node) -> tuple[Settlement, SubmissionRecord]:
    """Return a settlement that waits for the second signature, and the record of its job."""
    record = us.prepared()
    return reported(us, node, record), record


def test_a_settlement_is_signed_only_over_the_verdict_that_the_price_table_gives(
    us: Us, node: Node
) -> None:
    settlement, record = waiting_settlement(us, node)
    fees = us.requester.ledger.terms().fees
    key, pinned = us.wallet.key, us.world.oracle.keys.ticket.public
    assert ending.cosign(settlement, record, pinned, key, fees).public == key.public
    longer = replace(record, spec=replace(record.spec, time_limit_s=200))
    with pytest.raises(VerificationError, match="is worth") as caught:
        ending.cosign(settlement, longer, pinned, key, fees)
    assert caught.value.code == "wrong_verdict"


def test_a_verdict_by_another_key_is_not_signed(us: Us, node: Node) -> None:
    settlement, record = waiting_settlement(us, node)
    fees = us.requester.ledger.terms().fees
    with pytest.raises(VerificationError) as caught:
        ending.cosign(settlement, record, node.key.public, us.wallet.key, fees)
    assert caught.value.code == "foreign_key"


def test_a_settlement_of_another_payment_is_not_signed(us: Us, node: Node) -> None:
    settlement, record = waiting_settlement(us, node)
    fees, pinned = us.requester.ledger.terms().fees, us.world.oracle.keys.ticket.public
    foreign = replace(settlement, escrow_tx_id="0" * 64)
    with pytest.raises(VerificationError) as caught:
        ending.cosign(foreign, record, pinned, us.wallet.key, fees)
    assert caught.value.code == "wrong_inputs"


def test_a_receipt_is_of_the_job_that_was_asked_for(us: Us, node: Node) -> None:
    settlement, record = waiting_settlement(us, node)
    node.cosign(settlement)
    us.requester.wait_settled(record.job_id)
    sealed, receipt = us.requester.receipt(record.job_id)
    pinned = us.world.oracle.keys.ticket.public
    assert receipt.report is not None
    assert ending.results_hash_of(receipt) in receipt.report.payload
    with pytest.raises(VerificationError) as caught:
        ending.open_receipt(sealed, "0" * 32, pinned)
    assert caught.value.code == "wrong_receipt"
    other_node = replace(receipt, request=replace(receipt.request, node_id="1" * 56))
    with pytest.raises(VerificationError) as foreign:
        ending.results_hash_of(other_node)
    assert foreign.value.code == "foreign_key"


def test_results_beyond_the_jobs_own_disk_are_not_fetched(
    us: Us, node: Node, tmp_path: Path
) -> None:
    _, record = waiting_settlement(us, node)
    small: JobSpec = replace(record.spec, resources=replace(record.spec.resources, disk_mb=1))
    us.records.save(replace(record, spec=small))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "nunet_dms.protocol.job.Manifest.total_bytes", property(lambda _self: 2 * 1024 * 1024)
        )
        with pytest.raises(VerificationError) as caught:
            us.requester.save_results(record.job_id, tmp_path / "out")
    assert caught.value.code == "results_too_large"
    assert not (tmp_path / "out").exists()


def test_an_oracle_that_is_away_is_asked_again_ever_more_rarely_and_then_given_up(
    us: Us, node: Node
) -> None:
    record = us.prepared()
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        us.world.clock.now_s += seconds

    nowhere = WalletProof(us.wallet.key, us.wallet.address)
    with OracleHttp("http://127.0.0.1:1", nowhere) as http:
        lost = Requester(http, us.wallet, us.info, us.records, clock=us.world.clock, wait=wait)
        with pytest.raises(OracleUnreachableError):
            lost.submit(record)
    assert waited[:4] == [0.5, 1.0, 2.0, 4.0]
    assert max(waited) == 15.0
    assert sum(waited) <= 60
    assert us.records.find(record.job_id) == record
    assert node.poll().offers == ()


def test_an_oracle_with_other_keys_at_the_same_place_is_refused(us: Us, tmp_path: Path) -> None:
    (pin,) = (tmp_path / "requests").glob("oracle-127.0.0.1-*.json")
    known = us.info.ticket_key
    pin.write_text(pin.read_text().replace(known, "1" * 64))
    with OracleHttp(us.world.url) as http, pytest.raises(VerificationError) as caught:
        meet_oracle(http, tmp_path / "requests")
    assert caught.value.code == "oracle_changed"
    assert str(pin) in caught.value.hint


def test_the_first_contact_tells_the_fingerprint_and_the_second_does_not(
    us: Us, tmp_path: Path
) -> None:
    told: list[str] = []
    with OracleHttp(us.world.url) as http:
        first = meet_oracle(http, tmp_path / "elsewhere", trust=told.append)
        second = meet_oracle(http, tmp_path / "elsewhere", trust=told.append)
    assert told == [first.fingerprint]
    assert (first.is_first_contact, second.is_first_contact) == (True, False)


def test_an_oracle_on_preprod_cannot_talk_a_requester_into_another_token(tmp_path: Path) -> None:
    chain = ChainConfig(backend="koios", url="http://127.0.0.1:9")
    token = TokenConfig(policy="ab" * 28)
    own = TokenChoice(policy=b"\xab" * 28)
    with (
        running(
            tmp_path / "o", ManualClock(), network="preprod", chain=chain, token=token
        ) as oracle,
        OracleHttp(oracle.url) as http,
    ):
        with pytest.raises(VerificationError) as caught:
            meet_oracle(http, tmp_path / "requests")
        assert caught.value.code == "wrong_token"
        assert not (tmp_path / "requests").exists()
        assert meet_oracle(http, tmp_path / "requests", token=own).is_first_contact
