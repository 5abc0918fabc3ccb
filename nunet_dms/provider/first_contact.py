"""Meeting the Oracle while onboarding: who it is, which key to pin, how fast the line is."""

from __future__ import annotations

import time
from dataclasses import dataclass

from nunet_dms import config
from nunet_dms.config import Config, OracleConfig, PriceConfig
from nunet_dms.errors import RefusedError, UnreachableError, VerificationError
from nunet_dms.machine.network import SpeedFacts
from nunet_dms.oracle_http import OracleHttp
from nunet_dms.oracle_speed import measure
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.protocol.keys import fingerprint_of

FIRST_CONTACT_TIMEOUT_S = 3
"""An Oracle need not be up yet while a machine is onboarded."""


@dataclass(frozen=True, slots=True)
class Contact:
    """What an Oracle said of itself, or why it said nothing."""

    url: str
    info: OracleInfo | None
    problem: str = ""


def ask_oracle(url: str) -> Contact:
    """Ask the Oracle who it is, briefly; raises UsageError for what is no URL of an Oracle."""
    try:
        with OracleHttp(url) as http:
            info = http.call(
                "GET",
                "/v1/oracle",
                None,
                OracleInfo,
                timeout_s=FIRST_CONTACT_TIMEOUT_S,
                public=True,
            )
    except UnreachableError as error:
        return Contact(url, None, str(error))
    return Contact(url, info)


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
