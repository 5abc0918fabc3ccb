"""When a machine takes jobs: a week of hours, in local time.

A schedule is one line of text: `always`, `never`, or entries separated by commas or semicolons,
such as `mon-fri 18:00-08:00, sat-sun`. An entry is days (`mon`, `fri-mon`, `daily`) and a span of
time; a span that ends before it begins runs over midnight into the next day, and no span means
the whole day. Times are what the clock on the wall shows: a change to summer time moves nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from nunet_dms.errors import UsageError

TEXT_MAX_CHARS = 500
"""A different span for each day takes 110 characters."""
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""In the order of `datetime.weekday`."""
DAILY, ALWAYS, NEVER = "daily", "always", "never"
DAY = 24 * 60
"""Minutes of a day."""
WEEK = len(DAYS) * DAY
"""Minutes of a week; it begins with Monday, 00:00."""

_SPAN = re.compile(r"([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A week of hours, open or shut; made by `parse`."""

    text: str
    """As it was given, in lower case and without needless spaces."""
    spans: tuple[tuple[int, int], ...]
    """First minute of the week and the one after the last; in order, apart from one another."""

    def is_open(self, local: datetime) -> bool:
        """Say whether jobs are taken at this local time."""
        return self._is_open_at(_minute_of(local))

    def next_change(self, local: datetime) -> datetime | None:
        """Return the first full minute after `local` that opens or shuts; None if none ever does.

        The answer has the time zone of `local`, or none as it has none.
        """
        now = _minute_of(local)
        edges = {edge % WEEK for span in self.spans for edge in span}
        waits = [
            (edge - now) % WEEK or WEEK
            for edge in edges
            if self._is_open_at(edge) != self._is_open_at((edge - 1) % WEEK)
        ]
        if not waits:
            return None
        return local.replace(second=0, microsecond=0) + timedelta(minutes=min(waits))

    def _is_open_at(self, minute: int) -> bool:
        return any(begin <= minute < end for begin, end in self.spans)


def parse(text: str) -> Schedule:
    """Read a schedule as a person gives it; raises UsageError that names the part that is wrong."""
    if len(text) > TEXT_MAX_CHARS:
        raise _wrong(f"it has over {TEXT_MAX_CHARS} characters")
    known = " ".join(text.lower().split()).replace(" -", "-").replace("- ", "-")
    if known in {ALWAYS, NEVER}:
        return Schedule(known, ((0, WEEK),) if known == ALWAYS else ())
    spans = [span for entry in re.split("[,;]", known) for span in _entry(entry.strip())]
    return Schedule(known, _merged(spans))


def _entry(text: str) -> list[tuple[int, int]]:
    """Return the spans of one entry; one that runs over the end of the week is cut there."""
    if not text:
        raise _wrong("an entry is empty")
    days, *times = text.split(" ")
    if len(times) > 1:
        raise _wrong(f"{text!r} must be days and one span of time; separate entries by commas")
    begin, length = _span(times[0]) if times else (0, DAY)
    spans = []
    for day in _days(days):
        first = day * DAY + begin
        last = first + length
        spans.append((first, min(last, WEEK)))
        if last > WEEK:
            spans.append((0, last - WEEK))
    return spans


def _days(text: str) -> list[int]:
    if text == DAILY:
        return list(range(len(DAYS)))
    names = text.split("-")
    for name in names:
        if name not in DAYS:
            raise _wrong(f"{name!r} is no day; days are {', '.join(DAYS)} and {DAILY}")
    if len(names) > 2:
        raise _wrong(f"{text!r} must be a day or two, such as mon-fri")
    first, last = DAYS.index(names[0]), DAYS.index(names[-1])
    return [(first + n) % len(DAYS) for n in range((last - first) % len(DAYS) + 1)]


def _span(text: str) -> tuple[int, int]:
    """Return the minute of the day at which a span begins, and its length in minutes."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise _wrong(f"{text!r} must be a span of time, such as 18:00-08:00")
    begin, end = (_minute(*found.group(n, n + 1)) for n in (1, 3))
    if begin == DAY:
        raise _wrong(f"{text!r} begins at 24:00; write 00:00 of the next day")
    if begin == end:
        raise _wrong(f"{text!r} has no length; leave it out for the whole day")
    return begin, (end - begin) % DAY or DAY


def _minute(hours: str, minutes: str) -> int:
    minute = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or minute > DAY:
        raise _wrong(f"{hours}:{minutes} is no time of day")
    return minute


def _merged(spans: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return tuple(merged)


def _minute_of(local: datetime) -> int:
    return local.weekday() * DAY + local.hour * 60 + local.minute


def _wrong(why: str) -> UsageError:
    return UsageError(
        f"cannot read the schedule: {why}",
        hint=f"such as: {ALWAYS}, {NEVER}, or mon-fri 18:00-08:00, sat-sun",
    )
