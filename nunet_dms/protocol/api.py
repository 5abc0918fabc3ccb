"""Bodies of the Oracle's HTTP calls, and their paths; every body is strict JSON unless noted.

| call | who | body -> answer |
| --- | --- | --- |
| GET  /v1/health | all | -> Health |
| GET  /v1/oracle | all | -> OracleInfo |
| GET  /v1/speed?bytes=N | all | -> N raw bytes, at most SPEED_MAX_BYTES |
| PUT  /v1/speed | all | raw bytes -> Taken |
| POST /v1/challenges | all | ChallengeRequest -> Challenge |
| POST /v1/sessions | all | NodeLogin or WalletLogin -> Session |
| PUT  /v1/nodes/{node_id} | node | Sealed NodeRegistration -> Done |
| POST /v1/nodes/{node_id}/heartbeat | node | Heartbeat -> HeartbeatReply |
| POST /v1/nodes/{node_id}/poll | node | Poll -> Inbox (waits up to wait_s) |
| POST /v1/jobs/{job_id}/accept | node | Acceptance -> Lease |
| POST /v1/jobs/{job_id}/refuse | node | Refusal -> Done |
| PUT  /v1/jobs/{job_id}/log?offset=N | node | raw bytes -> LogLength (409 names the right offset) |
| PUT  /v1/jobs/{job_id}/checkpoint | node | Sealed CheckpointManifest -> MissingBlobs |
| GET  /v1/jobs/{job_id}/checkpoint | requester | -> Sealed CheckpointManifest, the last whole one |
| POST /v1/jobs/{job_id}/results | node | Manifest -> MissingBlobs |
| POST /v1/jobs/{job_id}/report | node | Sealed Report -> Done |
| POST /v1/jobs/{job_id}/settlement | node, requester | Cosignature -> Done |
| GET  /v1/jobs/{job_id}/settlement | node, requester | -> Settlement |
| GET  /v1/jobs/{job_id}/verdict | node, requester | -> Decision |
| POST /v1/jobs/{job_id}/objection | node, requester | SignedObjection -> Done |
| POST /v1/jobs/{job_id}/receipt/ack | node | Empty -> Done (a void job's end, too) |
| POST /v1/quotes | requester | QuoteRequest -> Quote |
| POST /v1/quotes/{quote_id}/inputs | requester | Manifest -> MissingBlobs |
| PUT  /v1/blobs/{sha256} | node, requester | raw bytes -> Done |
| GET  /v1/blobs/{sha256} | node, requester | -> raw bytes |
| POST /v1/jobs | requester | JobSubmission -> JobView |
| GET  /v1/jobs | requester | -> JobList |
| GET  /v1/jobs/{job_id} | requester | -> JobView |
| GET  /v1/jobs/{job_id}/log?offset=N&wait_s=S | requester | -> raw bytes, LOG_* headers |
| GET  /v1/jobs/{job_id}/results | requester | -> Manifest |
| GET  /v1/jobs/{job_id}/receipt | node, requester | -> Sealed Receipt |
| POST /v1/jobs/{job_id}/cancel | requester | Empty -> JobView |
| GET  /v1/chain/parameters | all | -> ChainParameters |
| GET  /v1/chain/utxos/{address} | all | -> UtxoList |
| POST /v1/chain/submit | requester | TransactionBody -> TransactionId |
| POST /v1/devnet/faucet | all, devnet only | FaucetRequest -> TransactionId |
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from nunet_dms.protocol.bounds import Hex28, Hex32, Length, Pattern, Range, ShortText, TokenName

LOG_OFFSET_HEADER = "Nunet-Log-Offset"
LOG_LENGTH_HEADER = "Nunet-Log-Length"
LOG_COMPLETE_HEADER = "Nunet-Log-Complete"
LOG_CHUNK_MAX_BYTES = 1024 * 1024
"""Of one log PUT or GET."""
POLL_WAIT_MAX_S = 50
"""Longest wait of a long poll; under the usual 60 s of proxies."""
JOBS_MAX = 1000
"""Jobs named in one poll or list."""
SPEED_MAX_BYTES = 32 * 1024 * 1024
"""Of one transfer of the speed test: 0.27 s of a line of 1 Gbit/s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBody:
    """The one shape of an error: a machine name, a sentence, and the path of the bad part."""

    code: Annotated[str, Pattern(r"[a-z0-9_]{1,64}", "a reason code")]
    message: ShortText
    where: Annotated[str, Length(0, 500)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """No content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """It is so now; `duplicate` says that it already was."""

    duplicate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """How many bytes of an upload of the speed test came; they were dropped."""

    taken_bytes: Annotated[int, Range(0, SPEED_MAX_BYTES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether the Oracle can work."""

    status: Literal["ok", "degraded"]
    version: ShortText
    chain: ShortText
    height: Annotated[int, Range(0, 2**40)]
    detail: ShortText = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OracleInfo:
    """Who this Oracle is: what a node or requester pins and reckons with."""

    version: ShortText
    network: ShortText
    network_magic: Annotated[int, Range(0, 2**32 - 1)]
    network_id: Annotated[int, Range(0, 1)]
    token_policy: Hex28
    token_name: TokenName
    token_decimals: Annotated[int, Range(0, 18)]
    ticket_key: Hex32
    escrow_key_hash: Hex28
    warning: ShortText = ""
