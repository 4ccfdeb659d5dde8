"""Percentiles and throughput, the numbers everybody quotes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.load import Tally, latency


def test_a_percentile_is_the_nearest_rank() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert latency(values) == {"count": 100, "p50": 50, "p90": 90, "p99": 99, "max": 100}


def test_few_values_give_the_largest_as_their_p99() -> None:
    assert latency([3.0, 1.0, 2.0]) == {"count": 3, "p50": 2.0, "p90": 3.0, "p99": 3.0, "max": 3.0}
    assert latency([7.0]) == {"count": 1, "p50": 7.0, "p90": 7.0, "p99": 7.0, "max": 7.0}


def test_of_no_values_there_is_no_latency() -> None:
    assert latency([]) is None


@settings(deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_at_least_that_share_of_all_values_is_not_above_a_percentile(values: list[float]) -> None:
    told = latency(values)
    assert told is not None
    for percent in (50, 90, 99):
        found = told[f"p{percent}"]
        assert found in values
        assert sum(value <= found for value in values) >= len(values) * percent / 100 - 1e-9
        assert sum(value < found for value in values) < max(1, len(values) * percent / 100)


def test_throughput_counts_fulfilled_checkouts_between_first_buy_and_last_fulfilment() -> None:
    tally = Tally(answered=[0.1] * 5, fulfilled=dict.fromkeys("abcd", 0.2), first_buy=10.0, last_fulfilled=12.0)
    assert tally.throughput == 2.0


def test_a_run_without_success_has_no_throughput() -> None:
    assert (Tally().throughput, Tally().seconds) == (0.0, 0.0)
