"""Garbage at every door. Each refusal names its rule, and nothing is stored or left behind."""

from __future__ import annotations

from dataclasses import replace

import pytest
import requests
from oracle_world import (
    Node,
    Requester,
    World,
    refused,
    spec,
)

from nunet_dms.cardano.agreement import escrow_terms
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import ErrorBody
from nunet_dms.protocol.chain import FaucetRequest, TransactionBody, TransactionId
from nunet_dms.protocol.login import (
    Challenge,
)
from nunet_dms.protocol.quote import Quote
from nunet_dms.protocol.submission import JobSubmission, QuoteRequest

TIMEOUT_S = 20

GARBAGE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "$"),
    "no JSON": (b"\x00\xff garbage", "$"),
    "a list": (b"[]", "$"),
    "not UTF-8": (b'{"subject":"\xff"}', "$"),
    "an unknown key": (b'{"subject":"a","admin":true}', "$.admin"),
    "a key twice": (b'{"subject":"a","subject":"b"}', "$"),
    "a wrong type": (b'{"subject":1}', "$.subject"),
    "a missing key": (b"{}", "$"),
    "NaN": (b'{"subject":NaN}', "$"),
    "too long a text": (b'{"subject":"' + b"a" * 201 + b'"}', "$.subject"),
    "deep nesting": (b"[" * 100_000 + b"]" * 100_000, "$"),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_is_malformed_and_its_place_is_named(world: World, what: str) -> None:
    body, where = GARBAGE[what]
    rows = world.rows()
    answer = requests.post(f"{world.url}/v1/challenges", data=body, timeout=TIMEOUT_S)
    found = strict.decode(ErrorBody, answer.content)
    assert (answer.status_code, found.code) == (400, "malformed")
    assert found.where.startswith(where)
    assert world.rows() == rows


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 20 * 1024 * 1024])
def test_a_huge_body_is_refused(world: World, requester: Requester, size: int) -> None:
    with refused(world, "too_large"):
        requester.http.call("POST", "/v1/challenges", {"subject": "a" * size}, Challenge)


def test_unknown_keys_inside_a_spec_are_named(
    world: World, requester: Requester, node: Node
) -> None:
    assert node
    plain = strict.to_plain(QuoteRequest(spec=spec(), requester=requester.address.bech32))
    plain["spec"]["resources"]["quantum"] = 1
    with refused(world, "malformed", where="$.spec.resources.quantum"):
        requester.http.call("POST", "/v1/quotes", plain, Quote)


def test_an_unknown_path_and_method_have_the_same_shape_of_error(world: World) -> None:
    for method, path, status, code in (
        ("GET", "/v2/jobs", 404, "not_found"),
        ("DELETE", "/v1/jobs", 405, "method_not_allowed"),
        ("GET", "/v1/jobs/x/log?offset=-1", 400, "malformed"),
        ("GET", "/v1/jobs/x/log?offset=x", 400, "malformed"),
        ("GET", "/v1/jobs/x/log?wait_s=51", 400, "malformed"),
        ("GET", "/v1/chain/utxos/addr_test1nonsense", 400, "malformed_address"),
        ("GET", "/v1/chain/utxos/0x" + "ab" * 20, 400, "ethereum_address"),
    ):
        answer = requests.request(method, world.url + path, timeout=TIMEOUT_S)
        assert (answer.status_code, strict.decode(ErrorBody, answer.content).code) == (
            status,
            code,
        ), path


def test_the_ledger_s_own_refusals_come_through(world: World, requester: Requester) -> None:
    with refused(world, "malformed"):
        body = TransactionBody(tx="00")
        requester.http.call("POST", "/v1/chain/submit", body, TransactionId)
    with refused(world, "wrong_output_network"):
        ask = FaucetRequest(address=PaymentKey.generate().address(1).bech32)
        requester.http.call("POST", "/v1/devnet/faucet", ask, TransactionId)


def test_a_submission_with_a_broken_transaction_is_malformed(
    world: World, requester: Requester, quote: Quote
) -> None:
    submission: JobSubmission = requester.submission(quote)
    for broken in ("00", submission.payment_tx[:-2], submission.payment_tx + "00"):
        with refused(world, "malformed"):
            requester.submit(replace(submission, payment_tx=broken))


def test_the_terms_of_a_quote_are_those_of_its_escrow(quote: Quote) -> None:
    assert escrow_terms(quote.request).address.bech32 == quote.escrow_address
