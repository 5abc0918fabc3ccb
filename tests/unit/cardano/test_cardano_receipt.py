"""A receipt: what holds, and which link is named when one thing of it is changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.cardano.cbor import decode, encode
from nunet_dms.cardano.receipt import LinkState, Verification, verify_receipt
from nunet_dms.cardano.receipt_verdict import NO_REPORT
from nunet_dms.cardano.signing import sign
from nunet_dms.cardano.transaction import read_transaction
from nunet_dms.errors import MalformedError
from nunet_dms.protocol import strict
from nunet_dms.protocol.dispute import Objection, SignedObjection
from nunet_dms.protocol.receipt import FIELDS, START, LinkKind, Receipt, chain, linked
from nunet_dms.protocol.report import Reason, Report, Verdict
from nunet_dms.protocol.signing import Domain, Sealed, seal
from nunet_dms.protocol.ticket import Ticket
from tests.unit.receipt_world import (
    ESCROW,
    FORGER,
    LOST,
    NODE,
    NODE_SETTLEMENT,
    NOT_OFFERED,
    NOT_TAKEN,
    ORACLE,
    PAID,
    PRICE,
    REQUESTER,
    REVISED,
    STORIES,
    STRANGER,
    Story,
    receipt_of,
    sealed_by,
)

Path = tuple[str | int, ...]

SIGNED_TEXTS = {"payload", "text"}
"""Fields that are JSON themselves, as it was signed."""
ON_THE_SEAL_ALONE = {("settled_height",)}
"""What no file can prove: the height at which the settlement was found."""


def verify(receipt: Receipt) -> Verification:
    return verify_receipt(sealed_by(receipt), ORACLE.public)


def first_broken(found: Verification) -> str | None:
    return found.first_broken.link if found.first_broken else None


def plain(story: Story = PAID) -> dict[str, Any]:
    """Return a receipt's JSON."""
    return json.loads(strict.encode(receipt_of(story)))


def leaves(tree: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the path of everything in JSON that is no object or list, in signed texts too."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for name, value in items:
        if isinstance(value, (dict, list)):
            yield from leaves(value, (*at, name))
            continue
        yield (*at, name)
        if name in SIGNED_TEXTS:
            yield from leaves(json.loads(value), (*at, name))


def other(value: Any) -> Any:
    """Return another value of the same kind, which passes for the same at a glance."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case None:
            return 1
        case "":
            return "x"
        case _:
            return value[:-1] + ("0" if value[-1] != "0" else "1")


def with_other(tree: Any, path: Path) -> Any:
    """Return JSON with another value at a path, everything else as it was."""
    name, *rest = path
    tree = copy.copy(tree)
    if not rest:
        tree[name] = other(tree[name])
    elif isinstance(tree[name], str):
        tree[name] = strict.encode(with_other(json.loads(tree[name]), tuple(rest))).decode()
    else:
        tree[name] = with_other(tree[name], tuple(rest))
    return tree


def link_of(path: Path) -> str:
    """Return the link in which a change at this path is to be found."""
    name = path[0]
    if name == "job_id":
        return "request"
    if name == "links":
        return list(LinkKind)[int(path[1])].value
    return next((kind.value for kind, fields in FIELDS.items() if name in fields), "seal")


def paths(story: Story) -> list[Path]:
    return list(leaves(plain(story)))


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_each_way_a_job_can_end_has_a_receipt_that_holds(story: Story) -> None:
    found = verify(receipt_of(story))
    assert first_broken(found) is None
    assert [each.link for each in found.links] == [*[kind.value for kind in LinkKind], "seal"]


@pytest.mark.parametrize(
    ("story", "absent"),
    [
        (PAID, {"first_verdict": "was not revised", "objections": "nobody objected"}),
        (REVISED, {}),
        (NOT_OFFERED, {"ticket": "before it was offered (cancelled)", "report": "before it ran"}),
        (NOT_TAKEN, {"report": "its node did not take it (not_accepted)"}),
        (LOST, {"report": "its node did not end it (node_fault)"}),
    ],
)
def test_what_is_absent_is_said_to_be_and_why(story: Story, absent: dict[str, str]) -> None:
    found = {
        each.link: each.text
        for each in verify(receipt_of(story)).links
        if each.state is LinkState.ABSENT
    }
    always = {"first_verdict", "objections"} if story is not REVISED else set()
    assert set(found) == set(absent) | always
    for link, words in absent.items():
        assert words in found[link]


@pytest.mark.parametrize("path", paths(REVISED), ids=lambda path: ".".join(map(str, path)))
def test_any_change_is_found_at_its_own_link(path: Path) -> None:
    sealed = sealed_by(receipt_of(REVISED))
    changed = replace(
        sealed, payload=strict.encode(with_other(json.loads(sealed.payload), path)).decode()
    )
    assert first_broken(verify_receipt(changed, ORACLE.public)) == link_of(path)
    assert first_broken(verify_receipt(changed)) is not None


@pytest.mark.parametrize("field", ["payload", "public_key", "signature"])
def test_the_seal_s_own_parts_cannot_be_changed(field: str) -> None:
    sealed = sealed_by(receipt_of())
    changed = replace(sealed, **{field: other(getattr(sealed, field))})
    assert first_broken(verify_receipt(changed, ORACLE.public)) == "seal"
    assert first_broken(verify_receipt(changed)) is not None


def test_a_changed_part_is_found_even_when_chain_and_seal_are_made_to_fit() -> None:
    """The Oracle itself cannot seal another story than the one that was signed."""
    passed = set()
    for path in paths(REVISED):
        if path[0] in {"links", "head"}:
            continue
        try:
            receipt = strict.structure(Receipt, with_other(plain(REVISED), path))
        except MalformedError:
            continue  # and could not even be read
        broken = first_broken(verify(linked(receipt)))
        if broken is None:
            passed.add(path)
        else:
            assert broken == ("spec" if path == ("request", "spec_hash") else link_of(path)), path
    assert passed == ON_THE_SEAL_ALONE


def test_a_request_that_nobody_signed_is_found_even_when_all_hashes_fit() -> None:
    for path in leaves(plain()["request"]):
        if path == ("version",):
            continue
        receipt = strict.structure(Receipt, with_other(plain(), ("request", *path)))
        forged = linked(replace(receipt, job_id=receipt.request.job_id))
        wanted = {"spec"} if path == ("spec_hash",) else {"request", "signature"}
        assert first_broken(verify(forged)) in wanted, path


def signed_again(sealed: Sealed, kind: type[Any], domain: Domain, **changes: object) -> Sealed:
    """Return what a part's own signer would have signed, had it said something else."""
    value = replace(strict.decode(kind, sealed.payload), **changes)
    return seal(value, domain, NODE if domain is Domain.REPORT else ORACLE)


NOT_FOUND = None
"""The signer's own word, from which nothing is reckoned."""


@pytest.mark.parametrize(
    ("field", "value", "link"),
    [
        ("ticket_id", "00" * 16, "report"),
        ("job_id", "00" * 16, "ticket"),
        ("network_magic", 1, "ticket"),
        ("request_hash", "00" * 32, "ticket"),
        ("spec_hash", "00" * 32, "ticket"),
        ("node_id", "00" * 28, "ticket"),
        ("requester", "addr_test1" + "q" * 30, "ticket"),
        ("payment_tx_id", "00" * 32, "ticket"),
        ("payment_output_index", 1, "ticket"),
        ("amount", 1, "ticket"),
        ("escrow_address", "addr_test1" + "q" * 30, "ticket"),
        ("block_hash", "00" * 32, NOT_FOUND),
        ("block_height", 8, NOT_FOUND),
        ("confirmations", 2, NOT_FOUND),
        ("issued_s", 1, NOT_FOUND),
        ("expires_s", 1, NOT_FOUND),
    ],
)
def test_a_ticket_for_something_else(field: str, value: object, link: str | None) -> None:
    receipt = receipt_of()
    assert receipt.ticket is not None
    ticket = signed_again(receipt.ticket, Ticket, Domain.TICKET, **{field: value})
    assert first_broken(verify(linked(replace(receipt, ticket=ticket)))) == link


@pytest.mark.parametrize(
    ("field", "value", "link"),
    [
        ("job_id", "00" * 16, "report"),
        ("ticket_id", "00" * 16, "report"),
        ("node_id", "00" * 28, "report"),
        ("reason", Reason.FAILED, "verdict"),
        ("ran_ms", 49_999, "verdict"),
        ("ran_ms", 60_000, NOT_FOUND),  # the Oracle's clock may have counted less
        ("log_sha256", "00" * 32, NOT_FOUND),
        ("results_hash", "00" * 32, NOT_FOUND),
        ("cpu_ms", None, NOT_FOUND),
    ],
)
def test_a_report_that_says_something_else(field: str, value: object, link: str | None) -> None:
    receipt = receipt_of()
    assert receipt.report is not None
    report = signed_again(receipt.report, Report, Domain.REPORT, **{field: value})
    verdict = signed_again(receipt.verdict, Verdict, Domain.VERDICT, report_hash=report.digest)
    changed = replace(receipt, report=report, verdict=verdict)
    assert first_broken(verify(linked(changed))) == link


@pytest.mark.parametrize(
    "changes",
    [
        {"job_id": "00" * 16},
        {"report_hash": "00" * 32},
        {"report_hash": None},
        {"reason": Reason.FAILED},
        {"reason": Reason.NODE_FAULT, "provider_amount": 0, "requester_amount": PRICE},
        {"price": PRICE + 1},
        {"price": PRICE + 1, "requester_amount": PRICE - 500_000},
        {"ran_ms": 50_001},
        {"ran_ms": 60_000, "provider_amount": 600_001, "requester_amount": 400_000},
        {"provider_amount": 500_002},
        {"provider_amount": 500_002, "requester_amount": 499_999},
        {"provider_amount": 0, "requester_amount": PRICE},
        {"revises": "00" * 32},
        {"revised_percent": 50},
        {"revised_why": "it pleased me"},
    ],
    ids=str,
)
def test_a_verdict_that_does_not_follow(changes: dict[str, object]) -> None:
    receipt = receipt_of()
    verdict = signed_again(receipt.verdict, Verdict, Domain.VERDICT, **changes)
    assert first_broken(verify(linked(replace(receipt, verdict=verdict)))) == "verdict"


@pytest.mark.parametrize(
    ("changes", "link"),
    [
        ({"revises": "00" * 32}, "verdict"),
        ({"revises": None}, "verdict"),
        ({"revised_percent": None}, "verdict"),
        ({"revised_percent": 34}, "verdict"),
        ({"report_hash": "00" * 32}, "verdict"),
        ({"issued_s": 1}, "verdict"),
        ({"provider_amount": 330_000, "requester_amount": 670_001}, "verdict"),
        ({"revised_percent": 0, "provider_amount": 0, "requester_amount": PRICE}, "settlement"),
        ({"revised_why": "another word"}, NOT_FOUND),
    ],
    ids=str,
)
def test_a_revision_that_does_not_follow(changes: dict[str, object], link: str | None) -> None:
    receipt = receipt_of(REVISED)
    verdict = signed_again(receipt.verdict, Verdict, Domain.VERDICT, **changes)
    assert first_broken(verify(linked(replace(receipt, verdict=verdict)))) == link


def test_a_verdict_is_revised_once() -> None:
    receipt = receipt_of(REVISED)
    again = signed_again(receipt.verdict, Verdict, Domain.VERDICT, revises=receipt.verdict.digest)
    twice = linked(replace(receipt, first_verdict=receipt.verdict, verdict=again, objections=()))
    assert first_broken(verify(twice)) == "first_verdict"


def test_an_objection_is_its_party_s_own_and_to_the_first_verdict() -> None:
    receipt = receipt_of(REVISED)
    by_node, by_requester = receipt.objections
    assert by_node.node is not None
    assert by_requester.requester is not None
    text = by_requester.requester.text.replace("empty", "full")
    elsewhere = replace(strict.decode(Objection, by_node.node.payload), verdict_hash="00" * 32)
    disguised = replace(strict.decode(Objection, by_node.node.payload), party="requester")
    for wrong in (
        SignedObjection(),
        SignedObjection(node=by_node.node, requester=by_requester.requester),
        SignedObjection(node=seal(elsewhere, Domain.OBJECTION, NODE)),
        SignedObjection(node=seal(disguised, Domain.OBJECTION, NODE)),
        SignedObjection(node=replace(by_node.node, public_key=FORGER.public)),
        SignedObjection(requester=replace(by_requester.requester, text=text)),
    ):
        changed = linked(replace(receipt, objections=(by_node, wrong)))
        assert first_broken(verify(changed)) == "objections", wrong


@pytest.mark.parametrize("reason", [each for each in Reason if each is not Reason.SUCCEEDED])
def test_a_report_may_not_be_cut_out(reason: Reason) -> None:
    receipt = receipt_of()
    for report_hash in (None, receipt.report.digest if receipt.report else ""):
        verdict = signed_again(receipt.verdict, Verdict, Domain.VERDICT, report_hash=report_hash)
        assert first_broken(verify(linked(replace(receipt, report=None, verdict=verdict)))) == (
            "report"  # it says that the job succeeded
        )
        guilty = signed_again(
            receipt.verdict, Verdict, Domain.VERDICT, report_hash=report_hash, reason=reason
        )
        # A job that did not run and is paid all the same, or one of which it cannot be said.
        wanted = "verdict" if report_hash is None and reason in NO_REPORT else "report"
        assert first_broken(verify(linked(replace(receipt, report=None, verdict=guilty)))) == wanted


def test_a_job_that_was_reported_had_a_ticket() -> None:
    assert first_broken(verify(linked(replace(receipt_of(), ticket=None)))) == "ticket"
    assert first_broken(verify(linked(replace(receipt_of(LOST), ticket=None)))) == "ticket"


def fields_of(receipt: Receipt, kind: LinkKind) -> dict[str, Any]:
    return {name: getattr(receipt, name) for name in FIELDS[kind]}


@pytest.mark.parametrize("kind", [each for each in LinkKind if each is not LinkKind.SPEC])
def test_parts_of_two_receipts_cannot_be_exchanged(kind: LinkKind) -> None:
    ours, theirs = receipt_of(REVISED), receipt_of(replace(REVISED, nonce="99" * 16))
    mixed = replace(ours, **fields_of(theirs, kind))
    assert first_broken(verify(mixed)) == kind.value  # the chain as it was
    assert first_broken(verify(linked(mixed))) == kind.value  # and made to fit, sealed anew


def test_another_job_s_spec_is_found_at_the_spec() -> None:
    spec = replace(PAID.spec, command=("false",))
    mixed = replace(receipt_of(), spec=spec)
    assert first_broken(verify(mixed)) == "spec"
    assert first_broken(verify(linked(mixed))) == "spec"


@pytest.mark.parametrize("place", range(len(LinkKind)))
def test_a_link_cannot_be_cut_out_or_stand_elsewhere(place: int) -> None:
    receipt = receipt_of()
    links = receipt.links
    cut = replace(receipt, links=links[:place] + links[place + 1 :])
    assert first_broken(verify(cut)) == list(LinkKind)[place].value
    after = (place + 1) % len(links)
    turned = list(links)
    turned[place], turned[after] = turned[after], turned[place]
    assert first_broken(verify(replace(receipt, links=tuple(turned)))) == (
        list(LinkKind)[min(place, after)].value
    )


def test_a_chain_ends_at_its_head() -> None:
    receipt = receipt_of()
    longer = replace(receipt, links=(*receipt.links, receipt.links[-1]))
    assert first_broken(verify(longer)) == "seal"
    assert first_broken(verify(replace(receipt, head=None))) == "seal"
    assert first_broken(verify(replace(receipt, head=START))) == "seal"
    assert first_broken(verify(replace(receipt, links=(), head=None))) == "spec"


def test_a_chain_is_of_the_domain_the_kind_and_all_that_came_before() -> None:
    links = chain(receipt_of())
    assert links[0].previous == START
    assert [link.previous for link in links[1:]] == [link.hash for link in links[:-1]]
    assert len({link.hash for link in links}) == len(LinkKind)
    assert replace(links[3], kind=LinkKind.TICKET).hash != links[3].hash
    request = receipt_of().request
    assert links[1].part == request.digest  # the same digests by which parts name each other


def test_a_settlement_needs_two_of_the_three_parties() -> None:
    receipt = receipt_of()
    raw = read_transaction(bytes.fromhex(receipt.settlement_tx))
    body = bytes.fromhex(receipt.settlement_tx)
    unsigned = without_witnesses(body)
    for signers, holds in (
        ((ESCROW, NODE_SETTLEMENT), True),
        ((REQUESTER, ESCROW), True),
        ((REQUESTER, NODE_SETTLEMENT), True),
        ((ESCROW,), False),
        ((ESCROW, STRANGER), False),
        ((), False),
    ):
        signed = unsigned
        for key in signers:
            signed = sign(signed, key)
        found = verify(linked(replace(receipt, settlement_tx=signed.hex())))
        assert first_broken(found) == (None if holds else "settlement")
        assert raw.tx_id == read_transaction(signed).tx_id


def without_witnesses(raw: bytes) -> bytes:
    body, witnesses, valid, auxiliary = decode(raw)  # type: ignore[misc]
    del witnesses[0]
    return encode([body, witnesses, valid, auxiliary])


def test_another_oracle_can_seal_a_story_of_its_own_only_with_its_own_key() -> None:
    forged = sealed_by(receipt_of(), FORGER)
    assert first_broken(verify_receipt(forged, ORACLE.public)) == "seal"
    assert first_broken(verify_receipt(forged)) == "ticket"  # signed by the true Oracle
    assert verify_receipt(forged).oracle_key == FORGER.public


def test_a_network_that_we_do_not_know_is_judged_by_its_addresses() -> None:
    assert first_broken(verify(receipt_of(replace(PAID, magic=7)))) is None
    on_mainnet = receipt_of(replace(PAID, magic=764824073))  # with wallets of a test network
    assert first_broken(verify(on_mainnet)) == "payment"


@given(st.data())
def test_nothing_else_than_a_broken_link_comes_of_garbage(data: st.DataObject) -> None:
    sealed = sealed_by(receipt_of(REVISED))
    text = sealed.payload
    start = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 40))
    put = data.draw(st.text(max_size=40))
    changed = replace(sealed, payload=text[:start] + put + text[start + length :])
    found = verify_receipt(changed, ORACLE.public)
    assert (found.first_broken is None) == (changed.payload == text)
