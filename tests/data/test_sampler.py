"""The order of the training windows."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.sampler import Order, WindowSampler
from pipeline.errors import SllamaError

ORDERS: list[Order] = ["shuffled", "contiguous"]


def sampler(order: Order = "shuffled", seed: int = 1, tokens: int = 401) -> WindowSampler:
    return WindowSampler(
        tokens, sequence_length=10, batch_size=6, seed=seed, order=order, micro_batch_size=3
    )


@given(st.integers(20, 300), st.integers(1, 9), st.integers(1, 50))
def test_an_epoch_holds_every_window_once(tokens: int, length: int, batch: int) -> None:
    windows = WindowSampler(tokens, length, batch, seed=3)
    epochs = 3
    batches = -(-epochs * windows.num_windows // batch)
    drawn = np.concatenate([windows.next_batch() for _ in range(batches)])
    for epoch in range(epochs):
        one = drawn[epoch * windows.num_windows : (epoch + 1) * windows.num_windows]
        np.testing.assert_array_equal(np.sort(one), np.arange(windows.num_windows) * length)
    assert drawn.dtype == np.int64
    assert drawn.max() + length + 1 <= tokens
    assert tokens - (drawn.max() + length + 1) < length


def test_the_last_token_that_fits_is_a_target() -> None:
    assert WindowSampler(11, 10, 1, seed=1).num_windows == 1
    assert WindowSampler(20, 10, 1, seed=1).num_windows == 1
    assert WindowSampler(21, 10, 1, seed=1).num_windows == 2


def test_epochs_and_seeds_differ() -> None:
    windows = WindowSampler(401, 10, 40, seed=1)
    first, second = windows.next_batch(), windows.next_batch()
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, WindowSampler(401, 10, 40, seed=2).next_batch())


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_is_the_one_of_earlier_versions(order: Order) -> None:
    # Golden: a run of an earlier version can be resumed and repeated.
    golden = {
        "shuffled": [[140, 290, 70, 340, 260, 80], [130, 0, 40, 220, 230, 50]],
        "contiguous": [[309, 319, 329, 365, 375, 385], [228, 238, 248, 87, 97, 107]],
    }
    windows = sampler(order)
    batches = [windows.next_batch().tolist() for _ in range(8)]
    assert [batches[0], batches[7]] == golden[order]


@pytest.mark.parametrize("order", ORDERS)
@given(st.integers(0, 30), st.integers(1, 20))
def test_a_restored_sampler_goes_on_as_if_nothing_had_happened(
    order: Order, before: int, after: int
) -> None:
    windows = sampler(order)
    for _ in range(before):
        windows.next_batch()
    state = json.loads(json.dumps(windows.state()))
    resumed = sampler(order)
    resumed.next_batch()
    resumed.restore(state)
    for _ in range(after):
        np.testing.assert_array_equal(resumed.next_batch(), windows.next_batch())
    assert resumed.state() == windows.state()


def test_epochs_are_counted_in_windows() -> None:
    windows = sampler()
    assert (windows.num_windows, windows.state()) == (40, {"epoch": 0, "position": 0})
    for _ in range(10):
        windows.next_batch()
    assert windows.state() == {"epoch": 1, "position": 20}


def test_contiguous_micro_batches_are_spans_of_the_stream() -> None:
    windows = sampler("contiguous")
    batches = [windows.next_batch() for _ in range(300)]
    for batch in batches:
        for rows in batch.reshape(2, 3):
            assert all(later - earlier == 10 for earlier, later in pairwise(rows.tolist()))
    starts = np.concatenate([batch.reshape(2, 3)[:, 0] for batch in batches])
    assert starts.min() >= 0
    assert starts.max() + 31 <= 401
    # With replacement, anywhere: 600 draws of 371 places.
    assert len(np.unique(starts)) < 371
    assert len(np.unique(starts % 10)) == 10
    assert starts.mean() == pytest.approx(185, abs=15)


@pytest.mark.parametrize("order", ORDERS)
def test_a_text_that_is_too_short_is_refused(order: Order) -> None:
    needed, beside = (31, " or train.micro_batch_size") if order == "contiguous" else (11, "")
    sampler(order, tokens=needed)
    advice = f"take more text, or a smaller train.sequence_length{beside}"
    with pytest.raises(SllamaError, match=rf"{needed - 1} tokens, {needed} are needed; {advice}$"):
        sampler(order, tokens=needed - 1)


def test_a_batch_is_made_of_whole_micro_batches() -> None:
    with pytest.raises(SllamaError, match="a batch of 6 windows is no multiple of 4"):
        WindowSampler(401, 10, batch_size=6, seed=1, micro_batch_size=4)


@pytest.mark.parametrize(
    "state",
    [
        {"epoch": 0, "position": 40},
        {"epoch": 0, "position": 5},
        {"epoch": -1, "position": 0},
        # Multiples of the batch size that are no places of this sampler.
        {"epoch": 0, "position": 42},
        {"epoch": 2, "position": 40},
        {"epoch": 1, "position": -4},
        {"epoch": -3, "position": 0},
    ],
)
def test_a_position_of_another_run_is_refused(state: dict[str, int]) -> None:
    complaint = "other data or another batch size; start the training anew"
    with pytest.raises(SllamaError, match=complaint):
        sampler().restore(state)
