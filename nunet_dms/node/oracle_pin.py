"""The Oracle that this node trusts: pinned at first contact or before, then never changed."""

from __future__ import annotations

from pathlib import Path

from nunet_dms.cardano.known_network import known_network
from nunet_dms.cardano.network import NETWORK_S_OWN, TokenChoice
from nunet_dms.config import OracleConfig
from nunet_dms.errors import NunetError, VerificationError
from nunet_dms.node.journal import Journal
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.protocol.keys import fingerprint_of


def pinned_oracle(journal: JournalReader) -> OracleInfo | None:
    """Return what was pinned, or None before first contact."""
    found = journal.pin()
    return None if found is None else strict.decode(OracleInfo, found[1])


def look_up_pin(journal: Path) -> tuple[str, OracleInfo] | None:
    """Return the URL and the words of the Oracle that a journal pins, as others may see it.

    None before first contact, and for a journal that cannot be read: then the worker finds out.
    """
    try:
        with JournalReader(journal) as reader:
            found = reader.pin()
        return None if found is None else (found[0], strict.decode(OracleInfo, found[1]))
    except NunetError:
        return None


def pinned_network_id(journal: Path, config: OracleConfig) -> int | None:
    """Return the network on which the Oracle of these settings pays, as far as it is pinned.

    None before first contact, for another Oracle, and for a journal that cannot be read.
    """
    found = look_up_pin(journal)
    if found is None:
        return None
    url, info = found
    is_named = config.ticket_key == info.ticket_key if config.ticket_key else url == config.url
    return info.network_id if is_named else None


def trusted_key(config: OracleConfig, journal: JournalReader) -> str:
    """Return the ticket key of the Oracle that the settings name; empty before first contact."""
    if config.ticket_key:
        return config.ticket_key
    found, pinned = journal.pin(), pinned_oracle(journal)
    return pinned.ticket_key if found and pinned and found[0] == config.url else ""


def check_oracle(
    info: OracleInfo,
    config: OracleConfig,
    journal: Journal,
    token: TokenChoice = NETWORK_S_OWN,
) -> OracleInfo:
    """Pin an Oracle at first contact, or when the owner's settings name another key or address.

    `token` is the owner's word on what jobs are paid in. Raises VerificationError if the Oracle is
    not the one that is pinned or pays in another token, and UsageError if jobs of a former one are
    still open.
    """
    known_network(info, token)
    if config.ticket_key and info.ticket_key != config.ticket_key:
        raise _another("config.toml", config.ticket_key, info.ticket_key)
    found, pinned = journal.pin(), pinned_oracle(journal)
    if found is None or pinned is None:
        journal.pin_oracle(config.url, strict.encode(info))
        return info
    is_named_anew = config.ticket_key == info.ticket_key or found[0] != config.url
    if info.ticket_key != pinned.ticket_key:
        if not is_named_anew:
            raise _another("the journal", pinned.ticket_key, info.ticket_key)
        journal.pin_oracle(config.url, strict.encode(info))
        return info
    _check_same(info, pinned)
    if found[0] != config.url:  # it moved: from now on this address stands for this key
        journal.move_pin(config.url)
    return pinned


def _check_same(info: OracleInfo, pinned: OracleInfo) -> None:
    for name in ("escrow_key_hash", "network_magic", "token_policy", "token_name"):
        if getattr(info, name) != getattr(pinned, name):
            raise VerificationError(
                "oracle_changed",
                f"cannot trust this Oracle: its {name} is no longer what was pinned",
                hint="ask its operator why",
            )


def _another(where: str, pinned: str, found: str) -> VerificationError:
    return VerificationError(
        "oracle_changed",
        f"cannot trust this Oracle: its key is {fingerprint_of(found)},"
        f" {where} pins {fingerprint_of(pinned)}",
        hint="if you meant to change Oracles: nunet onboard --oracle URL --oracle-key KEY",
    )
