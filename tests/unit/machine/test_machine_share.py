"""The share of a machine that may be offered: 10 % to 90 %, both included."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.errors import UsageError
from nunet_dms.machine.share import check_share


@pytest.mark.parametrize("offered", [1000, 4000, 9000])
def test_a_share_within_the_bounds_may_be_offered(offered: int) -> None:
    check_share("--cpu", offered, 10_000, "MHz")


@pytest.mark.parametrize("offered", [-1, 0, 999, 9001, 10_000])
def test_a_share_outside_is_refused_with_both_bounds(offered: int) -> None:
    with pytest.raises(UsageError) as caught:
        check_share("--cpu", offered, 10_000, "MHz (4 cores of 2500 MHz)")
    assert str(caught.value) == (
        f"cannot offer --cpu {offered}: it must be from 1000 to 9000, which is"
        " 10 % to 90 % of this machine's 10000 MHz (4 cores of 2500 MHz)"
    )


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_no_more_than_nine_tenths_and_no_less_than_one_is_ever_offered(
    offered: int, total: int
) -> None:
    try:
        check_share("--ram", offered, total, "MB")
    except UsageError:
        assert not total <= 10 * offered <= 9 * total
    else:
        assert total <= 10 * offered <= 9 * total
