"""Challenges, logins and sessions; all stateless, sealed by the ticket key.

A challenge and a session token are signed under domains of their own, so that neither passes for
the other, nor for a ticket.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass
from typing import Literal

from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.cip8 import SignedMessage, verify_message
from nunet_dms.errors import MalformedError, RefusedError, VerificationError
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle_proof import LOGIN_DOMAIN
from nunet_dms.protocol import strict
from nunet_dms.protocol.keys import is_signed_by, node_id_of
from nunet_dms.protocol.login import (
    Challenge,
    ChallengeBody,
    ChallengeRequest,
    NodeLogin,
    Session,
    SessionBody,
    WalletLogin,
)
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed, seal

CHALLENGE_LIFE_S = 60
SESSION_LIFE_S = 3600
AUTHORIZATION_MAX_CHARS = 4200
"""`Bearer ` and a token of at most 4096 characters."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a node by its id, or a wallet by its address."""

    subject: str
    kind: Literal["node", "wallet"]


def challenge(oracle: Oracle, request: ChallengeRequest) -> Challenge:
    """Return something fresh for the subject to sign."""
    body = ChallengeBody(
        subject=request.subject,
        nonce=secrets.token_hex(16),
        expires_s=int(oracle.clock()) + CHALLENGE_LIFE_S,
    )
    sealed = seal(body, Domain.CHALLENGE, oracle.keys.ticket)
    return Challenge(challenge=strict.encode(sealed).decode())


def login(oracle: Oracle, answer: NodeLogin | WalletLogin) -> Session:
    """Return a session for a challenge that its subject signed; raises RefusedError `bad_login`."""
    body = _open_challenge(oracle, answer.challenge)
    signed = LOGIN_DOMAIN + answer.challenge.encode()
    if isinstance(answer, NodeLogin):
        if node_id_of(answer.public_key) != body.subject:
            raise _bad("the key is not this node's")
        if not is_signed_by(answer.public_key, signed, answer.signature):
            raise _bad("the signature does not hold")
    else:
        _check_wallet(oracle, answer, body.subject, signed)
    expires_s = int(oracle.clock()) + SESSION_LIFE_S
    token = SessionBody(subject=body.subject, kind=answer.kind, expires_s=expires_s)
    sealed = seal(token, Domain.SESSION, oracle.keys.ticket)
    text = base64.urlsafe_b64encode(strict.encode(sealed)).decode()
    return Session(token=text, expires_s=expires_s)


def caller(oracle: Oracle, authorization: str) -> Caller:
    """Return who an `Authorization` header names; raises RefusedError `not_authenticated`."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token or len(authorization) > AUTHORIZATION_MAX_CHARS:
        raise _not_authenticated("there is no session")
    try:
        sealed = strict.decode(Sealed, base64.urlsafe_b64decode(token.encode("ascii")))
        body = open_sealed(sealed, SessionBody, Domain.SESSION, oracle.keys.ticket.public)
    except (VerificationError, binascii.Error, ValueError):
        raise _not_authenticated("the session is not one of ours") from None
    if body.expires_s <= oracle.clock():
        raise _not_authenticated("the session has expired")
    return Caller(body.subject, body.kind)


def node_of(found: Caller) -> str:
    """Return the caller's node id; raises RefusedError `not_a_node` for a wallet."""
    if found.kind != "node":
        raise RefusedError("not_a_node", "cannot do this: it is a node's call")
    return found.subject


def wallet_of(found: Caller) -> str:
    """Return the caller's address; raises RefusedError `not_a_wallet` for a node."""
    if found.kind != "wallet":
        raise RefusedError("not_a_wallet", "cannot do this: it is a requester's call")
    return found.subject


def _open_challenge(oracle: Oracle, text: str) -> ChallengeBody:
    try:
        sealed = strict.decode(Sealed, text, at="$.challenge")
        body = open_sealed(sealed, ChallengeBody, Domain.CHALLENGE, oracle.keys.ticket.public)
    except VerificationError as error:
        raise _bad(f"the challenge is not one of ours ({error.code})") from error
    if body.expires_s <= oracle.clock():
        raise _bad("the challenge has expired")
    return body


def _check_wallet(oracle: Oracle, answer: WalletLogin, subject: str, signed: bytes) -> None:
    if answer.address != subject:
        raise _bad("the challenge was for another address")
    address = parse_address(answer.address)
    if address.bech32 != answer.address:
        raise MalformedError("cannot log in: the address is not written plainly", where="$.address")
    if address.network_id != oracle.network.network_id:
        raise RefusedError(
            "wrong_network", f"cannot log in: the address is not of {oracle.network.name}"
        )
    message = SignedMessage(bytes.fromhex(answer.cose_sign1), bytes.fromhex(answer.cose_key))
    try:
        payload = verify_message(message, address)
    except VerificationError as error:
        raise _bad(str(error)) from error
    if payload != signed:
        raise _bad("the wallet signed something else")


def _bad(why: str) -> RefusedError:
    return RefusedError("bad_login", f"cannot log in: {why}")


def _not_authenticated(why: str) -> RefusedError:
    return RefusedError("not_authenticated", f"cannot answer: {why}", hint="log in")
