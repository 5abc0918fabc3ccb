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
from nunet_dms.protocol.job import Resources


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
    """An offer to run a job: capacity is held for it until `expires_s`.

    `lines` follow from the job and `price_list` by `price_lines`, which a requester checks. The
    list is absent only from what was recorded before quotes had one.
    """

    quote_id: Hex16
    request: JobRequest
    lines: Annotated[tuple[QuoteLine, ...], Length(1, 20)]
    price_list: PriceList | None = None
    escrow_address: AddressText
    escrow_lovelace: PositiveAmount
    confirmations: Annotated[int, Range(0, 3000)]
    expires_s: UnixSeconds


@dataclass(frozen=True, slots=True)
class PricePart:
    """One line of the price as a formula: what, for how long, at which rate, is how much."""

    what: str
    """Such as `CPU 1000 MHz`."""
    time_s: int
    rate: int
    """Base units for one `per`."""
    per: str
    """Such as `GHz-hour`; empty for the smallest payment, which no rate gives."""
    amount: int
    """Base units, rounded up."""


SMALLEST_PAYMENT = 1
"""Base units: an escrow of no tokens is none."""


def price_parts(price: PriceList, wanted: Resources, time_limit_s: int) -> tuple[PricePart, ...]:
    """Return the price of the whole time limit, part by part; the sum is never nothing."""
    rows = (
        (f"CPU {wanted.cpu_mhz} MHz", wanted.cpu_mhz, 1000, price.per_ghz_hour, "GHz-hour"),
        (f"RAM {wanted.ram_mb} MB", wanted.ram_mb, 1000, price.per_ram_gb_hour, "GB-hour"),
        (f"{wanted.gpus} GPU", wanted.gpus, 1, price.per_gpu_hour, "GPU-hour"),
    )
    parts = [
        PricePart(what, time_limit_s, rate, per, -(-rate * count * time_limit_s // (unit * 3600)))
        for what, count, unit, rate, per in rows
        if count or per != "GPU-hour"
    ]
    if not any(part.amount for part in parts):
        parts.append(PricePart("smallest payment", 0, 0, "", SMALLEST_PAYMENT))
    return tuple(parts)


def price_lines(price: PriceList, wanted: Resources, time_limit_s: int) -> tuple[QuoteLine, ...]:
    """Return `price_parts` as the lines of a quote."""
    return tuple(
        QuoteLine(
            text=f"{part.what} for {part.time_s} s" if part.per else part.what, amount=part.amount
        )
        for part in price_parts(price, wanted, time_limit_s)
    )
