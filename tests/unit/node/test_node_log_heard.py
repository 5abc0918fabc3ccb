"""A job whose engine was away at its end: its report does not call the log whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nunet_dms.node.engine.types import EngineEvent, History
from nunet_dms.protocol import strict
from nunet_dms.protocol.report import Reason, Report
from nunet_dms.protocol.signing import Sealed
from tests.unit.node import test_node_full_disk as whole_job

life = whole_job.life


@pytest.mark.parametrize(
    ("actions", "is_whole", "complete"),
    [(("start", "die"), True, True), (("die",), False, True), ((), False, False)],
)
def test_a_report_calls_a_log_whole_only_if_the_engine_heard_its_end(
    life: Callable[[], whole_job.Life],
    monkeypatch: pytest.MonkeyPatch,
    actions: tuple[str, ...],
    *,
    is_whole: bool,
    complete: bool,
) -> None:
    """Containers outlive this engine, so that the exit code is believed in each case."""
    it = life()
    history = History(tuple(EngineEvent(0, each, None) for each in actions), is_whole)
    monkeypatch.setattr(it.engine, "history", lambda *_: history)
    it.live()
    report = strict.decode(Report, strict.decode(Sealed, it.oracle.reports[0]).payload)
    assert (report.reason, report.log_complete) == (Reason.SUCCEEDED, complete)
    assert report.log_bytes == len(it.oracle.log)
