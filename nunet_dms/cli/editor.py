"""A text in the user's own editor: a copy, opened and read again."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from nunet_dms.config_file import read_text
from nunet_dms.errors import NunetError, UsageError

VARIABLES = ("VISUAL", "EDITOR")
EDITORS = ("editor", "vi")
"""Where no variable names one: the system's own choice (Debian), then what POSIX has."""


def write_copy(text: str) -> Path:
    """Return a new file of this text that is nobody else's to read.

    Raises NunetError where it cannot be written.
    """
    copy = None
    try:
        descriptor, name = tempfile.mkstemp(prefix="nunet-config-", suffix=".toml")
        copy = Path(name)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        if copy is not None:
            copy.unlink(missing_ok=True)
        raise NunetError(
            f"cannot write a copy to edit: {error.strerror or error}",
            hint="give another place for it: TMPDIR=DIR nunet config edit",
        ) from error
    return copy


def edit(copy: Path) -> str:
    """Open the copy in an editor, and return its text when the editor has ended.

    Raises UsageError if there is no editor, or it fails, or it leaves nothing that can be read.
    """
    words = _editor()
    try:
        code = subprocess.run([*words, str(copy)], check=False).returncode
    except OSError as error:
        raise UsageError(f"cannot start the editor {words[0]}: {error.strerror}") from error
    if code:
        raise UsageError(f"cannot use what {words[0]} left: it ended with code {code}")
    if not copy.exists():
        raise UsageError(f"cannot use what {words[0]} left: the file is gone")
    return read_text(copy)


def _editor() -> list[str]:
    """Return the editor as words: a variable may hold options too, such as `code --wait`."""
    for name in VARIABLES:
        if words := _words(name, os.environ.get(name, "")):
            return words
    for name in EDITORS:
        if found := shutil.which(name):
            return [found]
    raise UsageError(
        f"cannot edit: there is no editor, neither ${' nor $'.join(VARIABLES)}"
        f" nor {' nor '.join(EDITORS)}",
        hint="such as: EDITOR=nano nunet config edit",
    )


def _words(name: str, value: str) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError as error:
        raise UsageError(f"cannot read ${name}: {error}") from error
