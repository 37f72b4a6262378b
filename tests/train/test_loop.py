"""What the loop hands on: losses and norms to the history, held-out losses to the selection."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data.tokens import TokenSplit, tokens_fingerprint
from pipeline.io import sha256_file
from pipeline.progress import Progress
from pipeline.train import history, loop
from pipeline.train.step import take_step
from tests.train.conftest import Workplace
from tests.train.support import params, write_tokens

UNKNOWN = 3


def metrics_of(workplace: Workplace, name: str) -> dict[str, Any]:
    return dict(json.loads((workplace.folder / name / "metrics.json").read_text()))


def column(workplace: Workplace, name: str, title: str) -> dict[int, float]:
    """What the history of the run `name` has under `title`, by step."""
    with (workplace.folder / name / "history.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return {int(row["step"]): float(row[title]) for row in rows if row[title]}


@pytest.fixture
def opposed(tmp_path: Path, inputs: Path) -> Path:
    """Tokens whose test split holds what training text does not: it gets ever less likely."""
    folder = write_tokens(tmp_path / "opposed")
    path = folder / "test.safetensors"
    made = TokenSplit.load(path)
    replace(made, tokens=np.full_like(made.tokens, UNKNOWN)).save(path)
    facts = json.loads((folder / "tokens.json").read_text())
    facts["splits"]["test"]["sha256"] = sha256_file(path)
    tokenizer = sha256_file(inputs / "tokenizer/tokenizer.json")
    facts["fingerprint"] = tokens_fingerprint(facts["splits"], tokenizer)
    (folder / "tokens.json").write_text(json.dumps(facts))
    return folder


@pytest.mark.parametrize(("keep", "kept_step"), [("best_on_test", 2), ("best_on_validation", 6)])
def test_the_split_that_selects_is_the_one_named(
    workplace: Workplace, opposed: Path, keep: str, kept_step: int
) -> None:
    recipe = params(keep=keep, steps=6, validate_every=2)
    workplace.train(recipe, "run", tokens=opposed)
    by_validation = column(workplace, "run", "validation_loss")
    assert list(by_validation) == [0, 2, 4, 6]
    assert min(by_validation, key=by_validation.__getitem__) == 6
    if keep == "best_on_test":
        by_test = list(column(workplace, "run", "test_loss").values())
        assert by_test == sorted(by_test)
        assert len(set(by_test)) == len(by_test) == 4
    metrics = metrics_of(workplace, "run")
    assert metrics["kept_step"] == kept_step
    assert metrics["validation"]["loss"] == by_validation[kept_step]


def test_a_row_has_the_means_of_its_steps_losses_and_norms(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses, norms = [], []

    def noted(*arguments: Any) -> Any:
        record = take_step(*arguments)
        losses.append(float(record.loss))
        norms.append(float(record.gradient_norm))
        return record

    monkeypatch.setattr(loop, "take_step", noted)
    monkeypatch.setattr(history, "MAX_ROWS", 4)
    workplace.train(params(), "run")
    for title, values in (("loss", losses), ("gradient_norm", norms)):
        found = column(workplace, "run", title)
        assert list(found) == [3, 6, 9, 12]
        means = np.array(values).reshape(4, 3).mean(axis=1).tolist()
        assert list(found.values()) == pytest.approx(means)
    assert metrics_of(workplace, "run")["train_loss"] == pytest.approx(np.mean(losses))


def test_the_bar_counts_tokens_and_shows_the_run_s_own_figures(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[int, dict[str, str]]] = []

    class Watched(Progress):
        def advance(self, amount: int = 1, **fields: str) -> None:
            shown.append((amount, fields))

    monkeypatch.setattr(loop, "Progress", Watched)
    figures = workplace.train(params(validate_every=6), "run")
    metrics, fields = metrics_of(workplace, "run"), shown[-1][1]
    assert sum(amount for amount, _ in shown) == metrics["tokens_seen"]
    assert fields["bits/byte"] == f"{metrics['validation']['bits_per_byte']:.3f}"
    assert fields["loss"] == f"{column(workplace, 'run', 'loss')[metrics['steps']]:.3f}"
    assert fields["MFU"].endswith("%")
    assert 0 < figures["model_flops_utilisation"] < 1


def test_the_metrics_say_whether_the_passes_are_within_the_rules(workplace: Workplace) -> None:
    for name, recipe in (("within", params()), ("beyond", params(steps=400, rules="none"))):
        workplace.train(recipe, name)
        metrics = metrics_of(workplace, name)
        assert metrics["passes_allowed"] == 10
        assert metrics["within_passes_allowed"] is (metrics["passes"] <= 10) is (name == "within")
