"""The Oracle's keys, recorded at first contact; whoever answers with others later is refused."""

# No `from __future__ import annotations`: strict.decode needs the fields' real types.

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nunet_dms.cardano.known_network import known_network
from nunet_dms.cardano.network import NETWORK_S_OWN, TokenChoice
from nunet_dms.errors import VerificationError
from nunet_dms.oracle_http import OracleHttp
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.protocol.bounds import Hex28, Hex32, ShortText, TokenName
from nunet_dms.protocol.keys import fingerprint_of
from nunet_dms.requester.records import write_private

PIN_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class OraclePin:
    """What may not change about an Oracle: its keys, its network, its token."""

    url: ShortText
    ticket_key: Hex32
    escrow_key_hash: Hex28
    network_magic: int
    token_policy: Hex28
    token_name: TokenName


@dataclass(frozen=True, slots=True)
class PinnedOracle:
    """An Oracle whose keys are the recorded ones."""

    info: OracleInfo
    fingerprint: str
    is_first_contact: bool


def meet_oracle(
    http: OracleHttp,
    folder: Path,
    *,
    trust: Callable[[str], None] | None = None,
    token: TokenChoice = NETWORK_S_OWN,
) -> PinnedOracle:
    """Ask an Oracle who it is and hold it to what `folder` records; the first time, record it.

    `trust` is told the fingerprint of a new Oracle before it is recorded, and may raise; `token`
    is our settings' word on what we pay with. Raises VerificationError when network or token are
    not ours, or (code `oracle_changed`) when keys, network or token have changed, and
    OracleUnreachableError.
    """
    info = http.call("GET", "/v1/oracle", None, OracleInfo, public=True)
    known_network(info, token)
    seen = OraclePin(
        url=http.base_url,
        ticket_key=info.ticket_key,
        escrow_key_hash=info.escrow_key_hash,
        network_magic=info.network_magic,
        token_policy=info.token_policy,
        token_name=info.token_name,
    )
    fingerprint = fingerprint_of(info.ticket_key)
    path = folder / _file_name(http.base_url)
    known = _recorded(path)
    if known is None:
        if trust is not None:
            trust(fingerprint)
        write_private(path, strict.encode(seen))
    elif known != seen:
        raise VerificationError(
            "oracle_changed",
            f"cannot trust the Oracle at {http.base_url}: its keys, network or token are not "
            f"those of the first contact (key then {fingerprint_of(known.ticket_key)}, "
            f"now {fingerprint})",
            hint=f"if its operator confirms the new fingerprint, remove {path}",
        )
    return PinnedOracle(info, fingerprint, is_first_contact=known is None)


def recorded_pins(folder: Path) -> tuple[OraclePin, ...]:
    """Return every Oracle that was met from here; raises MalformedError for a broken record."""
    found = (_recorded(path) for path in sorted(folder.glob("oracle-*.json")))
    return tuple(pin for pin in found if pin is not None)


def _recorded(path: Path) -> OraclePin | None:
    try:
        with path.open("rb") as file:
            return strict.decode(OraclePin, file.read(PIN_MAX_BYTES), at=str(path))
    except FileNotFoundError:
        return None


def _file_name(url: str) -> str:
    """Return a name that people can find, and a hash that keeps two URLs apart."""
    host = urlsplit(url).hostname or ""
    plain = "".join(char if char.isalnum() or char == "." else "-" for char in host.lower())
    return f"oracle-{plain:.100}-{hashlib.sha256(url.encode()).hexdigest()[:8]}.json"
