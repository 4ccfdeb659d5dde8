"""Percentiles and throughput, the numbers everybody quotes."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats import Latency, Tally, percentile


def test_a_percentile_is_the_nearest_rank() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert [percentile(values, percent) for percent in (1, 50, 90, 99, 100)] == [1, 50, 90, 99, 100]


def test_few_values_give_the_largest_as_their_p99() -> None:
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0
    assert percentile([7.0], 50) == 7.0


def test_no_values_have_no_percentile() -> None:
    assert math.isnan(percentile([], 50))
    assert Latency.of([]).count == 0


@pytest.mark.parametrize("percent", [0, -1, 100.1])
def test_a_percent_is_above_nothing_and_at_most_everything(percent: float) -> None:
    with pytest.raises(ValueError, match="percent"):
        percentile([1.0], percent)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.001, 100))
def test_at_least_that_share_of_all_values_is_not_above_a_percentile(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * percent / 100 - 1e-9
    assert sum(value < found for value in values) < max(1, len(values) * percent / 100)


def test_throughput_counts_fulfilled_checkouts_between_first_buy_and_last_fulfilment() -> None:
    tally = Tally(answered=[0.1] * 5, fulfilled=[0.2] * 4, first_buy=10.0, last_fulfilled=12.0)
    assert tally.throughput == 2.0


def test_a_run_without_success_has_no_throughput() -> None:
    assert Tally().throughput == 0.0
