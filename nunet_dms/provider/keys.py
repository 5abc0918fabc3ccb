"""The provider's keys and where it is paid: checked before anything is written, made once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from nunet_dms.cardano.address import parse_address, parse_payee
from nunet_dms.cardano.keys import PaymentKey, read_key_file, write_key_file
from nunet_dms.config import Config
from nunet_dms.errors import ConfigError, MalformedError, UsageError
from nunet_dms.node.journal_life import is_made
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.paths import Paths
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.protocol.keys import SigningKey, read_signing_key, write_signing_key
from nunet_dms.requester.wallet import KnownWallet, find_wallet, wallet_names
from nunet_dms.wholefile import failing_to

PROVIDER_WALLET = "provider"
TEST_NETWORK_ID = 0
"""Of a new wallet whose Oracle cannot be asked: a test network's, where nothing can be lost."""


@dataclass(frozen=True, slots=True)
class Payee:
    """The address to be paid at, and the key that is yet to be written for it, if any."""

    address: str
    new_key: PaymentKey | None = field(default=None, repr=False)


def payee(given: str, before: Config | None, where: Paths, info: OracleInfo | None) -> Payee:
    """Return who is paid: as given, as before, by the wallet that is here, or by a new one.

    Raises UsageError for what is no wallet's address, or one of another network than the Oracle's.
    """
    if given or before:
        try:
            address = parse_payee(
                given or (before.wallet.address if before else ""),
                None if info is None else info.network_id,
            )
        except MalformedError as error:
            raise UsageError(str(error), hint="give another: --wallet ADDR") from error
        return Payee(address.bech32)
    network_id = TEST_NETWORK_ID if info is None else info.network_id
    if (kept := _kept_wallet(where)) is not None:
        return Payee(kept.address(network_id).bech32)
    key = PaymentKey.generate()
    return Payee(key.address(network_id).bech32, key)


def keys_to_make(where: Paths) -> tuple[str, ...]:
    """Return which of the node's keys are not there yet; those that are there can be read.

    Raises ConfigError for one that cannot be used, and where jobs are open that need a lost one.
    """
    missing = []
    for name, path, read in (
        ("identity", where.identity_key, read_signing_key),
        ("settlement", where.settlement_key, read_key_file),
    ):
        if path.exists():
            read(path)
        else:
            missing.append(name)
    if missing and (count := _open_jobs(where)):
        raise ConfigError(
            f"cannot make a new {missing[0]} key: {count} jobs are open, and are paid by the old",
            hint=f"restore {where.keys_dir} from a backup; or give them up: nunet offboard --force",
        )
    return tuple(missing)


def _open_jobs(where: Paths) -> int:
    if not is_made(where.journal):
        return 0
    with JournalReader(where.journal) as journal:
        return len(journal.open_jobs())


def make_keys(where: Paths, paid: Payee) -> None:
    """Write the keys that are not there yet; onboarding again keeps them.

    Raises NunetError where folder or key cannot be written.
    """
    with failing_to("make", where.state_dir):
        where.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if paid.new_key is not None:
        write_key_file(wallet_file(where), paid.new_key)
    if not where.identity_key.exists():
        write_signing_key(where.identity_key, SigningKey.generate())
    if not where.settlement_key.exists():
        write_key_file(where.settlement_key, PaymentKey.generate())


def wallet_file(where: Paths) -> Path:
    """Return where a provider's own wallet lies."""
    return where.wallets_dir / f"{PROVIDER_WALLET}.skey"


def wallet_file_of(where: Paths, address: str) -> str:
    """Return the file whose key is paid at `address`; empty if the key lies elsewhere."""
    kept = _kept_wallet(where)
    is_ours = kept is not None and kept.key_hash == parse_address(address).payment_hash
    return str(kept.file) if kept is not None and is_ours else ""


def _kept_wallet(where: Paths) -> KnownWallet | None:
    """Return the provider's own wallet, which may be an encrypted one; None if there is none."""
    if PROVIDER_WALLET not in wallet_names(where.wallets_dir):
        return None
    return find_wallet(where.wallets_dir, PROVIDER_WALLET)
