"""The settings file, looked at between steps: has its owner changed what this worker runs by?"""

from __future__ import annotations

import logging
from pathlib import Path

from nunet_dms import config_keys
from nunet_dms.cardano.address import parse_payee
from nunet_dms.config import Config, loads
from nunet_dms.config_file import read_text
from nunet_dms.errors import NunetError
from nunet_dms.node.oracle_pin import pinned_network_id
from nunet_dms.oracle_http import OracleHttp

log = logging.getLogger(__name__)

Signature = tuple[int, int, int]
"""When the file was written (ns), its size, its inode: another one tells of another file."""
NOT_YET: Signature = (-1, -1, -1)
GONE: Signature = (0, 0, 0)


class SettingsWatch:
    """Compares the file with the settings that the worker runs by; a look costs one stat."""

    def __init__(self, path: Path, current: Config, journal: Path) -> None:
        self._path = path
        self._journal = journal
        self._current = current
        self._seen = self._read = NOT_YET
        self.problem = ""
        """Why the file cannot be used; empty while it can."""
        self.changed_text = ""
        """The file, once it holds other settings that can be used."""

    @property
    def is_unsettled(self) -> bool:
        """Whether the file is still to be read: the next look should come soon."""
        return self._seen != self._read

    def look(self) -> bool:
        """Say whether the file holds other settings now.

        It is read when two looks have seen it alike: an editor may write it in several pieces.
        What cannot be used is logged once and noted in `problem`; the old settings stay.
        """
        signature = self._signature()
        is_settled, self._seen = signature == self._seen, signature
        if is_settled and self.is_unsettled:
            self._read = signature
            self._take()
        return bool(self.changed_text)

    def _take(self) -> None:
        try:
            text = read_text(self._path)
            found = loads(text, str(self._path))
            # With what these refuse, the next life could not even register.
            OracleHttp(found.oracle.url).close()
            parse_payee(found.wallet.address, pinned_network_id(self._journal, found.oracle))
        except NunetError as error:
            self.problem = str(error)
            log.warning("settings_refused: %s", error)
            return
        self.problem = ""
        if changes := config_keys.changes(self._current, found):
            self.changed_text = text
            log.info("settings_changed keys=%s", ",".join(str(each.key) for each in changes))

    def _signature(self) -> Signature:
        try:
            found = self._path.stat()
        except OSError:
            return GONE  # or shut away; reading it says which
        return found.st_mtime_ns, found.st_size, found.st_ino
