"""Meeting the Oracle: who it is, which key to pin, how fast the line is, what its clock says."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from nunet_dms import config
from nunet_dms.config import Config, OracleConfig, PriceConfig
from nunet_dms.errors import (
    MalformedError,
    RefusedError,
    UnreachableError,
    VerificationError,
)
from nunet_dms.machine.network import SpeedFacts
from nunet_dms.oracle_http import OracleHttp
from nunet_dms.oracle_speed import measure
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.protocol.keys import fingerprint_of

FIRST_CONTACT_TIMEOUT_S = 3
"""An Oracle need not be up yet while a machine is onboarded."""
ANSWER_MAX_BYTES = 64 * 1024
"""Of its own words: they have about 600. So short an answer cannot be drawn out by a second."""


@dataclass(frozen=True, slots=True)
class Contact:
    """What an Oracle said of itself, or why it said nothing.

    `ahead_s`: by how many seconds our clock is ahead of its own; None where it does not tell.
    """

    url: str
    info: OracleInfo | None = None
    problem: str = ""
    ahead_s: int | None = None


def ask_oracle(url: str, clock: Callable[[], float] = time.time) -> Contact:
    """Ask the Oracle who it is, for 3 s of silence and 5 s to connect at most.

    Raises UsageError for what is no URL of an Oracle, RefusedError where it does not tell.
    """
    body = io.BytesIO()
    try:
        with OracleHttp(url) as http:
            asked_s = clock()
            headers = http.get_bytes(
                "/v1/oracle", to=body, limit=ANSWER_MAX_BYTES, timeout_s=FIRST_CONTACT_TIMEOUT_S
            )
            answered_s = clock()
        info = strict.decode(OracleInfo, body.getvalue())
    except MalformedError as error:
        return Contact(url, problem=f"what answers at {url} is no Oracle: {error}")
    except UnreachableError as error:
        return Contact(url, problem=str(error))
    return Contact(url, info, "", _ahead_s(headers.get("Date", ""), asked_s, answered_s))


def _ahead_s(date: str, asked_s: float, answered_s: float) -> int | None:
    """Hold our time halfway between question and answer against the header (RFC 9110, 6.6.1)."""
    try:
        theirs_s = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return round((asked_s + answered_s) / 2 - theirs_s)


def measure_line(url: str) -> tuple[SpeedFacts | None, str]:
    """Measure the line to the Oracle (10 s at most); None and why, where that cannot be done."""
    try:
        with OracleHttp(url) as http:
            speed = measure(http)
    except (UnreachableError, RefusedError) as error:
        return None, str(error)
    return SpeedFacts(speed.down_kbps, speed.up_kbps, int(time.time())), ""


def key_to_pin(contact: Contact, given: str, before: Config | None) -> str:
    """Return the key to pin: as given, as pinned, as shown; raises VerificationError on a clash."""
    url, info = contact.url, contact.info
    kept = before.oracle.ticket_key if before and before.oracle.url == url else ""
    pinned = given.lower() or kept
    if info is None or pinned in {"", info.ticket_key}:
        return pinned or (info.ticket_key if info else "")
    if given and not config.is_ticket_key(pinned):
        return pinned  # nonsense; the check of the settings has the words for it
    raise VerificationError(
        "oracle_changed",
        f"cannot trust the Oracle at {url}: its key is {fingerprint_of(info.ticket_key)},"
        f" {'--oracle-key' if given else 'pinned'} is {fingerprint_of(pinned)}",
        hint="ask its operator; to trust the new key: --oracle-key KEY",
    )


def words_on(oracle: OracleConfig, contact: Contact) -> tuple[str, ...]:
    """Say which Oracle it is and by which key it is known."""
    info = contact.info
    if info is not None:
        pinned = f"the Oracle at {oracle.url} has the key {fingerprint_of(info.ticket_key)}: pinned"
        return (pinned, info.warning) if info.warning else (pinned,)
    if oracle.ticket_key:
        known = f"pinned is the key {fingerprint_of(oracle.ticket_key)}"
    else:
        known = "its key will be pinned at first contact"
    return (f"no word from the Oracle yet, {known} ({contact.problem})",)


def first_price(info: OracleInfo | None) -> PriceConfig:
    """Return one token for a GHz-hour, a quarter for a GB-hour, ten for a GPU-hour.

    In the token's base units, as the Oracle counts them; without its word, the defaults.
    """
    if info is None:
        return PriceConfig()
    unit = 10**info.token_decimals
    return PriceConfig(
        per_ghz_hour=min(unit, config.PRICE_MAX),
        per_ram_gb_hour=max(1, min(unit, config.PRICE_MAX) // 4),
        per_gpu_hour=min(10 * unit, config.PRICE_MAX),
    )
