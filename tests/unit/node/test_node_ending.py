"""How a job ended: the reason comes from several facts, and never from the exit code alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nunet_dms.node.ending import (
    UNTOLD,
    Ending,
    Evidence,
    Moment,
    classify,
    end_of,
    frozen_report,
    may_lack_output,
    ran_ms,
)
from nunet_dms.node.engine.types import EngineEvent, Facts, Failure, History
from nunet_dms.node.logs import EMPTY_LOG
from nunet_dms.node.rows import JobRow
from nunet_dms.protocol import strict
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.report import BLAME, PAY, Blame, Pay, Reason, Report, provider_share
from nunet_dms.protocol.signing import Domain, Sealed, open_sealed
from tests.unit.node.conftest import World

ENDED = Facts("c", "exited", 1000, 3500, 0, oom_killed=False, error="")
BOOT = "this boot"
LONG = {"finished_ms": 61_000}
"""Of a job whose limit is 60 s."""


def seen(*actions: str, is_whole: bool = True) -> History:
    """Return a history: `start`, then what is named, all at its end."""
    events = tuple(EngineEvent(3400, each, 15 if each == "kill" else None) for each in actions)
    return History((EngineEvent(1000, "start", None), *events) if is_whole else events, is_whole)


OWN = seen("die")
RESTARTED = seen("kill", "die", "stop", is_whole=False)
FORGOT = seen(is_whole=False)
TIMES_UP = {"stop_reason": "time_limit", "stop_ms": 3000}
CASES: list[tuple[dict[str, object] | None, dict[str, object], History, bool, str]] = [
    # facts, row, history, the engine keeps containers running, reason
    ({}, {}, OWN, False, "succeeded"),
    ({"exit_code": 7}, {}, OWN, False, "failed"),
    ({"exit_code": 137}, {}, OWN, False, "failed"),
    ({"exit_code": 137, "oom_killed": True}, {}, seen("oom", "die"), False, "out_of_memory"),
    ({"exit_code": 0, "oom_killed": True}, {}, OWN, False, "succeeded"),
    # our own stop
    ({"exit_code": 137}, TIMES_UP, seen("kill", "kill", "die", "stop"), False, "time_limit"),
    ({"exit_code": 0}, TIMES_UP, seen("kill", "die", "stop"), False, "time_limit"),
    ({"exit_code": 143}, TIMES_UP | {"stop_ms": 3500}, seen("die"), False, "time_limit"),
    ({"exit_code": 143}, TIMES_UP | {"stop_reason": "cancelled"}, OWN, False, "cancelled"),
    ({"exit_code": 1}, TIMES_UP | {"stop_reason": "disk_limit"}, OWN, False, "disk_limit"),
    ({"exit_code": 1}, TIMES_UP | {"stop_reason": "node_fault"}, OWN, False, "node_fault"),
    ({"exit_code": 9}, TIMES_UP | {"stop_reason": "payment_lost"}, OWN, True, "payment_lost"),
    ({}, TIMES_UP | {"stop_ms": 4000}, OWN, False, "succeeded"),  # it was quicker
    ({"exit_code": 143}, TIMES_UP, FORGOT, False, "time_limit"),  # our stop, then a restart
    # somebody else's, whatever the exit code
    ({"exit_code": 143}, {}, RESTARTED, False, "node_fault"),
    ({"exit_code": 137}, {}, RESTARTED, False, "node_fault"),
    ({"exit_code": 0}, {}, RESTARTED, False, "node_fault"),
    ({"exit_code": 137}, {}, seen("kill", "die"), True, "node_fault"),
    ({"exit_code": 1, "oom_killed": True}, {}, RESTARTED, False, "node_fault"),
    ({"exit_code": 143} | LONG, {}, seen("kill", "die", "stop"), True, "node_fault"),
    ({"exit_code": 143}, TIMES_UP | {"stop_ms": 4000}, seen("kill", "die"), False, "node_fault"),
    # nobody saw the end
    ({"exit_code": 7}, {}, FORGOT, False, "node_fault"),
    ({"exit_code": 143}, {}, FORGOT, False, "node_fault"),
    ({}, {}, FORGOT, False, "node_fault"),
    ({"exit_code": 7}, {}, FORGOT, True, "failed"),
    ({"exit_code": 137}, {}, FORGOT, True, "node_fault"),  # by hand, before the restart?
    ({"exit_code": 143}, {}, FORGOT, True, "node_fault"),
    ({}, {}, FORGOT, True, "succeeded"),
    ({}, {}, seen("die", is_whole=False), False, "succeeded"),
    ({}, {}, seen(), False, "succeeded"),
    # the deadline inside
    ({"exit_code": 143} | LONG, {}, OWN, False, "time_limit"),
    ({"exit_code": 0} | LONG, {}, OWN, False, "time_limit"),
    ({"exit_code": 143} | LONG, {}, FORGOT, True, "time_limit"),
    ({"exit_code": 137, "oom_killed": True} | LONG, {}, OWN, False, "out_of_memory"),
    # no facts
    ({"status": "created", "started_ms": None}, {}, seen(), False, "node_fault"),
    ({"status": "running"}, {}, seen(), True, "node_fault"),
    ({"status": "dead"}, {}, OWN, True, "node_fault"),
    ({"started_ms": None}, {}, OWN, True, "node_fault"),
    ({"finished_ms": None}, {}, OWN, True, "node_fault"),
    ({}, {"boot_id": "an earlier boot"}, OWN, True, "node_fault"),
    ({}, {"boot_id": "an earlier boot"} | TIMES_UP, OWN, True, "node_fault"),
    (None, {}, UNTOLD, True, "node_fault"),
    (None, TIMES_UP, UNTOLD, True, "node_fault"),
]


@pytest.mark.parametrize(("facts", "row", "history", "keeps", "reason"), CASES)
def test_the_reason_follows_from_the_facts(
    admit: Callable[..., JobRow],
    facts: dict[str, object] | None,
    row: dict[str, object],
    history: History,
    *,
    keeps: bool,
    reason: str,
) -> None:
    job = replace(admit(), **{"boot_id": BOOT, **row})
    known = None if facts is None else replace(ENDED, **facts)
    failure = classify(job, Evidence(known, history, keeps, BOOT, Moment(3600, 0)))
    assert failure.reason.value == reason
    assert (failure.detail == "") == (reason == "succeeded")


TIMES = st.sampled_from((None, 0, 999, 1000, 3000, 3500, 61_000))
HISTORIES = st.builds(
    History,
    st.lists(
        st.builds(
            EngineEvent,
            st.sampled_from((0, 1000, 3000, 3400, 61_000)),
            st.sampled_from(("start", "kill", "stop", "die", "oom", "destroy", "pause", "x")),
            st.sampled_from((None, 9, 15)),
        ),
        max_size=6,
    ).map(tuple),
    st.booleans(),
)
FACTS = st.builds(
    Facts,
    st.just("c"),
    st.sampled_from(("created", "running", "paused", "restarting", "removing", "exited", "dead")),
    TIMES,
    TIMES,
    st.sampled_from((-1, 0, 1, 7, 125, 126, 127, 137, 143, 255)),
    oom_killed=st.booleans(),
    error=st.just(""),
)


@given(
    facts=st.none() | FACTS, history=HISTORIES, keeps=st.booleans(),
    boot=st.sampled_from((BOOT, "")),
    stop=st.sampled_from(("", "cancelled", "time_limit", "node_fault")), stop_ms=TIMES,
    mono_ms=st.sampled_from((None, 0, 50)), seen_ms=st.sampled_from((0, 3600, 90_000_000)),
)  # fmt: skip
@settings(max_examples=1500, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_combination_has_a_reason_and_success_needs_all_of_its_facts(
    admitted: JobRow, facts: Facts | None, history: History, boot: str, stop: str,
    stop_ms: int | None, mono_ms: int | None, seen_ms: int, *, keeps: bool,
) -> None:  # fmt: skip
    job = replace(
        admitted, boot_id=boot, stop_reason=stop, stop_ms=stop_ms, started_mono_ms=mono_ms
    )
    evidence = Evidence(facts, history, keeps, BOOT, Moment(seen_ms, 3600))
    found = classify(job, evidence)
    assert ran_ms(job, evidence) >= 0
    if found.reason is Reason.SUCCEEDED:
        assert facts is not None
        assert (facts.status, facts.exit_code) == ("exited", 0)
        assert facts.started_ms is not None
        assert facts.finished_ms is not None
        assert ran_ms(job, evidence) < job.time_limit_s * 1000
        ours_ms = 10**9 if stop_ms is None else stop_ms
        assert all(e.at_ms >= ours_ms for e in history.events if e.action in {"kill", "stop"})
        assert keeps or history.is_whole or any(e.action == "die" for e in history.events)


def test_a_stop_of_ours_stands_where_the_clock_was_set_back_since(
    admit: Callable[..., JobRow],
) -> None:
    """Stopped three days ahead; then the clock was what it had been when the job started."""
    stop_ms = 3000 + 3 * 86_400_000
    stopped = replace(
        admit(), boot_id=BOOT, stop_reason="time_limit", stop_ms=stop_ms, started_mono_ms=10_000
    )
    killed = replace(ENDED, exit_code=137)
    evidence = Evidence(killed, seen("kill", "die"), False, BOOT, Moment(3600, 12_600))
    assert classify(stopped, evidence).reason is Reason.TIME_LIMIT


@pytest.mark.parametrize(
    ("finished_ms", "seen", "mono_ms", "run_ms"),
    [
        (3500, Moment(3600, 12_600), 10_000, 2500),  # nothing odd
        (3500, Moment(3_600_000, 3_610_000), 10_000, 2500),  # seen an hour later
        (86_403_500, Moment(86_403_600, 12_600), 10_000, 2500),  # set on by a day meanwhile
        (3500, Moment(86_403_600, 12_600), 10_000, 0),  # set on after the end: not proven
        (86_403_500, Moment(3600, 12_600), 10_000, 2600),  # set on, and back after the end
        (0, Moment(-80_000, 12_600), 10_000, 0),  # set back: nothing is proven
        (3_601_000, Moment(3_700_000, 3_709_000), 10_000, 3_600_000),  # long, and nothing odd
        (3_601_000, Moment(9_000_000, 3_610_000), 10_000, 0),  # set on while the end waited
        (3500, Moment(86_403_600, 12_600), None, 2500),  # a row of an older release
        (900, Moment(1000, 12_600), 12_595, 0),  # the engine noted the start after the end
    ],
)
def test_setting_the_clock_makes_no_job_longer(
    admitted: JobRow, finished_ms: int, seen: Moment, mono_ms: int | None, run_ms: int
) -> None:
    job = replace(admitted, boot_id=BOOT, started_ms=1000, started_mono_ms=mono_ms)
    facts = replace(ENDED, finished_ms=finished_ms)
    assert ran_ms(job, Evidence(facts, OWN, True, BOOT, seen)) == run_ms


@pytest.mark.parametrize(
    ("finished_ms", "exit_code", "seen", "reason"),
    [
        (3500, 0, Moment(-3_000_000, 600_000), Reason.SUCCEEDED),  # set back after the end
        (0, 0, Moment(-3_000_000, 600_000), Reason.SUCCEEDED),  # set back while it ran
        (86_403_500, 0, Moment(86_403_600, 600_000), Reason.SUCCEEDED),  # set on by a day
        (86_403_500, 143, Moment(86_403_600, 600_000), Reason.FAILED),
        (600_000, 143, Moment(600_100, 610_000), Reason.TIME_LIMIT),  # both clocks say so
    ],
)
def test_a_clock_that_was_set_says_nothing_of_the_limit(
    admitted: JobRow, finished_ms: int, exit_code: int, seen: Moment, reason: Reason
) -> None:
    job = replace(admitted, boot_id=BOOT, started_ms=1000, started_mono_ms=10_000)
    facts = replace(ENDED, finished_ms=finished_ms, exit_code=exit_code)
    assert classify(job, Evidence(facts, OWN, True, BOOT, seen)).reason is reason


@pytest.fixture
def admitted(admit: Callable[..., JobRow]) -> JobRow:
    return admit()


def test_the_report_is_sealed_by_the_node_and_says_what_the_journal_keeps(
    world: World, admit: Callable[..., JobRow]
) -> None:
    job = admit()
    ending = Ending(Failure(Reason.FAILED, "why"), ENDED, 2500, EMPTY_LOG, Manifest(), True)
    key, body = frozen_report(world.us, job, ending)
    sealed = strict.decode(Sealed, body)
    report = open_sealed(sealed, Report, Domain.REPORT, world.us.key.public)
    end = end_of(job, ending)
    assert key == f"{world.us.node_id}:{job.ticket_id}:report"
    assert (report.ran_ms, report.exit_code, report.reason) == (2500, 0, Reason.FAILED)
    assert (end.ran_ms, end.exit_code, end.reason) == (2500, 0, "failed")


def test_every_reason_has_a_consequence() -> None:
    assert set(PAY) == set(BLAME) == set(Reason)
    assert all(PAY[reason] is Pay.REFUND for reason in Reason if BLAME[reason] is Blame.NODE)


def test_a_start_that_came_long_after_it_was_asked_for_is_no_clock_that_was_set(
    admit: Callable[..., JobRow],
) -> None:
    """Asked at 1 s of the monotonic clock, started at 28 s, in a later life; seen at 31 s."""
    job = replace(admit(), boot_id=BOOT, started_mono_ms=1000, started_ms=None)
    facts = replace(ENDED, started_ms=28_000, finished_ms=30_000)
    seen_at = Moment(wall_ms=31_000, mono_ms=31_000)
    assert ran_ms(job, Evidence(facts, OWN, True, BOOT, seen_at)) == 2000


@pytest.mark.parametrize(
    ("facts", "history", "lacks"),
    [
        (ENDED, OWN, False),
        (ENDED, seen("kill", "die", "stop"), False),
        (ENDED, seen("die", is_whole=False), False),  # it outlived a restart of the engine
        (ENDED, FORGOT, True),
        (ENDED, RESTARTED, True),
        (None, UNTOLD, True),
    ],
)
def test_output_counts_as_whole_only_where_the_engine_was_there_to_take_it(
    facts: Facts | None, history: History, lacks: bool
) -> None:
    evidence = Evidence(facts, history, True, BOOT, Moment(4000, 4000))
    assert may_lack_output(evidence) is lacks


@pytest.mark.parametrize(
    ("reason", "ran_ms", "due"),
    [
        ("succeeded", 60_000, 1000), ("succeeded", 90_000, 1000), ("failed", 30_000, 500),
        ("cancelled", 1, 1), ("out_of_memory", 0, 0), ("time_limit", 60_000, 1000),
        ("node_fault", 60_000, 0), ("image_unavailable", 1, 0), ("succeeded", -5, 0),
    ],
)  # fmt: skip
def test_what_ran_is_paid_rounded_up_and_never_more_than_the_price(
    reason: str, ran_ms: int, due: int
) -> None:
    assert provider_share(1000, Reason(reason), ran_ms, time_limit_s=60) == due
