"""The judge: Scalus's ledger in a Node.js process, asked over lines of JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nunet_dms.cardano.cbor import MAP, Cursor, encode
from nunet_dms.cardano.output import TxOutput, encode_output, read_output
from nunet_dms.cardano.transaction import TxInput

T = TypeVar("T")
Question = tuple[bytes, int, bytes]
"""A UTxO map, the slot, and the transaction's bytes."""

FOLDER = Path(__file__).parent / "scalus"
IN_FLIGHT = 8
"""Questions asked before the first answer is read: enough to keep the process busy, and far
too few to fill a pipe."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a ledger said of a transaction; `why` is empty when it took it."""

    accepted: bool
    why: str = ""


def missing() -> str | None:
    """Return what the judge lacks on this machine, None when it can be asked."""
    if shutil.which("node") is None:
        return "Node.js is not installed"
    if not (FOLDER / "node_modules" / "scalus").is_dir():
        return f"scalus is not installed: npm ci --prefix {FOLDER}"
    return None


def utxo_map(unspent: Mapping[TxInput, TxOutput]) -> bytes:
    """Return a UTxO set as the ledger's CDDL writes it."""
    pairs = [
        encode([ref.tx_id, ref.index]) + encode_output(output) for ref, output in unspent.items()
    ]
    head = encode(dict.fromkeys(range(len(pairs)), 0))[: 1 if len(pairs) < 24 else 2]
    return head + b"".join(pairs)


def read_utxo_map(raw: bytes) -> dict[TxInput, TxOutput]:
    """Read a UTxO set; sizes are the judge's own encoding's, so they are left out."""
    cursor = Cursor(raw)
    found = {}
    for _ in cursor.items(MAP):
        tx_id, index = cursor.value()  # type: ignore[misc]
        output = read_output(cursor)
        found[TxInput(tx_id, index)] = TxOutput(output.address, output.value)
    cursor.finish()
    return found


class Scalus:
    """One process; not for several threads at once."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._asks, self._answers = process.stdin, process.stdout

    def open(self, unspent: Mapping[TxInput, TxOutput], slot: int) -> None:
        """Start a ledger that later calls go on with."""
        self._ask({"utxos": utxo_map(unspent).hex(), "slot": slot})

    def set_slot(self, slot: int) -> None:
        """Move the opened ledger's time."""
        self._ask({"slot": slot})

    def submit(self, raw: bytes) -> Verdict:
        """Hand a transaction to the opened ledger, which takes it or leaves it."""
        return _verdict(self._ask({"tx": raw.hex()}))

    def holdings(self) -> dict[TxInput, TxOutput]:
        """Return the opened ledger's UTxO set."""
        return read_utxo_map(bytes.fromhex(self._ask({"holdings": True})["utxos"]))

    def judge(self, questions: Iterable[tuple[T, Question]]) -> Iterator[tuple[T, Verdict]]:
        """Judge each transaction in a ledger of its own; what it is about comes back with it."""
        waiting: deque[T] = deque()
        for about, (utxos, slot, raw) in questions:
            self._send({"utxos": utxos.hex(), "slot": slot, "tx": raw.hex()})
            waiting.append(about)
            if len(waiting) > IN_FLIGHT:
                yield waiting.popleft(), _verdict(self._receive())
        while waiting:
            yield waiting.popleft(), _verdict(self._receive())

    def run(self, scripts: Iterable[bytes]) -> list[tuple[int, int] | None]:
        """Return the memory and steps that each Plutus V3 script uses, None where it fails."""
        runs = self._ask({"scripts": [encode(script).hex() for script in scripts]})["runs"]
        return [None if used is None else (used[0], used[1]) for used in runs]

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        self._send(question)
        return self._receive()

    def _send(self, question: dict[str, Any]) -> None:
        self._asks.write(json.dumps(question) + "\n")
        self._asks.flush()

    def _receive(self) -> dict[str, Any]:
        line = self._answers.readline()
        assert line, "the judge has ended; its last words are on stderr"
        answer: dict[str, Any] = json.loads(line)
        assert "fault" not in answer, answer["fault"]
        return answer


@contextmanager
def scalus() -> Iterator[Scalus]:
    """Start a judge, and end it whatever happens."""
    with subprocess.Popen(
        ["node", str(FOLDER / "judge.mjs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Scalus(process)
        finally:
            process.kill()


def _verdict(answer: dict[str, Any]) -> Verdict:
    return Verdict(answer["accepted"], answer.get("error", ""))
