"""Prices, quotes, and the job request that a payment is bound to."""

from dataclasses import dataclass
from typing import Annotated, Literal

from nunet_dms.protocol import strict
from nunet_dms.protocol.bounds import (
    AddressText,
    Amount,
    Hex16,
    Hex28,
    Hex32,
    Length,
    PositiveAmount,
    Range,
    ShortText,
    Slot,
    TokenName,
    UnixSeconds,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """A provider's own price, in base units of the token."""

    per_ghz_hour: Annotated[int, Range(0, 10**12)]
    per_ram_gb_hour: Annotated[int, Range(0, 10**12)]
    per_gpu_hour: Annotated[int, Range(0, 10**12)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """Who runs which job for whom at what price; the escrow address commits to its hash.

    Signed by the requester's wallet (CIP-8) over `signing_payload`.
    """

    version: Literal[1] = 1
    network_magic: Annotated[int, Range(0, 2**32 - 1)]
    spec_hash: Hex32
    requester: AddressText
    node_id: Hex28
    node_key_hash: Hex28
    provider_wallet: AddressText
    oracle_key_hash: Hex28
    token_policy: Hex28
    token_name: TokenName
    price: PositiveAmount
    deadline_slot: Slot
    valid_until_s: UnixSeconds
    nonce: Hex16

    @property
    def digest(self) -> str:
        """The job hash: blake2b-256 of the canonical bytes, as hex."""
        return strict.digest(strict.encode(self))

    @property
    def job_id(self) -> str:
        """The job's id: the first 16 bytes of its hash, as hex."""
        return self.digest[:32]


REQUEST_DOMAIN = b"nunet-dms/v1/job-request\n"


def signing_payload(request_text: str) -> bytes:
    """Return what the wallet signs: the domain, then the request's canonical bytes."""
    return REQUEST_DOMAIN + request_text.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteLine:
    """One line of the price: what, and how many base units."""

    text: ShortText
    amount: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """An offer to run a job: capacity is held for it until `expires_s`."""

    quote_id: Hex16
    request: JobRequest
    lines: Annotated[tuple[QuoteLine, ...], Length(1, 20)]
    escrow_address: AddressText
    escrow_lovelace: PositiveAmount
    confirmations: Annotated[int, Range(0, 3000)]
    expires_s: UnixSeconds


def price_lines(
    price: PriceList, cpu_mhz: int, ram_mb: int, time_limit_s: int, gpus: int = 0
) -> tuple[QuoteLine, ...]:
    """Return the price of the whole time limit, line by line, each rounded up to a base unit."""
    parts = [
        (f"CPU {cpu_mhz} MHz", price.per_ghz_hour * cpu_mhz, 1000 * 3600),
        (f"RAM {ram_mb} MB", price.per_ram_gb_hour * ram_mb, 1000 * 3600),
    ]
    if gpus:
        parts.append((f"{gpus} GPU", price.per_gpu_hour * gpus, 3600))
    return tuple(
        QuoteLine(text=f"{text} for {time_limit_s} s", amount=-(-rate * time_limit_s // unit))
        for text, rate, unit in parts
    )
