"""A weekly schedule: one line of text, open or shut at every minute of the week."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.errors import UsageError
from nunet_dms.schedule import DAYS, TEXT_MAX_CHARS, WEEK, parse

MONDAY = datetime(2024, 1, 1)  # noqa: DTZ001 - local time has no zone here
NIGHTS = "mon-fri 18:00-08:00, sat-sun"

times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
ends = times | st.just("24:00")
spans = st.tuples(times, ends).filter(lambda pair: pair[0] != pair[1]).map("-".join)
day_names = st.sampled_from(DAYS)
days = day_names | st.tuples(day_names, day_names).map("-".join) | st.just("daily")
entries = days | st.tuples(days, spans).map(" ".join)
texts = st.lists(entries, min_size=1, max_size=8).map(", ".join) | st.sampled_from(
    ["always", "never"]
)
moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 - as above


def at(day: str, clock: str) -> datetime:
    hours, minutes = clock.split(":")
    return MONDAY + timedelta(days=DAYS.index(day), hours=int(hours), minutes=int(minutes))


@pytest.mark.parametrize(
    ("text", "day", "clock", "is_open"),
    [
        ("always", "wed", "12:00", True),
        ("never", "wed", "12:00", False),
        (NIGHTS, "mon", "07:59", False),  # Sunday's day ends at midnight
        (NIGHTS, "mon", "17:59", False),
        (NIGHTS, "mon", "18:00", True),
        (NIGHTS, "tue", "07:59", True),
        (NIGHTS, "tue", "08:00", False),
        (NIGHTS, "sat", "12:00", True),
        (NIGHTS, "sun", "23:59", True),
        ("sun 22:00-06:00", "mon", "05:59", True),  # over the end of the week
        ("sun 22:00-06:00", "mon", "06:00", False),
        ("fri-mon", "sun", "12:00", True),
        ("fri-mon", "mon", "23:59", True),
        ("fri-mon", "tue", "00:00", False),
        ("daily 9:00-17:00", "thu", "09:00", True),
        ("daily 20:00-24:00", "thu", "23:59", True),
        ("daily 20:00-24:00", "fri", "00:00", False),
        ("MON;  Wed\t00:00-12:00", "wed", "11:59", True),
        ("tue-tue", "wed", "00:00", False),
        ("mon - fri 18:00 - 08:00", "tue", "07:00", True),
    ],
)
def test_it_is_open_when_the_text_says_so(text: str, day: str, clock: str, is_open: bool) -> None:
    assert parse(text).is_open(at(day, clock)) is is_open


@pytest.mark.parametrize(
    ("text", "day", "clock", "change"),
    [
        (NIGHTS, "mon", "12:00", at("mon", "18:00")),
        (NIGHTS, "mon", "18:00", at("tue", "08:00")),
        (NIGHTS, "fri", "18:00", MONDAY + timedelta(days=7)),  # three entries meet without a gap
        ("sun 22:00-06:00", "sun", "23:00", MONDAY + timedelta(days=7, hours=6)),
        ("mon", "mon", "00:00", at("tue", "00:00")),
        ("mon", "tue", "00:00", MONDAY + timedelta(days=7)),
        ("daily 20:00-24:00", "mon", "20:00", at("tue", "00:00")),
    ],
)
def test_the_next_change_is_the_next_full_minute_that_opens_or_shuts(
    text: str, day: str, clock: str, change: datetime
) -> None:
    assert parse(text).next_change(at(day, clock) + timedelta(seconds=31)) == change


@pytest.mark.parametrize("text", ["always", "never", "daily", "mon-sun 08:00-20:00, daily"])
def test_what_never_changes_has_no_next_change(text: str) -> None:
    assert parse(text).next_change(MONDAY) is None


@given(texts, moments)
def test_it_flips_exactly_at_its_next_change(text: str, now: datetime) -> None:
    schedule = parse(text)
    change = schedule.next_change(now)
    minutes = WEEK if change is None else int((change - now) / timedelta(minutes=1))
    assert 0 <= minutes <= WEEK
    for minute in range(0, minutes, 13):  # the change itself is no longer alike
        assert schedule.is_open(now + timedelta(minutes=minute)) is schedule.is_open(now)
    if change is not None:
        before = change - timedelta(microseconds=1)
        assert now < change
        assert schedule.is_open(before) is schedule.is_open(now)
        assert schedule.is_open(change) is not schedule.is_open(now)


@given(texts)
def test_its_text_is_read_as_the_same_schedule_again(text: str) -> None:
    schedule = parse(text)
    assert parse(schedule.text) == schedule


@given(st.lists(st.tuples(day_names, spans), min_size=1, max_size=5), st.integers(0, WEEK - 1))
def test_it_is_open_where_one_of_its_entries_is(pairs: list[tuple[str, str]], minute: int) -> None:
    now = MONDAY + timedelta(minutes=minute)
    alone = [parse(f"{day} {span}").is_open(now) for day, span in pairs]
    together = parse(";".join(f"{day} {span}" for day, span in pairs))
    assert together.is_open(now) is any(alone)


@given(st.text(max_size=40) | st.text("monsat-,; :0123", max_size=20))
def test_no_text_raises_anything_but_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        spans = parse(text).spans
        assert all(0 <= begin < end <= WEEK for begin, end in spans)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "an entry is empty"),
        ("mon,", "an entry is empty"),
        ("moon 18:00-20:00", "'moon' is no day; days are mon, tue, wed, thu, fri, sat, sun and"),
        ("18:00-20:00", "'18:00' is no day"),
        ("always, mon", "'always' is no day"),
        ("mon-tue-wed", "'mon-tue-wed' must be a day or two, such as mon-fri"),
        ("mon 18-20", "'18-20' must be a span of time, such as 18:00-08:00"),
        ("mon 18:00-20:00 21:00-22:00", "'mon 18:00-20:00 21:00-22:00' must be days and one span"),
        ("mon 25:00-26:00", "25:00 is no time of day"),
        ("mon 12:60-13:00", "12:60 is no time of day"),
        ("mon 12:00-24:01", "24:01 is no time of day"),
        ("mon 24:00-08:00", "'24:00-08:00' begins at 24:00; write 00:00 of the next day"),
        ("mon 08:00-08:00", "'08:00-08:00' has no length; leave it out for the whole day"),
        ("mon " * TEXT_MAX_CHARS, f"it has over {TEXT_MAX_CHARS} characters"),
    ],
)
def test_the_wrong_part_is_named(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert str(caught.value).startswith(f"cannot read the schedule: {why}")
    assert caught.value.hint == "such as: always, never, or mon-fri 18:00-08:00, sat-sun"


def test_the_time_zone_of_the_question_is_the_answer_s() -> None:
    zone = timezone(timedelta(hours=5, minutes=45))
    change = parse("sat 20:00-08:00").next_change(at("sat", "23:00").replace(tzinfo=zone))
    assert change == at("sun", "08:00").replace(tzinfo=zone)
