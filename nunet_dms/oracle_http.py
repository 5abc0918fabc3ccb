"""What nodes and requesters use to talk to an Oracle: typed calls, bytes, and logins.

Whatever goes wrong on the way becomes one of two errors: OracleUnreachableError (it may work
later) or RefusedError (the Oracle understood and said no; `code` says why). For a long poll give
`timeout_s` = wait_s + LONG_POLL_MARGIN_S. The calls are listed in protocol/api.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import BinaryIO, TypeVar

from nunet_dms.errors import MalformedError, VerificationError
from nunet_dms.http_exchange import READ_CHUNK_BYTES
from nunet_dms.oracle_proof import LOGIN_DOMAIN, NodeProof, Proof, WalletProof
from nunet_dms.oracle_transport import (
    READ_TIMEOUT_S,
    Answer,
    Call,
    HttpRefusedError,
    Transport,
)
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import LOG_LENGTH_HEADER, Done
from nunet_dms.protocol.login import Challenge, ChallengeBody, ChallengeRequest, Session
from nunet_dms.protocol.node import LogLength
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed

__all__ = [
    "LOGIN_DOMAIN",
    "LONG_POLL_MARGIN_S",
    "READ_TIMEOUT_S",
    "NodeProof",
    "OracleHttp",
    "Proof",
    "WalletProof",
]

LONG_POLL_MARGIN_S = 15
"""What a long poll may take beyond the wait that it asked for."""
RENEW_BEFORE_S = 60
"""A session is renewed that long before it expires."""
SESSION_MIN_S = 30
"""A new session is used that long, however far this machine's clock is off; a 401 ends it."""
RAW = "application/octet-stream"

T = TypeVar("T")


class OracleHttp:
    """A client of one Oracle; threads may share it.

    `proof` says who we are; without it every call is anonymous. `ticket_key` is the pinned key:
    with it a login answers only a challenge that this key sealed. Raises UsageError for a URL
    that is neither https nor plain http to this machine.
    """

    def __init__(
        self,
        base_url: str,
        proof: Proof | None = None,
        *,
        ticket_key: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._transport = Transport(base_url)
        self.base_url = self._transport.base_url
        self._proof = proof
        self._ticket_key = ticket_key
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = 0.0

    def __enter__(self) -> OracleHttp:
        """Return the client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection."""
        self.close()

    def close(self) -> None:
        """Close every connection; a later call would open new ones."""
        self._transport.close()

    def call(
        self,
        method: str,
        path: str,
        body: object | None,
        answer: type[T],
        *,
        timeout_s: float = READ_TIMEOUT_S,
        public: bool = False,
    ) -> T:
        """Send a dataclass (or nothing) as JSON and return the answer as an `answer`.

        `public` calls carry no session. Raises OracleUnreachableError (an answer that is no
        `answer` counts as none) and RefusedError.
        """
        content = None if body is None else strict.encode(body)
        call = Call(method, path, content, timeout_s=timeout_s)
        with self._answered(call, public=public) as found:
            return self._decoded(answer, found)

    def put_bytes(
        self, path: str, content: bytes | BinaryIO, *, timeout_s: float = READ_TIMEOUT_S
    ) -> Done:
        """Upload raw bytes, or a file from its present position; raises as `call`."""
        return self.put(path, content, Done, timeout_s=timeout_s)

    def put(
        self,
        path: str,
        content: bytes | BinaryIO,
        answer: type[T],
        *,
        timeout_s: float = READ_TIMEOUT_S,
        public: bool = False,
    ) -> T:
        """Upload as `put_bytes` where the Oracle answers with an `answer`; raises as `call`."""
        call = Call("PUT", path, content, RAW, timeout_s)
        with self._answered(call, public=public) as found:
            return self._decoded(answer, found)

    def put_log(self, job_id: str, offset: int, chunk: bytes) -> int:
        """Append to a job's log and return how many bytes of it the Oracle now holds.

        When the offset is not where the log ends, nothing is appended and the Oracle's length is
        returned all the same: go on from there. Raises as `call`.
        """
        path = f"/v1/jobs/{job_id}/log?offset={offset}"
        try:
            with self._answered(Call("PUT", path, chunk, RAW)) as found:
                return self._decoded(LogLength, found).length
        except HttpRefusedError as refused:
            length = refused.headers.get(LOG_LENGTH_HEADER, "")
            if refused.code != "log_offset" or not (length.isascii() and length.isdigit()):
                raise
            return int(length[:20])

    def get_bytes(
        self, path: str, *, to: BinaryIO, limit: int, timeout_s: float = READ_TIMEOUT_S
    ) -> Mapping[str, str]:
        """Write the raw answer to `to`, at most `limit` bytes, and return its headers.

        Raises as `call`, a part being written; and OSError when `to` cannot be written.
        """
        call = Call("GET", path, timeout_s=timeout_s, limit=limit)
        with self._answered(call) as found:
            to.writelines(found.pieces)
            return found.headers

    @contextmanager
    def reading(
        self,
        path: str,
        *,
        limit: int,
        timeout_s: float = READ_TIMEOUT_S,
        piece_bytes: int = READ_CHUNK_BYTES,
        public: bool = False,
    ) -> Iterator[Iterator[bytes]]:
        """Give the raw answer piece by piece as it comes; whoever leaves early hangs up.

        Raises as `call`, also from within the pieces; `limit` is of the answer's bytes.
        """
        call = Call("GET", path, timeout_s=timeout_s, limit=limit, piece_bytes=piece_bytes)
        with self._answered(call, public=public) as found:
            yield found.pieces

    @contextmanager
    def _answered(self, call: Call, *, public: bool = False) -> Iterator[Answer]:
        """Ask with a session where one is due; one that is refused is renewed once."""
        token = "" if public or self._proof is None else self._session_token(self._proof)
        start = None if isinstance(call.content, (bytes, type(None))) else call.content.tell()
        retried = False
        while True:
            try:
                with self._transport.answered(call, token) as found:
                    yield found
                    return
            except HttpRefusedError as refused:
                if refused.status != 401 or retried or not token or self._proof is None:
                    raise
            retried = True
            self._forget(token)
            token = self._session_token(self._proof)
            if start is not None and not isinstance(call.content, (bytes, type(None))):
                call.content.seek(start)

    def _decoded(self, answer: type[T], found: Answer) -> T:
        try:
            return strict.decode(answer, b"".join(found.pieces))
        except MalformedError as error:
            raise self._transport.unreachable(f"its answer makes no sense: {error}") from error

    def _session_token(self, proof: Proof) -> str:
        """Return the session's token, logging in when there is none or it is about to end."""
        with self._lock:
            if self._token and self._clock() < self._renew_at:
                return self._token
        wanted = ChallengeRequest(subject=proof.subject)
        asked = self.call("POST", "/v1/challenges", wanted, Challenge, public=True).challenge
        self._check_challenge(asked, proof.subject)
        session = self.call("POST", "/v1/sessions", proof.login(asked), Session, public=True)
        with self._lock:
            self._token = session.token
            now = self._clock()
            self._renew_at = max(session.expires_s - RENEW_BEFORE_S, now + SESSION_MIN_S)
        return session.token

    def _check_challenge(self, challenge: str, subject: str) -> None:
        """Refuse to sign what another Oracle may have asked: one could log in there as us."""
        if not self._ticket_key:
            return
        sealed = strict.decode(Sealed, challenge, at="$challenge")
        body = open_sealed(sealed, ChallengeBody, Domain.CHALLENGE, self._ticket_key)
        if body.subject != subject:
            raise VerificationError(
                "foreign_challenge", "cannot log in: the challenge is for somebody else"
            )

    def _forget(self, token: str) -> None:
        with self._lock:
            if self._token == token:
                self._token = ""
