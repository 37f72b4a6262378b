"""Minimal pairs as a probe: what they score, and that training does not notice them."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from pipeline.config import Params
from pipeline.errors import SllamaError
from pipeline.evaluate.encoding import OptionEncoder, load_tokenizer
from pipeline.evaluate.readers import minimal_pairs
from pipeline.train import loop
from pipeline.train import probe as module
from pipeline.train.build import build_model
from pipeline.train.distributed import Ranks
from pipeline.train.probe import MinimalPairs, Probe, load_probe
from pipeline.train.step import take_step
from tests.train.conftest import Workplace
from tests.train.support import BOS, EOS, VOCAB_SIZE, follower, params
from tests.train.test_run import stop_after

CONTEXT = 16
FACTS = {"vocab_size": VOCAB_SIZE, "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": 0}


def chain(start: int, length: int) -> list[int]:
    tokens = [start]
    while len(tokens) < length:
        tokens.append(follower(tokens[-1]))
    return tokens


def text(tokens: list[int]) -> str:
    return " ".join(f"w{token}" for token in tokens)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two paradigms: a wrong last word, a wrong word in the middle; lengths 2 to 20."""
    folder = tmp_path_factory.mktemp("pairs") / "source"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in ("last", "middle"):
        lines = []
        for _ in range(40):
            good = chain(int(random.integers(4, VOCAB_SIZE)), int(random.integers(2, 21)))
            bad = list(good)
            place = len(good) - 1 if name == "last" else len(good) // 2
            bad[place] = 4 + (good[place] + int(random.integers(1, 50))) % (VOCAB_SIZE - 4)
            lines.append({"sentence_good": text(good), "sentence_bad": text(bad)})
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    return folder.parent


def a_probe(pairs: Path, tokenizer: Path, ranks: Ranks | None = None) -> Probe:
    return load_probe(pairs, tokenizer, FACTS, CONTEXT, ranks or Ranks())


def probing(pairs: Path, every: int = 5, **changes: Any) -> Params:
    return params(probe_every=every, probe_pairs=str(pairs), **changes)


def rows(workplace: Workplace, name: str) -> list[dict[str, str]]:
    lines = (workplace.folder / name / "history.tsv").read_text().splitlines()
    header = lines[0].split("\t")
    return [dict(zip(header, line.split("\t"), strict=True)) for line in lines[1:]]


def test_scores_are_sums_of_the_models_own_log_probabilities(
    pairs: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read and encoded as the evaluation does, scored with full logits, one sentence at a time."""
    monkeypatch.setattr(module, "_BATCH_TOKENS", 100)
    model = build_model(params(model={"dropout": 0.5, "initializer_range": 0.5}), FACTS).train()
    found = a_probe(pairs, inputs / "tokenizer").measure(model)
    assert model.training
    model.eval()
    encoder = OptionEncoder(load_tokenizer(inputs / "tokenizer"))
    correct: dict[str, list[float]] = {}
    for item in minimal_pairs(pairs, {"folder": "source"}):
        scores = []
        for row in encoder.encode(list(item.options)):
            tokens = torch.tensor(row.tokens[-CONTEXT - 1 :])
            with torch.no_grad():
                logits = model(tokens[None, :-1]).logits[0].double()
            scores.append(float(logits.log_softmax(-1).gather(-1, tokens[1:, None]).sum()))
        right = 0.5 if row.tokens == encoder.encode([item.options[0]])[0].tokens else None
        correct.setdefault(item.group[0], []).append(right or float(scores[0] > scores[1]))
    expected = {name: float(np.mean(values)) for name, values in correct.items()}
    assert found.paradigms == pytest.approx(expected)
    assert found.accuracy == pytest.approx(np.mean(list(expected.values())))
    assert found.pairs == 80
    assert 0 < found.accuracy < 1


def test_a_model_that_knows_nothing_ties_wherever_lengths_are_equal(
    pairs: Path, inputs: Path
) -> None:
    model = build_model(params(), FACTS)
    with torch.no_grad():
        model.lm_head.weight.zero_()
    found = a_probe(pairs, inputs / "tokenizer").measure(model)
    assert (found.accuracy, found.tie_rate) == (0.5, 1.0)


def test_equal_sentences_tie_and_count_half() -> None:
    tokenizer = Tokenizer.from_str(_words())
    same = MinimalPairs(["a", "a", "b"], [("w4 w5", "w4 w5"), ("w4", "w4"), ("w6 w6", "w7 w8")])
    probe = Probe(same, tokenizer, BOS, CONTEXT, Ranks())
    found = probe.measure(build_model(params(), FACTS))
    assert found.paradigms["a"] == 0.5
    assert found.paradigms["b"] in (0.0, 1.0)
    assert found.tie_rate == pytest.approx(2 / 3)
    assert found.accuracy == pytest.approx((0.5 + found.paradigms["b"]) / 2)


def _words() -> str:
    from tokenizers import models, pre_tokenizers

    words = models.WordLevel({"<unk>": 3} | {f"w{i}": i for i in range(4, 20)}, unk_token="<unk>")  # noqa: S106
    tokenizer = Tokenizer(words)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return str(tokenizer.to_str())


def test_processes_share_the_batches(
    pairs: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH_TOKENS", 100)
    model = build_model(params(), FACTS)
    parts: list[torch.Tensor] = []

    class Recording(Ranks):
        def merge(self, values: torch.Tensor) -> torch.Tensor:
            parts.append(values)
            return values

        def largest(self, number: int) -> int:
            return number

    for ranks in (Recording(), Recording(0, 2), Recording(1, 2)):
        a_probe(pairs, inputs / "tokenizer", ranks).measure(model)
    whole, first, second = parts
    assert torch.equal(first + second, whole)
    assert not ((first != 0) & (second != 0)).any()


@pytest.mark.parametrize("changes", [{}, {"model": {"dropout": 0.2}, "keep": "best_on_validation"}])
def test_training_does_not_notice_it(
    workplace: Workplace, pairs: Path, changes: dict[str, Any]
) -> None:
    workplace.train(params(**changes), "without")
    workplace.train(probing(pairs, **changes), "with")
    weights = "model/model.safetensors"
    assert workplace.outputs("with")[weights] == workplace.outputs("without")[weights]
    probed = rows(workplace, "with")
    at = [int(row["step"]) for row in probed if row["probe_accuracy"]]
    assert at == [0, 5, 10, 12] == [int(row["step"]) for row in probed if row["probe_tie_rate"]]
    for row in probed:
        del row["probe_accuracy"], row["probe_tie_rate"]
    assert probed == rows(workplace, "without")
    metrics, plain = (
        json.loads((workplace.folder / name / "metrics.json").read_text())
        for name in ("with", "without")
    )
    assert metrics.pop("probe")["pairs"] == 80
    assert metrics == plain


def test_it_sees_what_is_learned_and_shows_it(
    workplace: Workplace, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[str, str] = {}
    advance = loop.Progress.advance

    def watched(self: Any, amount: int = 1, **fields: str) -> None:
        shown.update(fields)
        advance(self, amount, **fields)

    monkeypatch.setattr(loop.Progress, "advance", watched)
    workplace.train(probing(pairs, 60, steps=120, validate_every=120), "run")
    accuracy = [float(row["probe_accuracy"]) for row in rows(workplace, "run")[::60]]
    assert accuracy[-1] > 0.75 > accuracy[0]
    assert shown["pairs"] == f"{accuracy[-1]:.1%}"
    metrics = json.loads((workplace.folder / "run/metrics.json").read_text())
    assert metrics["probe"]["accuracy"] == accuracy[-1]
    assert metrics["probe"]["paradigms"].keys() == {"last", "middle"}


def test_an_interrupted_run_ends_as_the_uninterrupted_one(
    workplace: Workplace, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.train(probing(pairs), "whole")
    with monkeypatch.context() as patch:
        stop_after(5, patch, signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            workplace.train(probing(pairs), "resumed")
    assert workplace.train(probing(pairs), "resumed")["resumed_after_step"] == 5
    assert loop.take_step is take_step
    assert workplace.outputs("resumed") == workplace.outputs("whole")


def test_other_pairs_are_another_run(
    workplace: Workplace, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changing = tmp_path / "changing"
    shutil.copytree(pairs, changing)
    with monkeypatch.context() as patch:
        stop_after(5, patch)
        with pytest.raises(KeyboardInterrupt):
            workplace.train(probing(changing), "run")
    (changing / "source/last.jsonl").unlink()
    assert workplace.train(probing(changing), "run")["resumed_after_step"] == 0


def test_a_score_that_is_not_finite_is_an_error(pairs: Path, inputs: Path) -> None:
    model = build_model(params(), FACTS)
    with torch.no_grad():
        model.lm_head.weight[0, 0] = float("nan")
    with pytest.raises(SllamaError, match=r"minimal pair.*not finite"):
        a_probe(pairs, inputs / "tokenizer").measure(model)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"no minimal pairs.*train\.probe_pairs"),
        ("", "no minimal pairs"),
        ("{", r"p\.jsonl, line 1: not a minimal pair"),
        ('{"sentence_good": "a"}', "line 1: not a minimal pair"),
        ("[1]", "line 1: not a minimal pair"),
        ('{"sentence_good": "\\ud800", "sentence_bad": "b"}', "line 1: not a minimal pair"),
        ('\n{"sentence_good": "a", "sentence_bad": " "}', "line 2: a sentence is empty"),
    ],
)
def test_files_that_hold_no_pairs_are_named(
    tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "p.jsonl").write_text(content)
    with pytest.raises(SllamaError, match=message):
        MinimalPairs.read(tmp_path)


def test_a_missing_tokenizer_is_named(pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(SllamaError, match=r"tokenizer\.json: no such file"):
        a_probe(pairs, tmp_path)
