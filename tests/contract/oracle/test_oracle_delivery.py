"""What the node's own delivery does against a real Oracle: at every cut, once, and honestly."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import BinaryIO

import pytest
from oracle_world import Node, Requester, World

from nunet_dms.errors import NunetError, OracleUnreachableError, RefusedError
from nunet_dms.node.delivery import UndeliverableError, deliver, save_results, ship_log
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.oracle_client import OracleClient
from nunet_dms.oracle import conflicts
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import LOG_CHUNK_MAX_BYTES
from nunet_dms.protocol.report import Reason, Report
from nunet_dms.protocol.signing import Domain, seal
from nunet_dms.protocol.submission import JobView

LOG = b"one\n\xff\x00two\n"
RESULTS = {"a.txt": b"some content", "deep/b.bin": bytes(range(256)) * 40}


class Cut(io.RawIOBase):
    """A file that breaks off after so many bytes, as a worker that is killed does."""

    def __init__(self, content: BinaryIO, after: int) -> None:
        self._content, self._left = content, after

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            raise OracleUnreachableError("cannot reach the Oracle")
        part = self._content.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(part)
        return part

    def tell(self) -> int:
        return self._content.tell()


class CutClient(OracleClient):
    """The node's client; each upload of a file stops after so many bytes."""

    after: int | None = None

    def put_blob(self, sha256: str, content: BinaryIO) -> None:
        if self.after is None:
            super().put_blob(sha256, content)
        else:
            super().put_blob(sha256, Cut(content, self.after))  # type: ignore[arg-type]


@pytest.fixture
def client(node: Node) -> CutClient:
    return CutClient(node.http, node.node_id)


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    """A job that has ended, with a log and results."""
    made = JobFolder(tmp_path / "job")
    made.inputs.mkdir(parents=True)
    for name, content in RESULTS.items():
        (made.outputs / name).parent.mkdir(parents=True, exist_ok=True)
        (made.outputs / name).write_bytes(content)
    made.log.write_bytes(LOG)
    save_results(made, made.collect(1_000_000)[0])
    return made


@pytest.fixture
def body(node: Node, running_job: tuple[JobView, str], folder: JobFolder) -> bytes:
    """Its frozen report."""
    return frozen(node, running_job, folder)


def frozen(
    node: Node, running_job: tuple[JobView, str], folder: JobFolder, **changes: object
) -> bytes:
    job, ticket_id = running_job
    found = {
        "log_bytes": len(LOG),
        "log_sha256": hashlib.sha256(LOG).hexdigest(),
        "results_hash": folder.collect(1_000_000)[0].digest,
    }
    report: Report = node.report(job.job_id, ticket_id, **found | changes)
    return strict.encode(seal(report, Domain.REPORT, node.key))


@pytest.mark.parametrize("after", [0, 1, 5, len(RESULTS["a.txt"]) - 1, 5000])
def test_an_upload_that_breaks_off_anywhere_is_begun_anew_and_reported_last(
    client: CutClient, requester: Requester, running_job: tuple[JobView, str],
    folder: JobFolder, body: bytes, after: int,
) -> None:  # fmt: skip
    job_id = running_job[0].job_id
    client.after = after
    with pytest.raises(OracleUnreachableError):
        deliver(client, job_id, folder, body)
    assert requester.job(job_id).state.value == "running", "the report waits for the results"
    client.after = None
    deliver(client, job_id, folder, body)
    deliver(client, job_id, folder, body)
    seen = requester.job(job_id)
    assert (seen.reason, seen.log_complete, seen.log_bytes) == (Reason.SUCCEEDED, True, len(LOG))


@pytest.mark.parametrize("lost", ["a.txt", "deep/b.bin", "deep", "", "results.json"])
def test_a_result_that_is_gone_is_said_and_not_tried_for_ever(
    client: CutClient, running_job: tuple[JobView, str], folder: JobFolder, body: bytes, lost: str
) -> None:
    place = folder.path if lost == "results.json" else folder.outputs
    (place / lost).rename(folder.path / "elsewhere")
    with pytest.raises(UndeliverableError, match="gone from this machine"):
        deliver(client, running_job[0].job_id, folder, body)


def test_a_result_that_is_another_now_is_said_and_not_tried_for_ever(
    client: CutClient, running_job: tuple[JobView, str], folder: JobFolder, body: bytes
) -> None:
    (folder.outputs / "a.txt").write_bytes(b"Some content")
    with pytest.raises(UndeliverableError, match="not what it was"):
        deliver(client, running_job[0].job_id, folder, body)


def test_a_second_report_is_refused_for_good(
    world: World, node: Node, client: CutClient, running_job: tuple[JobView, str],
    folder: JobFolder, body: bytes,
) -> None:  # fmt: skip
    job_id = running_job[0].job_id
    deliver(client, job_id, folder, body)
    other = frozen(node, running_job, folder, ran_ms=1)
    with pytest.raises(UndeliverableError, match="report_conflict"):
        deliver(client, job_id, folder, other)
    assert [each.job_id for each in conflicts.find(world.oracle)] == [job_id]


def test_a_log_that_grew_after_the_report_does_not_undo_it(
    client: CutClient, running_job: tuple[JobView, str], folder: JobFolder, body: bytes
) -> None:
    """The answer to the report was lost, and so was the news that the log was full."""
    deliver(client, running_job[0].job_id, folder, body)
    folder.log.write_bytes(LOG + b"more")
    deliver(client, running_job[0].job_id, folder, body)


@pytest.mark.parametrize("kept", [b"", LOG[:5], b"other bytes, longer than the Oracle's copy"])
def test_a_node_whose_log_was_lost_ends_and_the_log_is_not_called_whole(
    node: Node, client: CutClient, requester: Requester, running_job: tuple[JobView, str],
    folder: JobFolder, kept: bytes,
) -> None:  # fmt: skip
    job_id = running_job[0].job_id
    assert ship_log(client, job_id, folder.log, 0) == len(LOG)
    folder.log.write_bytes(kept)
    body = frozen(
        node, running_job, folder, log_bytes=len(kept), log_sha256=hashlib.sha256(kept).hexdigest()
    )
    deliver(client, job_id, folder, body)
    assert requester.job(job_id).log_complete is False


def test_a_backlog_of_many_chunks_goes_out_at_once_from_where_the_oracle_is(
    client: CutClient, requester: Requester, running_job: tuple[JobView, str], folder: JobFolder
) -> None:
    job_id, said = running_job[0].job_id, bytes(3 * LOG_CHUNK_MAX_BYTES + 7)
    folder.log.write_bytes(said)
    assert client.put_log(job_id, 0, said[:100]) == 100
    assert ship_log(client, job_id, folder.log, 0) == 100, "it says where to go on"
    assert ship_log(client, job_id, folder.log, 100) == len(said)
    assert requester.job(job_id).log_bytes == len(said)


def test_what_a_job_wrote_past_the_limit_reaches_the_requester_as_a_number(
    node: Node, client: CutClient, requester: Requester, running_job: tuple[JobView, str],
    folder: JobFolder,
) -> None:  # fmt: skip
    body = frozen(node, running_job, folder, log_complete=False, log_dropped_bytes=12_345)
    deliver(client, running_job[0].job_id, folder, body)
    seen = requester.job(running_job[0].job_id)
    assert (seen.log_complete, seen.log_dropped_bytes) == (False, 12_345)


def test_a_report_from_before_that_number_was_counted_is_still_taken(
    node: Node, running_job: tuple[JobView, str], requester: Requester
) -> None:
    """A report frozen by an older node, byte for byte: it has no such field."""
    job, ticket_id = running_job
    node.put_results(job.job_id, {})
    tree = strict.to_plain(node.report(job.job_id, ticket_id))
    assert tree.pop("log_dropped_bytes") == 0
    text = strict.encode(tree).decode()
    assert strict.decode(Report, text).log_dropped_bytes == 0


def test_a_refusal_that_another_try_may_turn_is_not_final(
    client: CutClient, running_job: tuple[JobView, str], folder: JobFolder, body: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def forgotten(_sha256: str, _content: BinaryIO) -> None:
        raise RefusedError("not_granted", "cannot take the blob")

    monkeypatch.setattr(client, "put_blob", forgotten)
    with pytest.raises(NunetError) as caught:
        deliver(client, running_job[0].job_id, folder, body)
    assert not isinstance(caught.value, UndeliverableError)
