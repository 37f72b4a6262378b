"""Windows as tensors: inputs, targets, what is left out, and masks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.train.batches import WindowReader
from pipeline.train.linear_cross_entropy import IGNORE_INDEX
from tests.train.support import BOS, split

CPU = torch.device("cpu")


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, 120), length=st.integers(3, 30), label_shift=st.sampled_from([1, 2]))
def test_targets_are_tokens_further_on(start: int, length: int, label_shift: int) -> None:
    tokens = split(10, 0).tokens.astype(np.int64)
    start = min(start, len(tokens) - 1)
    batch = WindowReader(split(10, 0), length, label_shift, None, CPU).read(np.array([start]))
    window = tokens[start : start + length + 1]
    for position in range(length):
        if position < len(window):
            assert batch.inputs[0, position] == window[position]
        further = position + label_shift
        expected = window[further] if further < len(window) else IGNORE_INDEX
        assert batch.targets[0, position] == expected


# The second and the last have tokens whose highest bit is set.
@pytest.mark.parametrize("vocab_size", [61, 65_000, 70_000, 2**32 - 1])
def test_tokens_stay_as_small_as_they_were(vocab_size: int) -> None:
    made = split(10, 0, vocab_size)
    assert vocab_size < 65_000 or int(made.tokens.max()) > vocab_size // 2
    reader = WindowReader(made, 8, 1, None, CPU)
    assert reader._tokens.element_size() == made.tokens.itemsize
    batch = reader.read(np.array([0, 9]))
    assert batch.inputs.dtype == batch.targets.dtype == torch.int64
    assert batch.inputs[1].tolist() == made.tokens[9:17].tolist()


def test_the_mask_ends_at_documents_and_at_the_present() -> None:
    made = split(10, 0)
    batch = WindowReader(made, 40, 1, BOS, CPU).read(made.document_starts[1:3] - 3)
    assert batch.mask is not None
    assert batch.mask.shape == (2, 1, 40, 40)
    for inputs, mask in zip(batch.inputs, batch.mask[:, 0], strict=True):
        for query in range(40):
            begun = [place for place in range(query + 1) if inputs[place] == BOS]
            first = begun[-1] if begun else 0
            expected = [first <= key <= query for key in range(40)]
            assert mask[query].tolist() == expected
