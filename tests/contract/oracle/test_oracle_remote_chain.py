"""Whole jobs through an Oracle whose chain somebody else has: another Oracle's ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from chain_world import FACES, source_of
from oracle_world import ManualClock, Node, Requester, World, running

from nunet_dms.cardano.chain.pace import Limit
from nunet_dms.errors import (
    ConfigError,
    OracleUnreachableError,
    RefusedError,
    VerificationError,
)
from nunet_dms.oracle import composition
from nunet_dms.oracle.chain_config import ChainConfig, TokenConfig
from nunet_dms.oracle.config import OracleConfig, init
from nunet_dms.oracle.server import serve
from nunet_dms.protocol.api import Health, OracleInfo
from nunet_dms.protocol.chain import (
    ChainParameters,
    FaucetRequest,
    TransactionBody,
    TransactionId,
    UtxoList,
)
from nunet_dms.protocol.receipt import Receipt
from nunet_dms.protocol.signing import Domain, open_sealed
from nunet_dms.protocol.submission import JobState

BLOCK_S = 3
"""Longer than a tip is remembered."""


def chain_at(ledger: World, name: str, folder: Path) -> ChainConfig:
    source = source_of(ledger, name, folder)
    key_file = str(source.key_file) if source.key_file else ""
    return ChainConfig(backend=name, url=source.url, key_file=key_file)


def token_of(ledger: World) -> TokenConfig:
    return TokenConfig(policy=ledger.oracle.network.asset.policy.hex())


@pytest.fixture(params=[*FACES])
def elsewhere(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Iterator[World]:
    """An Oracle without a ledger of its own, on the ledger that `world` serves."""
    with running(
        tmp_path / "elsewhere",
        world.clock,
        chain=chain_at(world, request.param, tmp_path),
        token=token_of(world),
    ) as found:
        assert found.oracle.devnet is None
        yield found


def block(ledger: World, oracle: World) -> None:
    """Make a block there, then let the Oracle look."""
    ledger.step(BLOCK_S)
    oracle.step()


def test_a_paid_job_lives_its_whole_life_over_somebody_else_s_chain(
    world: World, elsewhere: World
) -> None:
    node = Node(elsewhere).online()
    requester = Requester(elsewhere, funded=False)
    assert world.oracle.devnet is not None
    world.oracle.devnet.faucet(requester.address, 100_000_000, 1_000_000_000)
    block(world, elsewhere)
    before = requester.tokens()
    assert before == 1_000_000_000

    job = requester.order()
    assert job.state is JobState.SUBMITTED
    elsewhere.step()
    assert requester.job(job.job_id).state is JobState.SUBMITTED
    block(world, elsewhere)
    ticket_id = node.take(job.job_id)
    world.clock.now_s += 50
    node.heartbeat(job.job_id)
    node.send_report(node.report(job.job_id, ticket_id))
    view = requester.job(job.job_id)
    assert (view.state, view.provider_amount) == (JobState.SETTLING, job.price // 2)

    (settlement,) = node.poll().settlements
    node.cosign(settlement)
    block(world, elsewhere)
    assert requester.job(job.job_id).state is JobState.SETTLED
    assert node.tokens() == view.provider_amount
    assert requester.tokens() == before - node.tokens()
    receipt = open_sealed(
        node.receipt(job.job_id), Receipt, Domain.RECEIPT, elsewhere.oracle.keys.ticket.public
    )
    assert receipt.settlement_tx_id == requester.job(job.job_id).settlement_tx_id


def test_a_payment_that_a_fork_takes_back_is_handed_in_again_before_the_job_is_given_away(
    world: World, elsewhere: World
) -> None:
    node = Node(elsewhere).online()
    requester = Requester(elsewhere, funded=False)
    devnet = world.oracle.devnet
    assert devnet is not None
    devnet.faucet(requester.address, 100_000_000, 1_000_000_000)
    block(world, elsewhere)
    before = devnet.tip()
    job = requester.order()
    block(world, elsewhere)
    (offer,) = node.poll().offers
    ticket_id = node.ticket_id(offer)

    devnet.rollback(before.height, drop=True)
    world.clock.now_s += BLOCK_S
    with pytest.raises(OracleUnreachableError, match="does not have its payment"):
        node.accept(job.job_id, ticket_id)
    assert requester.job(job.job_id).payment_missing

    block(world, elsewhere)  # it was handed in again
    node.accept(job.job_id, ticket_id)
    view = requester.job(job.job_id)
    assert (view.state, view.payment_missing) == (JobState.RUNNING, False)


def test_a_payment_that_two_jobs_spend_is_refused_once_a_block_has_the_first(
    world: World, elsewhere: World
) -> None:
    Node(elsewhere).online()
    requester = Requester(elsewhere, funded=False)
    assert world.oracle.devnet is not None
    world.oracle.devnet.faucet(requester.address, 100_000_000, 1_000_000_000)
    block(world, elsewhere)
    first, second = requester.quote(), requester.quote()
    requester.upload(first)
    requester.upload(second)
    rival = requester.submission(second)  # of the same output
    requester.submit(requester.submission(first))
    block(world, elsewhere)
    with pytest.raises(RefusedError) as refusal:
        requester.submit(rival)
    assert refusal.value.code in ("spent_input", "unknown_input")


def test_it_tells_whose_chain_it_is_and_has_no_faucet(world: World, elsewhere: World) -> None:
    requester = Requester(elsewhere, funded=False)
    info = requester.http.call("GET", "/v1/oracle", None, OracleInfo)
    assert (info.network, "no value" in info.warning) == ("devnet", True)
    assert info.token_policy == world.oracle.network.asset.policy.hex()
    block(world, elsewhere)
    told = requester.http.call("GET", "/v1/chain/parameters", None, ChainParameters)
    assert told.height == world.oracle.chain.tip().height
    wanted = FaucetRequest(address=requester.address.bech32)
    with pytest.raises(RefusedError) as refusal:
        requester.http.call("POST", "/v1/devnet/faucet", wanted, TransactionId)
    assert refusal.value.code == "no_faucet"
    with pytest.raises(RefusedError) as absent:
        requester.http.call("GET", "/devnet/koios/api/v1/tip", None, Health)
    assert absent.value.code == "not_found"


def test_wallets_have_a_share_of_the_calls_and_jobs_the_rest(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composition, "GUEST_LIMIT", Limit(burst=2, per_s=0.0001))
    chain = chain_at(world, "koios", tmp_path)
    with running(tmp_path / "shared", world.clock, chain=chain, token=token_of(world)) as shared:
        shared.step()
        wallet = Requester(shared, funded=False)
        path = f"/v1/chain/utxos/{wallet.address.bech32}"
        for _ in range(2):
            wallet.http.call("GET", path, None, UtxoList)
        for method, where, body, kind in (
            ("GET", path, None, UtxoList),
            ("POST", "/v1/chain/submit", TransactionBody(tx="00"), TransactionId),
        ):
            with pytest.raises(OracleUnreachableError, match="too many wallets"):
                wallet.http.call(method, where, body, kind)
        block(world, shared)
        health = wallet.http.call("GET", "/v1/health", None, Health)
        assert (health.status, health.height) == ("ok", world.oracle.chain.tip().height)


def test_a_silent_chain_makes_health_degraded_and_decides_nothing(
    world: World, tmp_path: Path
) -> None:
    chain = ChainConfig(backend="koios", url="http://127.0.0.1:9")
    with running(tmp_path / "deaf", world.clock, chain=chain, token=token_of(world)) as deaf:
        client = deaf.client(None)
        deaf.step()
        health = client.call("GET", "/v1/health", None, Health)
        assert (health.status, health.height) == ("degraded", 0)
        assert "nothing listens there" in health.detail


def test_a_chain_of_another_network_is_refused_before_anything_is_served(
    world: World, tmp_path: Path
) -> None:
    config = OracleConfig(
        folder=tmp_path / "foreign",
        port=0,
        network="preprod",
        chain=ChainConfig(backend="koios", url=world.url + FACES["koios"]),
    )
    init(config)
    with pytest.raises(VerificationError, match="magic 424242, preprod has 1") as refusal:
        serve(config, announce=pytest.fail, clock=ManualClock())
    assert (refusal.value.code, int(refusal.value.exit_code)) == ("wrong_network", 7)


def test_another_network_is_not_served_while_jobs_of_the_old_one_are_open(
    world: World, tmp_path: Path
) -> None:
    Node(world).online()
    job = Requester(world).order()
    config = replace(
        world.oracle.config, network="preprod", chain=ChainConfig(backend="koios"), port=0
    )
    with pytest.raises(ConfigError, match=f"job {job.job_id} is open and was paid on the network"):
        serve(config)
