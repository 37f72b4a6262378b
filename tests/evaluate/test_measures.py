"""Wug judgements and reading times: measures that are not accuracies."""

import csv
import json
import math
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lm_eval.tasks import TaskManager
from scipy.stats import spearmanr

from pipeline.evaluate.catalog import TASKS
from pipeline.evaluate.reading import gain


def load(task: str, data: Path) -> Any:
    manager = TaskManager(include_defaults=False, metadata={"data": data})
    loaded = manager.load([str(TASKS / f"{task}.yaml")])["tasks"][task]
    loaded.build_all_requests()
    return loaded


def summarise(task: Any, scores: list[float]) -> dict[str, Any]:
    result: dict[str, Any] = task.summarise([(score, False) for score in scores], None, 50, 0)
    return result


@pytest.fixture
def wug(tmp_path: Path) -> Any:
    rows = [{"sentences": f"a{i}\tb{i}", "ratio": i / 10} for i in range(10)]
    path = tmp_path / "wug_past_tense" / "wug_past_tense.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return load("wug_past", tmp_path)


def test_wug_correlates_the_preference_with_people(wug: Any) -> None:
    agreeing = [score for i in range(10) for score in (float(i), 0.0)]
    assert summarise(wug, agreeing)["score"] == pytest.approx(1.0)
    assert summarise(wug, [-score for score in agreeing])["score"] == pytest.approx(-1.0)


def test_the_interval_of_wug_is_that_of_resampled_items(wug: Any) -> None:
    preferred = np.random.default_rng(1).normal(size=10) + np.arange(10) / 3
    people = np.arange(10) / 10
    result = summarise(wug, [score for value in preferred for score in (value, 0.0)])
    drawn = np.random.default_rng(0).integers(10, size=(50, 10))
    found = [spearmanr(preferred[rows], people[rows]).statistic for rows in drawn]
    assert result["ci95"] == pytest.approx(np.percentile(found, [2.5, 97.5]))
    assert result["ci95"][0] < result["score"] < result["ci95"][1]


def test_wug_has_no_correlation_when_everything_ties(wug: Any) -> None:
    result = summarise(wug, [-3.0] * 20)
    assert result["score"] is None
    assert result["tie_rate"] == 1.0


@pytest.mark.parametrize("broken", [-math.inf, math.inf, math.nan])
def test_wug_has_no_correlation_where_a_score_is_not_finite(wug: Any, broken: float) -> None:
    scores = [score for i in range(10) for score in (float(i), 0.0)]
    result = summarise(wug, [broken, *scores[1:]])
    assert result["score"] is result["ci95"] is None
    assert (result["n"], result["nonfinite"]) == (10, 1)


COLUMNS = ["Subtlex_log10", "length", "context_length"]


def make_table(weight: float) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    table = pd.DataFrame(generator.normal(size=(500, 3)), columns=COLUMNS)
    table["pred"] = generator.normal(size=500)
    noise = generator.normal(size=500)
    table["RT"] = table["length"] * table["context_length"] + weight * table["pred"] + noise
    return table


def test_gain_is_the_share_of_the_rest_that_surprisal_explains() -> None:
    assert gain(make_table(0.0), "RT", tuple(COLUMNS)) < 0.02
    assert gain(make_table(1.0), "RT", tuple(COLUMNS)) == pytest.approx(0.5, abs=0.08)


def test_gain_of_a_constant_is_nothing() -> None:
    table = make_table(0.0)
    table["pred"] = 3.0
    assert gain(table, "RT", tuple(COLUMNS)) == pytest.approx(0.0, abs=1e-9)


def test_gain_over_predictors_that_explain_everything_is_undefined() -> None:
    assert math.isnan(gain(make_table(0.0).head(2), "RT", tuple(COLUMNS)))


def gain_by_hand(times: Any, predictors: list[Any], surprisal: Any) -> float:
    def unexplained(columns: list[Any]) -> float:
        design = np.column_stack([np.ones(len(times)), *columns])
        rest = times - design @ np.linalg.lstsq(design, times, rcond=None)[0]
        return float(rest @ rest)

    products = [first * second for first, second in combinations(predictors, 2)]
    without = unexplained([*predictors, *products])
    return 1 - unexplained([*predictors, *products, surprisal]) / without


def test_reading_puts_both_regressions_together(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    path = tmp_path / "reading" / "reading_data.csv"
    path.parent.mkdir()
    measures = ["RTfirstfix", "RTfirstpass", "RTgopast", "RTrightbound", "self_paced_reading_time"]
    names = [*measures, *COLUMNS, "prev_length", "item", "word", "prev_item", "prev_word"]
    surprisal, before = generator.normal(size=(2, 120))
    columns = generator.normal(size=(4, 120))
    eye = surprisal + generator.normal(size=(4, 120)) / 10
    # A reader who presses a key is still busy with the word before.
    self_paced = surprisal + before + columns[3] + generator.normal(size=120)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for row in np.vstack([eye, self_paced, columns]).T:
            writer.writerow([*row, "The cat", "sat", "The", "cat"])
    task = load("reading", tmp_path)
    scores = [-v for pair in zip(surprisal, before, strict=True) for v in pair]
    result = summarise(task, scores)
    assert result["eye_tracking"] == pytest.approx(0.99, abs=0.02)
    expected = gain_by_hand(self_paced, [*columns, before], surprisal)
    assert result["self_paced"] == pytest.approx(expected)
    without_the_word_before = gain_by_hand(self_paced, [*columns], surprisal)
    assert abs(expected - without_the_word_before) > 0.05
    assert result["score"] == pytest.approx((result["eye_tracking"] + result["self_paced"]) / 2)
    assert result["nonfinite"] == 0
    # The second score is of the word before, which the regression on self-paced reading has too.
    for place in (0, 1):
        without = summarise(task, [math.nan if i == place else v for i, v in enumerate(scores)])
        assert without["score"] is without["eye_tracking"] is without["self_paced"] is None
        assert (without["n"], without["nonfinite"]) == (120, 1)
