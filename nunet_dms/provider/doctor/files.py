"""The node's own files: who may read and change them, and whether its keys can be used."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.cardano.keys import PaymentKey, read_key_file
from nunet_dms.errors import ConfigError
from nunet_dms.paths import Paths
from nunet_dms.protocol.keys import SigningKey, read_signing_key
from nunet_dms.provider.keys import wallet_file


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file or folder: its permissions and its owner, None where it is not there.

    `problem` says why it cannot even be looked at.
    """

    path: Path
    mode: int | None = None
    owner_uid: int | None = None
    problem: str = ""

    @property
    def mode_text(self) -> str:
        """The permissions as chmod(1) takes them."""
        return f"{self.mode or 0:04o}"


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A key's file: whether it is there, and why the key in it cannot be used, with the cure.

    `key_hash` names the key without giving it away (hex); empty for the identity key.
    """

    path: Path
    there: bool = False
    problem: str = ""
    cure: str = ""
    key_hash: str = ""


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """What lies in the folders of one scope."""

    config_dir: FileFacts
    config_file: FileFacts
    state_dir: FileFacts
    identity: KeyFacts
    settlement: KeyFacts
    wallet: KeyFacts


def read_own_files(where: Paths) -> OwnFiles:
    """Look at everything without changing it; raises nothing."""
    return OwnFiles(
        config_dir=read_file(where.config_dir),
        config_file=read_file(where.config_file),
        state_dir=read_file(where.state_dir),
        identity=_read_key(where.identity_key, read_signing_key),
        settlement=_read_key(where.settlement_key, read_key_file),
        wallet=_read_key(wallet_file(where), read_key_file),
    )


def read_file(path: Path) -> FileFacts:
    """Return who may do what with a path; of a link, with what it leads to."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return FileFacts(path)
    except OSError as error:
        return FileFacts(path, problem=f"cannot look at {path}: {error.strerror}")
    return FileFacts(path, stat.S_IMODE(found.st_mode), found.st_uid)


def _read_key(path: Path, read: Callable[[Path], SigningKey | PaymentKey]) -> KeyFacts:
    found = read_file(path)
    if found.mode is None and not found.problem:
        return KeyFacts(path)
    try:
        key = read(path)
    except ConfigError as error:
        return KeyFacts(path, True, str(error), error.hint.removeprefix("type: "))
    key_hash = key.key_hash.hex() if isinstance(key, PaymentKey) else ""
    return KeyFacts(path, True, key_hash=key_hash)
