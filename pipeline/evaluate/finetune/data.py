"""Labelled pairs of texts: read, split and batched."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import SllamaError
from pipeline.evaluate.finetune.recipe import Recipe
from pipeline.evaluate.items import locate, read_jsonl, text_of
from pipeline.seeding import derive_seed

HELD_OUT_SHARE = 0.1


@dataclass(frozen=True)
class Example:
    """Two texts and the label of the pair."""

    texts: tuple[str, str]
    label: int


def read_examples(data: Path, relative: str, recipe: Recipe) -> list[Example]:
    """Return the examples of a JSON Lines file, in its order.

    MissingDataError if it is not there, SllamaError if a field or label is not as expected.
    """
    path = locate(data, relative)
    examples = []
    for number, row in enumerate(read_jsonl(path)):
        origin = f"{path}, item {number}"
        label = row.get("label")
        if not isinstance(label, int) or not 0 <= label < recipe.labels:
            raise SllamaError(f"{origin}: a label from 0 to {recipe.labels - 1} is expected")
        texts = {key: text_of(row, key, origin) for key in recipe.fields}
        examples.append(
            Example((recipe.first.format(**texts), recipe.second.format(**texts)), label)
        )
    if not examples:
        raise SllamaError(f"{path}: no examples")
    return examples


def labels_of(examples: Sequence[Example]) -> Any:
    """Return the labels: (n,) integers."""
    return np.array([example.label for example in examples], dtype=np.int64)


def hold_out(examples: Sequence[Example], seed: int) -> tuple[list[Example], list[Example]]:
    """Return (what is trained on, a random tenth that chooses the epoch).

    SllamaError: fewer than two examples.
    """
    if len(examples) < 2:
        raise SllamaError("fine-tuning needs at least two training examples")
    order = np.random.default_rng(derive_seed(seed, "held out")).permutation(len(examples))
    cut = max(1, round(HELD_OUT_SHARE * len(examples)))
    return [examples[i] for i in order[cut:]], [examples[i] for i in order[:cut]]


def encode(tokenizer: Any, examples: Sequence[Example], length: int) -> tuple[list[list[int]], int]:
    """Return token ids of each pair as the tokenizer joins them, and how many pairs were cut.

    A pair of more than `length` tokens is cut: the longer of the two texts loses tokens first.
    """
    first, second = zip(*(example.texts for example in examples), strict=True)
    encoded = tokenizer(
        list(first), list(second), truncation=True, max_length=length, padding=False
    )
    return encoded["input_ids"], sum(bool(row.overflowing) for row in encoded.encodings)


def pad_left(
    rows: Sequence[list[int]], padding: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return token ids and mask (1: real token), both (n, longest), aligned on the right."""
    longest = max(len(row) for row in rows)
    tokens = [[padding] * (longest - len(row)) + row for row in rows]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(tokens, device=device), torch.tensor(mask, device=device)


def shuffled_batches(count: int, size: int, generator: torch.Generator) -> Iterator[list[int]]:
    """Yield one epoch of whole batches of indices; the rest is dropped, as the recipe does.

    Fewer examples than a batch make one smaller batch.
    """
    order = torch.randperm(count, generator=generator).tolist()
    for start in range(0, max(1, count // size) * size, size):
        yield order[start : start + size]
