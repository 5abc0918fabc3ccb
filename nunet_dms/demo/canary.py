"""The canary: a small job of which every byte is known beforehand, so that what is lost shows."""

from __future__ import annotations

import json
from dataclasses import dataclass

LINES_A_SECOND = 10
RAM_MB, DISK_MB = 64, 16
STARTS, ENDS = "starts", "ends"
"""Result files, one line for each time that the job began and ended."""

_PROGRAM = """
import os, time
out = os.environ["NUNET_OUTPUT_DIR"]
def note(name):
    with open(os.path.join(out, name), "a") as file: file.write(name + "\\n")
note("starts")
for number in range({lines}):
    print("canary line", number, flush=True)
    time.sleep({pause_s})
note("ends")
"""


@dataclass(frozen=True, slots=True)
class Canary:
    """A job that writes a line ten times a second for so long."""

    seconds: int

    @property
    def log(self) -> bytes:
        """Everything that it writes."""
        count = self.seconds * LINES_A_SECOND
        return b"".join(b"canary line %d\n" % number for number in range(count))

    def job_file(self, image: str, cpu_mhz: int) -> str:
        """Return its job.toml; it may take ten times as long on a machine that is busy."""
        program = _PROGRAM.format(lines=self.seconds * LINES_A_SECOND, pause_s=1 / LINES_A_SECOND)
        keys = {
            "image": image,
            "command": ["python3", "-c", program],
            "time_limit_s": 10 * self.seconds,
        }
        resources = {"cpu_mhz": cpu_mhz, "ram_mb": RAM_MB, "disk_mb": DISK_MB}
        lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        lines += ["[resources]", *(f"{key} = {value}" for key, value in resources.items())]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What both sides have of a canary in the end; amounts in base units."""

    reason: str
    log: bytes
    log_complete: bool
    starts: str
    ends: str
    settlements: int
    """How often the node noted that the job was settled."""
    due: int
    paid: int
    """What the verdict gives to the provider, and what its wallet has gained."""
    receipt_holds: bool
    containers: int
    """Left of the job."""


def losses(canary: Canary, found: Found) -> tuple[str, ...]:
    """Return what is missing, twice or wrong, a few words for each; nothing if all is well."""
    rules = (
        (found.reason == "succeeded", f"the job ended as {found.reason or 'nothing'}"),
        (found.log == canary.log, _log_words(canary.log, found.log)),
        (found.log_complete, "the log is not said to be complete"),
        (found.starts == f"{STARTS}\n", f"it began {_times(found.starts)}"),
        (found.ends == f"{ENDS}\n", f"it came to its end {_times(found.ends)}"),
        (found.settlements == 1, f"it was settled {found.settlements} times"),
        (found.paid == found.due, f"{found.paid} of {found.due} base units were paid"),
        (found.receipt_holds, "its receipt does not hold"),
        (found.containers == 0, f"{found.containers} containers are left"),
    )
    return tuple(words for holds, words in rules if not holds)


def _times(text: str) -> str:
    return f"{len(text.splitlines())} times"


def _log_words(expected: bytes, log: bytes) -> str:
    at = next(
        (n for n, (one, other) in enumerate(zip(expected, log, strict=False)) if one != other),
        min(len(expected), len(log)),
    )
    return f"the log is not the job's from byte {at} on ({len(log)} of {len(expected)} bytes)"
