"""What the Oracle says of itself, and how far its clock is from ours."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from nunet_dms.errors import MalformedError, NunetError
from nunet_dms.oracle_http import OracleHttp
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.provider.first_contact import FIRST_CONTACT_TIMEOUT_S

ANSWER_MAX_BYTES = 64 * 1024
"""Of its own words: they have about 600. So short an answer cannot be drawn out by a second."""


@dataclass(frozen=True, slots=True)
class OracleWord:
    """Its words, or why there are none; and by how many seconds our clock is ahead of its own.

    `ahead_s` is None where it does not tell its time.
    """

    url: str
    info: OracleInfo | None = None
    problem: str = ""
    ahead_s: int | None = None


def ask_oracle(url: str, clock: Callable[[], float] = time.time) -> OracleWord:
    """Ask who it is, for 3 s of silence and 5 s to connect at most; raises nothing."""
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
        return OracleWord(url, problem=f"what answers at {url} is no Oracle: {error}")
    except NunetError as error:
        return OracleWord(url, problem=str(error))
    return OracleWord(url, info, "", _ahead_s(headers.get("Date", ""), asked_s, answered_s))


def _ahead_s(date: str, asked_s: float, answered_s: float) -> int | None:
    """Hold our time halfway between question and answer against the header (RFC 9110, 6.6.1)."""
    try:
        theirs_s = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return round((asked_s + answered_s) / 2 - theirs_s)
