"""The calls that a node makes to the Oracle (protocol/api.py), typed."""

from __future__ import annotations

from typing import BinaryIO

from nunet_dms.oracle_http import LONG_POLL_MARGIN_S, OracleHttp
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Done, Empty, OracleInfo
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.node import (
    Acceptance,
    Cosignature,
    Heartbeat,
    HeartbeatReply,
    Inbox,
    Lease,
    MissingBlobs,
    Poll,
    Refusal,
)
from nunet_dms.protocol.signing import Sealed

BLOB_TIMEOUT_S = 600
"""Of one blob, up or down."""


class OracleClient:
    """A node's view of its Oracle; raises OracleUnreachableError and RefusedError."""

    def __init__(self, http: OracleHttp, node_id: str) -> None:
        self._http = http
        self._node = f"/v1/nodes/{node_id}"

    def info(self) -> OracleInfo:
        """Return who the Oracle says it is."""
        return self._http.call("GET", "/v1/oracle", None, OracleInfo, public=True)

    def register(self, registration: Sealed) -> None:
        """Introduce this node, or tell what changed."""
        self._http.call("PUT", self._node, registration, Done)

    def heartbeat(self, beat: Heartbeat) -> HeartbeatReply:
        """Say what we hold; renews its leases."""
        return self._http.call("POST", f"{self._node}/heartbeat", beat, HeartbeatReply)

    def poll(self, poll: Poll) -> Inbox:
        """Wait for news, up to `poll.wait_s`."""
        return self._http.call(
            "POST", f"{self._node}/poll", poll, Inbox, timeout_s=poll.wait_s + LONG_POLL_MARGIN_S
        )

    def accept(self, job_id: str, ticket_id: str) -> Lease:
        """Take a job; repeating it is the same."""
        body = Acceptance(ticket_id=ticket_id)
        return self._http.call("POST", f"/v1/jobs/{job_id}/accept", body, Lease)

    def refuse(self, job_id: str, refusal: Refusal) -> None:
        """Do not take a job."""
        self._http.call("POST", f"/v1/jobs/{job_id}/refuse", refusal, Done)

    def put_log(self, job_id: str, offset: int, chunk: bytes) -> int:
        """Append to a job's log; the answer is where the Oracle's copy now ends."""
        return self._http.put_log(job_id, offset, chunk)

    def put_checkpoint(self, job_id: str, sealed: Sealed) -> MissingBlobs:
        """Announce a checkpoint; it is whole once nothing is missing."""
        return self._http.call("PUT", f"/v1/jobs/{job_id}/checkpoint", sealed, MissingBlobs)

    def missing_results(self, job_id: str, results: Manifest) -> MissingBlobs:
        """Announce the results and learn which of them are to be uploaded."""
        return self._http.call("POST", f"/v1/jobs/{job_id}/results", results, MissingBlobs)

    def put_blob(self, sha256: str, content: BinaryIO) -> None:
        """Upload one file."""
        self._http.put_bytes(f"/v1/blobs/{sha256}", content, timeout_s=BLOB_TIMEOUT_S)

    def get_blob(self, sha256: str, to: BinaryIO, size: int) -> None:
        """Download one file of at most `size` bytes."""
        self._http.get_bytes(f"/v1/blobs/{sha256}", to=to, limit=size, timeout_s=BLOB_TIMEOUT_S)

    def report(self, job_id: str, body: bytes) -> Done:
        """Deliver a frozen report; the same one again is a duplicate, not a second."""
        sealed = strict.decode(Sealed, body)
        return self._http.call("POST", f"/v1/jobs/{job_id}/report", sealed, Done)

    def cosign(self, job_id: str, signature: Cosignature) -> None:
        """Give our signature under a settlement."""
        self._http.call("POST", f"/v1/jobs/{job_id}/settlement", signature, Done)

    def receipt(self, job_id: str) -> Sealed:
        """Return a settled job's receipt."""
        return self._http.call("GET", f"/v1/jobs/{job_id}/receipt", None, Sealed)

    def ack_receipt(self, job_id: str) -> None:
        """Say that we have stored a receipt."""
        self._http.call("POST", f"/v1/jobs/{job_id}/receipt/ack", Empty(), Done)
