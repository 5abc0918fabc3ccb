"""What was signed is on the disk before it is paid, private, whole, and found again."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from nunet_dms.errors import ConfigError, MalformedError, UsageError
from nunet_dms.requester import pay
from nunet_dms.requester.records import Records, SubmissionRecord, write_private
from tests.unit.requester.requester_world import (
    INFO,
    LEDGER,
    NOW_S,
    REQUEST,
    REQUESTER,
    SLOT,
    SPEC,
    WALLET,
    WANTED,
    funds,
    quote_of,
)


def record_of(nonce: str = "ab", signed_s: int = NOW_S) -> SubmissionRecord:
    """Return the record of a job that was signed."""
    quote = quote_of(replace(REQUEST, nonce=nonce * 16))
    checked = pay.check_quote(quote, WANTED, INFO, SLOT, NOW_S)
    return SubmissionRecord(
        oracle_url="http://127.0.0.1:9980",
        wallet="default",
        signed_s=signed_s,
        spec=SPEC,
        quote=quote,
        submission=pay.sign_submission(checked, WALLET, funds(), LEDGER),
    )


def test_a_record_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    kept = Records(tmp_path / "requests")
    record = record_of()
    kept.save(record)
    assert kept.find(record.job_id) == kept.find(record.job_id[:8]) == record
    kept.save(replace(record, submitted=True))
    assert kept.find(record.job_id) == replace(record, submitted=True)
    assert [path.name for path in (tmp_path / "requests").iterdir()] == [f"{record.job_id}.json"]


def test_records_are_for_their_owner_alone(tmp_path: Path) -> None:
    kept = Records(tmp_path / "requests")
    record = record_of()
    kept.save(record)
    path = tmp_path / "requests" / f"{record.job_id}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_no_secret_is_in_a_record(tmp_path: Path) -> None:
    kept = Records(tmp_path)
    kept.save(record_of())
    (path,) = tmp_path.iterdir()
    assert REQUESTER.seed.hex() not in path.read_text()


def test_all_records_are_listed_newest_first_and_other_files_left_alone(tmp_path: Path) -> None:
    kept = Records(tmp_path)
    old, new = record_of("aa", NOW_S), record_of("bb", NOW_S + 1)
    kept.save(old)
    kept.save(new)
    (tmp_path / "oracle-127.0.0.1-0.json").write_text("{}")
    assert kept.all() == (new, old)


def test_nothing_is_found_where_nothing_was_saved(tmp_path: Path) -> None:
    kept = Records(tmp_path / "absent")
    assert (kept.all(), kept.find("abcd")) == ((), None)


def test_a_prefix_of_several_jobs_or_too_short_a_one_is_refused(tmp_path: Path) -> None:
    kept = Records(tmp_path)
    record = record_of()
    kept.save(record)
    with pytest.raises(UsageError, match="give more of its id"):
        kept.find(record.job_id[:3])
    (tmp_path / f"{record.job_id[:6]}{'0' * 26}.json").write_text("{}")
    with pytest.raises(UsageError, match="give more of its id"):
        kept.find(record.job_id[:6])


@pytest.mark.parametrize("content", ["", "{}", '{"oracle_url": 1}'])
def test_a_broken_record_is_named_and_not_taken_for_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / f"{'0' * 32}.json"
    path.write_text(content)
    with pytest.raises(MalformedError, match=str(path)):
        Records(tmp_path).find("0000")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_private(path, b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nunet_dms.wholefile.os.fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        write_private(path, b"new")
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [("file", b"old")]


def test_a_record_from_before_payments_were_signed_elsewhere_is_read(tmp_path: Path) -> None:
    """It holds all that a refund needs; the quote in it did not tell its rates."""
    kept = Records(tmp_path)
    record = record_of()
    kept.save(record)
    path = tmp_path / f"{record.job_id}.json"
    old = json.loads(path.read_text())
    del old["unsigned"], old["pay_from"], old["quote"]["price_list"]
    path.write_text(json.dumps(old))
    assert kept.find(record.job_id) == replace(record, quote=replace(record.quote, price_list=None))
