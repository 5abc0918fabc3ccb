"""Offers: each rule that an offer can break refuses it by name; only a whole one is admitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.errors import MalformedError, VerificationError
from nunet_dms.node.admission import CLOCK_SKEW_S, verify_offer
from nunet_dms.protocol.job import Checkpoint, Manifest, Resources, Resume
from nunet_dms.protocol.keys import SigningKey
from nunet_dms.protocol.node import Offer
from nunet_dms.protocol.platform import Platform
from tests.unit.node.conftest import NOW_S, World

OTHER = PaymentKey.generate()
TICKET_CHANGES = {
    "ticket_id": ("9" * 32, None),
    "job_id": ("9" * 32, "wrong_request"),
    "network_magic": (1, "wrong_network"),
    "request_hash": ("9" * 64, "wrong_request"),
    "spec_hash": ("9" * 64, "wrong_spec"),
    "node_id": ("9" * 56, "foreign_ticket"),
    "requester": (OTHER.address(0).bech32, "wrong_requester"),
    "amount": (599_999, "underpaid"),
    "escrow_address": (OTHER.address(0).bech32, "wrong_escrow"),
    "issued_s": (NOW_S + CLOCK_SKEW_S + 1, "not_yet_valid"),
    "expires_s": (NOW_S - CLOCK_SKEW_S, "expired"),
}
REQUEST_CHANGES = {
    "network_magic": (1, "wrong_network"),
    "node_id": ("9" * 56, "foreign_request"),
    "node_key_hash": ("9" * 56, "foreign_request"),
    "provider_wallet": (OTHER.address(0).bech32, "foreign_wallet"),
    "oracle_key_hash": ("9" * 56, "wrong_oracle"),
    "token_policy": ("9" * 56, "wrong_token"),
    "token_name": ("99", "wrong_token"),
    "requester": (OTHER.address(0).bech32, "wrong_requester"),
    "price": (600_001, "underpaid"),
}


def refused(world: World, offer: Offer) -> str:
    with pytest.raises(VerificationError) as caught:
        verify_offer(offer, world.info, world.us, NOW_S)
    return caught.value.code


def test_a_whole_offer_is_admitted(world: World) -> None:
    job = verify_offer(world.offer(), world.info, world.us, NOW_S)
    assert (job.spec, job.request, job.ticket) == (world.spec, world.request, world.ticket)


@pytest.mark.parametrize("name", [name for name, (_, code) in TICKET_CHANGES.items() if code])
def test_a_ticket_with_another_field_is_refused_even_under_the_right_signature(
    world: World, name: str
) -> None:
    value, code = TICKET_CHANGES[name]
    offer = world.offer(ticket=replace(world.ticket, **{name: value}))
    assert refused(world, offer) == code


@pytest.mark.parametrize("name", list(TICKET_CHANGES))
def test_a_ticket_changed_after_signing_is_refused(world: World, name: str) -> None:
    good = world.offer()
    changed = world.offer(ticket=replace(world.ticket, **{name: TICKET_CHANGES[name][0]}))
    forged = replace(good.ticket, payload=changed.ticket.payload)
    assert refused(world, replace(good, ticket=forged)) == "bad_signature"


@pytest.mark.parametrize("name", list(REQUEST_CHANGES))
def test_a_request_that_is_not_about_us_is_refused(world: World, name: str) -> None:
    value, code = REQUEST_CHANGES[name]
    request = replace(world.request, **{name: value})
    assert refused(world, world.paid(world.spec, request)) == code


def test_a_ticket_of_another_oracle_is_refused(world: World) -> None:
    assert refused(world, world.offer(key=SigningKey.generate())) == "foreign_key"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"network": "egress"}, "$.network"),
        ({"kind": "service"}, "$.kind"),
        ({"resources": Resources(cpu_mhz=1, ram_mb=8, gpus=1)}, "$.resources.gpus"),
    ],
)
def test_what_this_node_cannot_do_is_refused_by_path(
    world: World, change: dict[str, object], where: str
) -> None:
    with pytest.raises(VerificationError, match="does not offer") as caught:
        verify_offer(world.paid(replace(world.spec, **change)), world.info, world.us, NOW_S)
    assert (caught.value.code, caught.value.where) == ("unsupported", where)


BEGUN = Platform(os_family="linux", architecture="x86_64", kernel="6.1.0", cpu_flags=("avx",))


@pytest.mark.parametrize(
    ("here", "why"),
    [
        (BEGUN, ""),
        (replace(BEGUN, os_family="wsl"), "begun on Linux, this node runs under WSL"),
        (replace(BEGUN, kernel="5.4"), "is older"),
        (replace(BEGUN, cpu_flags=()), "lacks avx"),
        (None, "not been looked at"),
    ],
)
def test_a_job_that_goes_on_is_taken_only_where_its_checkpoint_fits(
    world: World, here: Platform | None, why: str
) -> None:
    """The Oracle chose us by what we told it; we judge by what this machine is now."""
    resume = Resume(
        job_id="a" * 32, number=1, checkpoint="b" * 64, platform=BEGUN, files=Manifest()
    )
    spec = replace(world.spec, checkpoint=Checkpoint(folder="/ck", interval_s=60, resume=resume))
    offer = world.paid(spec)
    if not why:
        assert verify_offer(offer, world.info, world.us, NOW_S, here).spec == spec
        return
    with pytest.raises(VerificationError, match=why) as caught:
        verify_offer(offer, world.info, world.us, NOW_S, here)
    assert caught.value.code == "platform_mismatch"


def test_a_job_that_begins_anew_is_taken_before_the_machine_is_known(world: World) -> None:
    spec = replace(world.spec, checkpoint=Checkpoint(folder="/ck", interval_s=60))
    assert verify_offer(world.paid(spec), world.info, world.us, NOW_S).spec == spec


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("{", '{"privileged":true,', 1),
        lambda text: text.replace(":", ": ", 1),
        lambda text: text[:-1],
        lambda text: text.replace('"time_limit_s":60', '"time_limit_s":60.0'),
    ],
)
def test_a_spec_that_is_not_exactly_canonical_is_malformed(
    world: World, spoil: Callable[[str], str]
) -> None:
    offer = world.offer()
    with pytest.raises(MalformedError):
        verify_offer(replace(offer, spec=spoil(offer.spec)), world.info, world.us, NOW_S)
