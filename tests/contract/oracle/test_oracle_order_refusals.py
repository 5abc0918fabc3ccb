"""Quotes, submissions, blobs that do not hold: the rule is named, nothing is left behind."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from oracle_world import (
    NETWORK_ID,
    PROGRAM,
    Node,
    Requester,
    World,
    entry,
    refused,
    spec,
)

from nunet_dms.cardano.cip8 import sign_message
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.errors import RefusedError
from nunet_dms.oracle_http import LOGIN_DOMAIN
from nunet_dms.protocol.api import Done
from nunet_dms.protocol.job import Manifest, Resources
from nunet_dms.protocol.node import MissingBlobs
from nunet_dms.protocol.quote import Quote, signing_payload
from nunet_dms.protocol.submission import JobView


def test_a_request_signed_by_another_wallet_is_refused(
    world: World, requester: Requester, quote: Quote
) -> None:
    submission = requester.submission(quote)
    thief = PaymentKey.generate()
    payload = signing_payload(submission.request)
    signed = sign_message(thief, thief.address(NETWORK_ID), payload)
    with refused(world, "wrong_address"):
        requester.submit(
            replace(
                submission,
                cose_sign1=signed.cose_sign1.hex(),
                cose_key=signed.cose_key.hex(),
            )
        )


@pytest.mark.parametrize("domain", [b"", LOGIN_DOMAIN])
def test_a_signature_of_something_else_is_refused(
    world: World, requester: Requester, quote: Quote, domain: bytes
) -> None:
    submission = requester.submission(quote)
    payload = domain + submission.request.encode()
    signed = sign_message(requester.key, requester.address, payload)
    with refused(world, "wrong_payload"):
        requester.submit(replace(submission, cose_sign1=signed.cose_sign1.hex()))


@pytest.mark.parametrize("field", ["price", "deadline_slot", "provider_wallet", "nonce"])
def test_a_request_that_was_not_quoted_is_refused(
    world: World, requester: Requester, quote: Quote, field: str
) -> None:
    changed: dict[str, object] = {
        "price": 1,
        "deadline_slot": 5,
        "provider_wallet": requester.address.bech32,
        "nonce": "0" * 32,
    }
    request = replace(quote.request, **{field: changed[field]})  # type: ignore[arg-type]
    with refused(world, "request_mismatch"):
        requester.submit(requester.submission(replace(quote, request=request)))


def test_a_request_in_other_bytes_is_refused(
    world: World, requester: Requester, quote: Quote
) -> None:
    submission = requester.submission(quote)
    with refused(world, "request_mismatch"):
        requester.submit(replace(submission, request=submission.request + " "))


def test_an_expired_quote_is_refused(world: World, requester: Requester, quote: Quote) -> None:
    submission = requester.submission(quote)
    world.clock.now_s += 300
    with refused(world, "quote_expired"):
        requester.submit(submission)


def test_missing_inputs_are_refused(world: World, requester: Requester, node: Node) -> None:
    assert node
    quote = requester.quote()
    with refused(world, "inputs_missing"):
        requester.submit(requester.submission(quote))


def test_another_wallet_s_quote_and_job_are_unknown(
    world: World, requester: Requester, quote: Quote
) -> None:
    stranger = Requester(world, funded=False)
    with refused(world, "unknown_quote"):
        stranger.submit(requester.submission(quote))
    job = requester.submit(requester.submission(quote))
    for method, path in (("GET", ""), ("GET", "/results"), ("GET", "/receipt")):
        with refused(world, "unknown_job"):
            stranger.http.call(method, f"/v1/jobs/{job.job_id}{path}", None, JobView)
    with refused(world, "unknown_job"):
        stranger.cancel(job.job_id)
    with refused(world, "unknown_job"):
        stranger.log(job.job_id)
    blob = spec().inputs.files[0].sha256
    with refused(world, "unknown_blob"):
        stranger.http.call("GET", f"/v1/blobs/{blob}", None, Done)


UNSUPPORTED = {
    "$.spec.network": spec(network="egress"),
    "$.spec.resources.gpus": spec(resources=Resources(cpu_mhz=1000, ram_mb=500, disk_mb=1, gpus=1)),
    "$.spec.kind": spec(kind="service"),
}


@pytest.mark.parametrize("where", UNSUPPORTED)
def test_what_cannot_be_run_is_named(
    world: World, requester: Requester, node: Node, where: str
) -> None:
    assert node
    with refused(world, "unsupported", where=where):
        requester.quote(UNSUPPORTED[where])


def test_a_price_above_the_limit_is_refused(world: World, requester: Requester, node: Node) -> None:
    assert node
    with refused(world, "price_above_limit"):
        requester.quote(max_price=1)


def test_a_quote_for_another_wallet_is_refused(
    world: World, requester: Requester, node: Node
) -> None:
    assert node
    with refused(world, "foreign_requester"):
        requester.quote(requester=PaymentKey.generate().address(NETWORK_ID).bech32)


def test_nobody_holds_every_place(world: World, requester: Requester) -> None:
    Node(world, cpu_mhz=1_000_000, ram_mb=1_000_000).online()
    for _ in range(16):
        requester.quote()
    with refused(world, "too_many_quotes"):
        requester.quote()


def test_without_a_live_node_there_is_no_capacity(world: World, requester: Requester) -> None:
    with refused(world, "no_capacity"):
        requester.quote()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_blobs_that_were_not_asked_for_or_are_something_else_leave_nothing(
    world: World, requester: Requester, node: Node
) -> None:
    assert node
    quote = requester.quote()
    with refused(world, "not_granted"):
        requester.http.put_bytes(f"/v1/blobs/{digest(PROGRAM)}", PROGRAM)
    with refused(world, "not_quoted"):
        requester.upload(quote, manifest=Manifest(files=(entry("other", b"other"),)))
    path = f"/v1/quotes/{quote.quote_id}/inputs"
    requester.http.call("POST", path, spec().inputs, MissingBlobs)
    for content, code in (
        (PROGRAM[:-1], "size_mismatch"),
        (PROGRAM + b"x", "size_mismatch"),
        (PROGRAM[::-1], "hash_mismatch"),
        (PROGRAM * 100_000, "size_mismatch"),
    ):
        with refused(world, code):
            requester.http.put_bytes(f"/v1/blobs/{digest(PROGRAM)}", content)
    assert world.blob_files() == []


def test_a_hash_alone_gives_nobody_the_content(
    world: World, requester: Requester, node: Node
) -> None:
    assert node
    requester.upload(requester.quote())
    stranger = Requester(world, funded=False)
    quote = stranger.quote()
    missing = stranger.http.call(
        "POST", f"/v1/quotes/{quote.quote_id}/inputs", spec().inputs, MissingBlobs
    )
    assert missing.missing == (digest(PROGRAM),)


def test_a_blob_name_that_is_no_hash_is_malformed(world: World, requester: Requester) -> None:
    for name in ("ab", "..%2f..%2foracle.toml", "A" * 64):
        with pytest.raises(RefusedError) as caught:
            requester.http.put_bytes(f"/v1/blobs/{name}", b"x")
        assert caught.value.code in {"malformed", "not_found"}
    assert world.blob_files() == []
