"""`nunet pause` and `nunet resume`: the owner's word, kept where the worker finds it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cli_world import Said

from nunet_dms.cli import pause
from nunet_dms.cli.pause import seconds_of
from nunet_dms.errors import UsageError
from nunet_dms.node.pause import Pause, read_pause
from nunet_dms.paths import Paths

Nunet = Callable[..., Said]
NOW_S = 1_800_000_000


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pause.time, "time", lambda: float(NOW_S))


def test_a_pause_without_an_end(nunet: Nunet, onboarded: Paths) -> None:
    assert nunet("pause") == Said(
        0, "no new jobs are taken until you type: nunet resume; those that run go on\n", ""
    )
    assert read_pause(onboarded.pause_file, NOW_S) == Pause(NOW_S)


def test_a_pause_for_a_while_names_its_end(nunet: Nunet, onboarded: Paths) -> None:
    assert nunet("pause", "--for", "2h") == Said(
        0, "no new jobs are taken until 2027-01-15 10:00:00 +0000; those that run go on\n", ""
    )
    assert read_pause(onboarded.pause_file, NOW_S) == Pause(NOW_S, NOW_S + 7200)


@pytest.mark.usefixtures("onboarded")
def test_its_facts_are_json(nunet: Nunet) -> None:
    assert json.loads(nunet("pause", "--for", "1min", "--json").out) == {
        "schema": "nunet.pause/1",
        "since_s": NOW_S,
        "until_s": NOW_S + 60,
    }


def test_resume_takes_jobs_again(nunet: Nunet, onboarded: Paths) -> None:
    nunet("pause")
    assert nunet("resume") == Said(0, "new jobs are taken again\n", "")
    assert read_pause(onboarded.pause_file, NOW_S) is None
    assert nunet("resume", "--json").out == '{"schema": "nunet.resume/1", "was_paused": false}\n'


@pytest.mark.usefixtures("full_disk")
def test_a_pause_that_cannot_be_written_is_one_line(nunet: Nunet, onboarded: Paths) -> None:
    assert nunet("pause") == Said(
        1, "", f"nunet: cannot write {onboarded.pause_file}: No space left on device\n"
    )


def test_a_pause_that_cannot_be_lifted_is_one_line(nunet: Nunet, onboarded: Paths) -> None:
    onboarded.pause_file.mkdir(parents=True)
    assert nunet("resume") == Said(
        1, "", f"nunet: cannot remove {onboarded.pause_file}: Is a directory\n"
    )


def test_settings_that_cannot_be_used_do_not_keep_their_owner_from_pausing(
    nunet: Nunet, onboarded: Paths
) -> None:
    onboarded.config_file.write_text("[wallet\n")
    assert nunet("pause").code == 0
    assert read_pause(onboarded.pause_file, NOW_S) is not None
    assert nunet("resume").code == 0


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_machine_that_is_not_onboarded_exits_3(command: str, nunet: Nunet, home: Paths) -> None:
    assert nunet(command).code == 3
    assert not home.pause_file.exists()


@pytest.mark.parametrize(
    ("span", "seconds"),
    [("1s", 1), ("30min", 1800), ("30m", 1800), ("2h", 7200), ("1d", 86_400), ("1h30min", 5400)],
)
def test_a_length_of_time_is_read(span: str, seconds: int) -> None:
    assert seconds_of(span) == seconds


@pytest.mark.parametrize("span", ["2", "h", "-1h", "1.5h", "2 h", "0s", "367d", "1y", "٢h"])
def test_what_is_no_length_of_time_is_refused(span: str) -> None:
    with pytest.raises(UsageError, match="cannot pause for"):
        seconds_of(span)
