"""Logins and sessions that do not hold: the rule is named, nothing is left behind."""

from __future__ import annotations

import base64
from dataclasses import replace

import requests
from oracle_world import (
    NETWORK_ID,
    Node,
    Requester,
    World,
    refused,
)

from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.oracle_http import LOGIN_DOMAIN, WalletProof
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Done, ErrorBody
from nunet_dms.protocol.keys import SigningKey
from nunet_dms.protocol.login import (
    Challenge,
    ChallengeBody,
    ChallengeRequest,
    NodeLogin,
    Session,
    SessionBody,
)
from nunet_dms.protocol.node import Poll
from nunet_dms.protocol.signing import Domain, seal
from nunet_dms.protocol.ticket import open_ticket, seal_ticket

TIMEOUT_S = 20


def get_jobs(world: World, token: str | None) -> requests.Response:
    headers = {} if token is None else {"Authorization": token}
    return requests.get(f"{world.url}/v1/jobs", headers=headers, timeout=TIMEOUT_S)


def as_token(sealed: object) -> str:
    return "Bearer " + base64.urlsafe_b64encode(strict.encode(sealed)).decode()


def session_body(world: World, requester: Requester, **changes: object) -> SessionBody:
    body = SessionBody(
        subject=requester.address.bech32, kind="wallet", expires_s=int(world.clock()) + 60
    )
    return replace(body, **changes)  # type: ignore[arg-type]


def test_tokens_that_are_no_sessions_of_ours_are_refused(
    world: World, requester: Requester
) -> None:
    ours, theirs = world.oracle.keys.ticket, SigningKey.generate()
    body = session_body(world, requester)
    assert get_jobs(world, as_token(seal(body, Domain.SESSION, ours))).status_code == 200
    challenge = ChallengeBody(
        subject=body.subject, nonce="0" * 32, expires_s=int(world.clock()) + 60
    )
    expired = session_body(world, requester, expires_s=int(world.clock()))
    for token in (
        None,
        "",
        "Basic abc",
        "Bearer",
        "Bearer x",
        "Bearer " + "A" * 5000,
        as_token(seal(body, Domain.SESSION, theirs)),
        as_token(seal(body, Domain.CHALLENGE, ours)),
        as_token(seal(challenge, Domain.CHALLENGE, ours)),
        as_token(seal(challenge, Domain.SESSION, ours)),
        as_token(seal(expired, Domain.SESSION, ours)),
    ):
        answer = get_jobs(world, token)
        assert answer.status_code == 401, token
        assert strict.decode(ErrorBody, answer.content).code == "not_authenticated"


def test_a_ticket_is_no_session(world: World, requester: Requester, node: Node) -> None:
    requester.order()
    world.step()
    (offer,) = node.poll().offers
    ticket = open_ticket(offer.ticket, world.oracle.keys.ticket.public)
    sealed = seal_ticket(ticket, world.oracle.keys.ticket)
    assert get_jobs(world, as_token(sealed)).status_code == 401


def test_a_node_is_no_wallet_and_a_wallet_no_node(
    world: World, requester: Requester, node: Node
) -> None:
    with refused(world, "not_a_wallet"):
        node.http.call("GET", "/v1/jobs", None, Done)
    with refused(world, "not_a_node"):
        requester.http.call("POST", f"/v1/nodes/{node.node_id}/poll", Poll(), Done)


def ask(world: World, node: Node) -> str:
    http = world.client(None)
    request = ChallengeRequest(subject=node.node_id)
    return http.call("POST", "/v1/challenges", request, Challenge).challenge


def test_logins_that_do_not_hold_are_refused(world: World, node: Node) -> None:
    http = world.client(None)
    other = SigningKey.generate()

    def login(challenge: str, key: SigningKey, message: bytes, public: str = "") -> None:
        body = NodeLogin(
            challenge=challenge, public_key=public or key.public, signature=key.sign(message)
        )
        http.call("POST", "/v1/sessions", body, Session)

    asked = ask(world, node)
    login(asked, node.key, LOGIN_DOMAIN + asked.encode())
    with refused(world, "bad_login"):  # another key
        login(asked, other, LOGIN_DOMAIN + asked.encode())
    with refused(world, "bad_login"):  # another key's signature under the node's name
        login(asked, other, LOGIN_DOMAIN + asked.encode(), node.key.public)
    with refused(world, "bad_login"):  # without the domain
        login(asked, node.key, asked.encode())
    body = ChallengeBody(subject=node.node_id, nonce="0" * 32, expires_s=int(world.clock()) + 60)
    foreign = strict.encode(seal(body, Domain.CHALLENGE, other)).decode()
    with refused(world, "bad_login"):  # another Oracle's challenge
        login(foreign, node.key, LOGIN_DOMAIN + foreign.encode())
    world.clock.now_s += 60
    with refused(world, "bad_login"):  # too late
        login(asked, node.key, LOGIN_DOMAIN + asked.encode())


def test_a_wallet_logs_in_for_itself_only(world: World, requester: Requester) -> None:
    victim = PaymentKey.generate().address(NETWORK_ID).bech32
    http = world.client(None)
    asked = http.call(
        "POST", "/v1/challenges", ChallengeRequest(subject=victim), Challenge
    ).challenge
    proof = WalletProof(requester.key, requester.address).login(asked)
    with refused(world, "bad_login"):
        http.call("POST", "/v1/sessions", proof, Session)
    with refused(world, "bad_login"):
        http.call("POST", "/v1/sessions", replace(proof, address=victim), Session)
