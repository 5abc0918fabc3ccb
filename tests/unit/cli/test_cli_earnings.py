"""`nunet earnings`: what was paid and what is pending, from the journal alone."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable

import pytest
from cli_world import ADMITTED_MS, JOB, OTHER_JOB, PIN, Said, admit

from nunet_dms.cli import earnings
from nunet_dms.node.journal import Journal
from nunet_dms.node.rows import DECLINED, JobEnd
from nunet_dms.node.states import State
from nunet_dms.paths import Paths

Nunet = Callable[..., Said]
DAY_MS = 86_400_000
LOST_JOB, THIRD_JOB = "ad" * 16, "ae" * 16
TX_ID = "fe" * 32
ZONE = "XYZ-09"  # nine hours before UTC's midnight there is midnight


@pytest.fixture
def worked(onboarded: Paths) -> Journal:
    """A journal of a job that was paid two days later, one that runs, one lost, one declined."""
    now = [ADMITTED_MS]
    journal = Journal(onboarded.journal, lambda: now[0])
    journal.pin_oracle("http://127.0.0.1:9980", PIN)
    admit(journal)
    job = journal.move(journal.job(JOB), State.ACCEPTED)
    end = JobEnd("succeeded", "", 0, 30_000, None, None, ADMITTED_MS + 60_000)
    job = journal.reported(journal.ended(job, end, "one", b"{}"))
    job = journal.signed(job, 250, TX_ID)
    now[0] += 2 * DAY_MS
    journal.settled(job, 250, TX_ID)
    admit(journal, OTHER_JOB)
    job = journal.move(journal.job(OTHER_JOB), State.ACCEPTED)
    job = journal.move(journal.created(job, "c" * 64, "i"), State.STARTING)
    journal.started(job, 1, "boot", 1)
    now[0] += 20 * DAY_MS
    admit(journal, LOST_JOB)
    job = journal.move(journal.job(LOST_JOB), State.ACCEPTED)
    end = JobEnd("succeeded", "", 0, 30_000, None, None, None)
    journal.parked(journal.ended(job, end, "lost", b"{}"), "=1+1 not_running\x1b[2J")
    admit(journal, THIRD_JOB)
    job = journal.move(journal.job(THIRD_JOB), State.ACCEPTED)
    journal.reported(journal.ended(job, end, "three", b"{}"))
    journal.note(THIRD_JOB, DECLINED, "cannot co-sign: it pays 1")
    journal.close()
    return journal


def test_before_the_first_job_there_is_nothing(nunet: Nunet) -> None:
    assert nunet("earnings") == Said(0, "no jobs yet\n", "")
    facts = json.loads(nunet("earnings", "--json").out)
    assert (facts["schema"], facts["paid"], facts["jobs"]) == ("nunet.earnings/1", 0, [])
    assert nunet("earnings", "--csv").out == ",".join(earnings.CSV_COLUMNS) + "\n"


@pytest.mark.usefixtures("worked")
def test_the_whole_page(nunet: Nunet) -> None:
    assert nunet("earnings") == Said(
        0,
        """\
paid      0.00025 mNTX for 1 jobs
pending   0.00075 mNTX for 2 jobs; it may become less, since jobs run

MONTH    JOBS  PAID          PENDING
2023-11  2     0.00025 mNTX  0.0005 mNTX
2023-12  2     0 mNTX        0.00025 mNTX

DAY         JOBS  PAID          PENDING
2023-11-16  2     0.00025 mNTX  0.0005 mNTX
2023-12-06  2     0 mNTX        0.00025 mNTX

JOB           AT                         STATE     REASON     PAID          PENDING       WAITS FOR
abababababab  2023-11-16T22:13:20+00:00  settled   succeeded  0.00025 mNTX  0 mNTX
acacacacacac  2023-11-16T22:13:20+00:00  running              0 mNTX        0.0005 mNTX   its end: it runs
adadadadadad  2023-12-06T22:13:20+00:00  lost      succeeded  0 mNTX        0 mNTX        nothing comes of it: =1+1 not_running\\x1b[2J
aeaeaeaeaeae  2023-12-06T22:13:20+00:00  reported  succeeded  0 mNTX        0.00025 mNTX  a settlement that this node can sign: cannot co-sign: it pays 1
""",  # noqa: E501 - as it is printed
        "",
    )


@pytest.mark.usefixtures("worked")
def test_csv_is_for_spreadsheets(nunet: Nunet) -> None:
    said = nunet("earnings", "--csv", "--utc")
    assert said == Said(
        0,
        f"""\
job_id,state,reason,taken,ended,at,paid,pending,at_most,waits_for,price,token,token_decimals,settlement_tx_id
{JOB},settled,succeeded,2023-11-14T22:13:20+00:00,2023-11-14T22:14:20+00:00,2023-11-16T22:13:20+00:00,250,0,0,nothing,500,mNTX,6,{TX_ID}
{OTHER_JOB},running,,2023-11-16T22:13:20+00:00,,2023-11-16T22:13:20+00:00,0,500,1,end,500,mNTX,6,
{LOST_JOB},lost,succeeded,2023-12-06T22:13:20+00:00,,2023-12-06T22:13:20+00:00,0,0,0,never,500,mNTX,6,
{THIRD_JOB},reported,succeeded,2023-12-06T22:13:20+00:00,,2023-12-06T22:13:20+00:00,0,250,0,our_signature,500,mNTX,6,
""",
        "",
    )
    rows = list(csv.DictReader(io.StringIO(said.out)))
    facts = json.loads(nunet("earnings", "--json").out)
    for name in ("paid", "pending"):
        total = sum(int(row[name]) for row in rows)
        assert total == facts[name] == sum(job[name] for job in facts["jobs"])
        assert total == sum(day[name] for day in facts["days"])
        assert total == sum(month[name] for month in facts["months"])


@pytest.mark.usefixtures("worked")
def test_days_are_this_machine_s_or_utc_s(nunet: Nunet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ZONE)
    time.tzset()
    facts = json.loads(nunet("earnings", "--json").out)
    assert [day["name"] for day in facts["days"]] == ["2023-11-17", "2023-12-07"]
    assert "2023-11-17T07:13:20+09:00" in nunet("earnings", "--csv").out
    facts = json.loads(nunet("earnings", "--json", "--utc").out)
    assert [day["name"] for day in facts["days"]] == ["2023-11-16", "2023-12-06"]


@pytest.mark.parametrize(
    ("since", "jobs"),
    [
        ("2023-11-16", 4),
        ("2023-11-17", 2),
        ("2023-12-06", 2),
        ("2023-12-07", 0),
        ("0d", 0),
        ("1d", 2),  # yesterday and today
        ("20d", 2),
        ("21d", 4),
        ("999999d", 4),
    ],
)
@pytest.mark.usefixtures("worked")
def test_since_a_day_or_so_many_days_ago(
    since: str, jobs: int, nunet: Nunet, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = (ADMITTED_MS + 23 * DAY_MS) / 1000  # 2023-12-07
    monkeypatch.setattr(earnings.time, "time", lambda: now_s)
    facts = json.loads(nunet("earnings", "--since", since, "--json").out)
    assert len(facts["jobs"]) == jobs
    if not jobs:
        assert nunet("earnings", "--since", since).out == "no jobs since then\n"


@pytest.mark.usefixtures("worked")
def test_a_day_begins_at_its_own_zone_s_midnight(
    nunet: Nunet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", ZONE)
    time.tzset()
    assert len(json.loads(nunet("earnings", "--since", "2023-12-07", "--json").out)["jobs"]) == 2
    words = ("earnings", "--since", "2023-12-07", "--utc", "--json")
    assert json.loads(nunet(*words).out)["jobs"] == []


@pytest.mark.parametrize("since", ["yesterday", "7", "d", "-1d", "2023-13-01", "2023-2-1", "٣d"])
def test_a_wrong_since_is_2(since: str, nunet: Nunet) -> None:
    said = nunet("earnings", f"--since={since}")
    assert (said.code, said.out) == (2, "")
    assert "give a day such as 2026-11-01, or 7d" in said.err


def test_csv_and_json_are_not_given_both(nunet: Nunet) -> None:
    assert nunet("earnings", "--csv", "--json").code == 2


def test_without_a_pinned_oracle_amounts_are_base_units(nunet: Nunet, journal: Journal) -> None:
    admit(journal)
    out = nunet("earnings").out
    assert out.startswith(
        """\
paid      0 base units for 0 jobs
pending   500 base units for 1 jobs; it may become less, since jobs run
note      no Oracle has told the token's decimals yet: these are base units
"""
    )
    assert json.loads(nunet("earnings", "--json").out)["token_decimals"] is None
    assert ",500,,,\n" in nunet("earnings", "--csv").out


def test_a_token_without_a_plain_name_is_shown_as_hex(nunet: Nunet, journal: Journal) -> None:
    name = b"=cmd".hex().encode()
    journal.pin_oracle("http://x", b'{"token_name":"' + name + b'","token_decimals":0}')
    admit(journal)
    assert f"500 {name.decode()} for 1 jobs" in nunet("earnings").out
