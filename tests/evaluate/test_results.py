"""From scores to figures: accuracies with answers in any place, and bits of held-out text."""

import math

import pytest

from pipeline.evaluate.items import Item
from pipeline.evaluate.results import accuracy_result, heldout_result

OPTIONS = (("", "first"), ("", "second"))


def test_an_item_is_judged_by_its_own_answer() -> None:
    answers = {"a": (1, 0, 1), "b": (0, 1, 1)}
    scores = {"a": [[-2.0, -1.0]] * 3, "b": [[-1.0, -2.0], [-2.0, -1.0], [-2.0, -1.0]]}
    # The groups take turns in the file.
    order = [(group, number) for number in range(3) for group in "ab"]
    items = [Item(f"{g}{n}", (g,), OPTIONS, answer=answers[g][n]) for g, n in order]
    result = accuracy_result(items, [scores[g][n] for g, n in order], samples=20, seed=0)
    accuracies = {name: found["accuracy"] for name, found in result["paradigms"].items()}
    assert accuracies == {"a": pytest.approx(2 / 3), "b": 1.0}
    assert result["accuracy"] == pytest.approx(5 / 6)


def test_documents_of_the_same_bits_per_byte_leave_no_interval() -> None:
    texts = ["a café", "two two", "seven b"]
    scored_alike = [-4 * math.log(300)] * 3
    result = heldout_result(texts, [4] * 3, scored_alike, samples=20, seed=0)
    bits = 4 * math.log2(300) / 7
    assert result["bits_per_byte"] == pytest.approx(bits)
    assert result["ci95"] == pytest.approx([bits, bits])
    assert result["perplexity"] == pytest.approx(300)
