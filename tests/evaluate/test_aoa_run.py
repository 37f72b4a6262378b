"""The task aoa from checkpoints to its score, with models whose words follow known curves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.evaluate import aoa_run
from pipeline.evaluate.aoa_run import run_aoa
from tests.evaluate.test_aoa import CHANCE, IN_CONTEXT, MILLIONS, WORDS, write_children
from tests.evaluate.toys import make_config

SLOPE, LEARNT = 8.0, CHANCE - 1.0
MIDDLES = [6.5, 6.3, 7.0, 6.7, 7.2]
"""log10 of the words seen when the words are half learnt; the last word never is."""


def share_learnt(millions: int, middle: float) -> float:
    return float(1 / (1 + np.exp(-SLOPE * (np.log10(millions * 1e6) - middle))))


def surprisals_after(folder: Path, words: dict[str, Any]) -> dict[str, list[float]]:
    """A word's mean over two contexts follows its curve; the first context follows another's."""
    millions = int(folder.name.removeprefix("chck_").removesuffix("M"))
    found = {WORDS[-1]: [CHANCE, CHANCE]}
    for word, middle, other in zip(WORDS[:-1], MIDDLES, MIDDLES[::-1], strict=True):
        mean, first = (CHANCE - LEARNT * share_learnt(millions, m) for m in (middle, other))
        found[word] = [first, 2 * mean - first]
    return {word: found[word] for word in words}


def test_words_that_follow_known_curves_have_their_ages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for millions in MILLIONS:
        folder = tmp_path / "model" / f"chck_{millions}M"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
    (tmp_path / "aoa").mkdir()
    listed = {word: [{"context": "A"}, {"context": "The"}] for word in WORDS}
    (tmp_path / "aoa" / "cdi_childes.json").write_text(json.dumps(listed))
    write_children(tmp_path)
    monkeypatch.setattr(aoa_run, "load_model", lambda folder, *_: folder)
    monkeypatch.setattr(aoa_run, "_surprisals", surprisals_after)
    monkeypatch.setattr(aoa_run, "_chances", lambda _, words: dict.fromkeys(words, CHANCE))
    config = make_config(tasks=["aoa_2026"])
    model = tmp_path / "model"
    result, lines = run_aoa("aoa_2026", IN_CONTEXT, model, None, tmp_path, config, {})
    assert len(lines) == len(MILLIONS) * len(WORDS)
    assert (result["words"], result["acquired"], result["n"]) == (6, 5, 5)
    # Half of what is learnt in the end lies below the middle by log(2 / share - 1) / slope.
    shares = np.array([share_learnt(MILLIONS[-1], middle) for middle in MIDDLES])
    ages = np.array(MIDDLES) - np.log(2 / shares - 1) / SLOPE
    expected = np.corrcoef(ages, 19.0 + 1.5 * np.arange(5))[0, 1]
    assert result["score"] == pytest.approx(expected, abs=1e-3)
