"""Golden machines: the files that real machines have, one text file for each machine.

A file in golden/ starts with a word on the machine, then holds sections:

    == proc/cpuinfo                    a file; its text is what follows
    == proc/cpuinfo * 0-3              that text four times, {n} being 0 to 3; {n/2*2+1} or
                                       {n%4+4} count differently. The path may hold {n} too.
    == etc/machine-id = abc            a file of one line
    == run/systemd/system/             an empty folder
    == etc/os-release -> usr/lib/x     a link
    == proc/1/environ : a=b\\0c=d\\0     bytes, with escapes as in Python

Sections of the same path are put together. `machine(name, tmp_path)` makes the tree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.txt")))

_HEAD = re.compile(
    r"== (?P<path>\S+?)(?: \* (?P<first>\d+)-(?P<last>\d+)|(?P<how> [=:] |(?: -> ))(?P<value>.*))?"
)
_COUNTER = re.compile(r"\{n(?:/(\d+))?(?:%(\d+))?(?:\*(\d+))?(?:\+(\d+))?\}")


def machine(name: str, folder: Path) -> Path:
    """Make a golden machine's tree in an empty folder, and return that: a root to read from."""
    _, *sections = re.split(r"^(?=== )", (FOLDER / f"{name}.txt").read_text(), flags=re.MULTILINE)
    for section in sections:
        head, _, text = section.partition("\n")
        _make(folder, head, text.rstrip("\n") + "\n" * bool(text.strip()))
    return folder


def tree(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a root, and return that: a machine of which nothing else is known."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def _make(root: Path, head: str, text: str) -> None:
    found = _HEAD.fullmatch(head)
    assert found, f"not a section: {head}"
    path, how, value = found["path"], (found["how"] or "").strip(), found["value"]
    if path.endswith("/"):
        (root / path).mkdir(parents=True)
    elif how == "->":
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(value)
    elif how == ":":
        _append(root, path, value.encode().decode("unicode_escape").encode("latin-1"))
    elif how == "=":
        _append(root, path, f"{value}\n".encode())
    elif found["first"]:
        for n in range(int(found["first"]), int(found["last"]) + 1):
            blank = "" if "{n" in path else "\n"  # between the processors of /proc/cpuinfo
            _append(root, _counted(path, n), f"{_counted(text, n)}{blank}".encode())
    else:
        _append(root, path, text.encode())


def _append(root: Path, path: str, content: bytes) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    with (root / path).open("ab") as file:
        file.write(content)


def _counted(text: str, n: int) -> str:
    def number(found: re.Match[str]) -> str:
        divisor, modulus, factor, offset = (int(group or 0) for group in found.groups())
        counted = n // (divisor or 1)
        return str((counted % modulus if modulus else counted) * (factor or 1) + offset)

    return _COUNTER.sub(number, text)
