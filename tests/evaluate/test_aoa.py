"""Ages of acquisition: the fit, the correlation, and surprisals over checkpoints."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.errors import SllamaError
from pipeline.evaluate import aoa_run
from pipeline.evaluate.aoa import child_age, correlation, model_age, sigmoid
from pipeline.evaluate.aoa_data import (
    find_checkpoints,
    read_children,
    read_words,
    surprisal_records,
)
from pipeline.evaluate.aoa_run import _chances, run_aoa
from pipeline.evaluate.catalog import describe
from pipeline.evaluate.items import MissingDataError
from pipeline.evaluate.loading import load_model
from pipeline.evaluate.null import NullScorer, UniformScorer
from pipeline.evaluate.run import EvaluationRequest, run_evaluation
from tests.evaluate.toys import make_config, make_model, make_tokenizer

MILLIONS = [*range(1, 10), *range(10, 101, 10)]
SEEN = [count * 1e6 for count in MILLIONS]
CHANCE = math.log(300)
WORDS = ["dog", "cats", "loud", "annoy", "see", "Tim"]
AFTER_BOS, IN_CONTEXT = (describe(task).metadata for task in ("aoa", "aoa_2026"))


@pytest.mark.parametrize("middle", [6.3, 6.9, 7.4])
def test_a_sigmoid_is_acquired_where_it_crosses_the_middle_to_chance(middle: float) -> None:
    log_seen = np.log10(SEEN)
    surprisals = CHANCE - sigmoid(log_seen, CHANCE - 2.0, 4.0, middle, 0.0)
    age = model_age(SEEN, surprisals, CHANCE)
    threshold = (CHANCE + min(surprisals)) / 2
    assert age is not None
    at_age = CHANCE - sigmoid(age, CHANCE - 2.0, 4.0, middle, 0.0)
    assert at_age == pytest.approx(threshold, abs=0.02)


def test_a_word_that_is_never_or_always_known_has_no_age() -> None:
    assert model_age(SEEN, [5.0] * len(SEEN), CHANCE) is None
    assert model_age(SEEN[:2], [5.0, 3.0], CHANCE) is None
    known = 1.0 + 1e-3 * sigmoid(np.log10(SEEN), 1.0, -4.0, 7.0, 0.0)
    assert model_age(SEEN, known, CHANCE) is None
    assert model_age(SEEN, [math.nan] * len(SEEN), CHANCE) is None


def test_children_know_a_word_when_half_of_them_do() -> None:
    months = list(range(16, 31))
    shares = sigmoid(np.array(months), 1.0, 0.5, 22.0, 0.0)
    assert child_age(months, shares) == pytest.approx(22.0, abs=0.05)
    assert child_age(months, [0.1] * 15) is None
    with_gaps = [
        math.nan if month == 20 else share for month, share in zip(months, shares, strict=True)
    ]
    assert child_age(months, with_gaps) == pytest.approx(22.0, abs=0.1)


def test_correlation_takes_the_words_that_both_have() -> None:
    ages: dict[str, float | None] = {str(n): float(n) for n in range(10)}
    children: dict[str, float | None] = {str(n): 20.0 - n + (n % 2) for n in range(10)}
    result = correlation({**ages, "x": None}, {**children, "y": 3.0})
    expected = np.corrcoef([*range(10)], [20.0 - n + (n % 2) for n in range(10)])[0, 1]
    assert result["score"] == pytest.approx(expected)
    assert result["n"] == 10
    assert result["p_value"] < 0.001
    assert result["ci95"][0] < result["score"] < result["ci95"][1]
    assert result["official"] == result["score"]
    assert correlation({"1": 1.0}, children) == {
        "n": 1,
        "score": None,
        "p_value": None,
        "ci95": None,
        "official": 0.0,
    }


def test_the_official_score_is_zero_where_it_is_not_significant() -> None:
    months: dict[str, float | None] = {str(n): float(n) for n in range(8)}
    noisy: dict[str, float | None] = dict(zip(months, [3, 1, 4, 1, 5, 9, 2, 6], strict=True))
    found = correlation(noisy, months)
    assert found["p_value"] > 0.1
    assert found["score"] > 0.3
    assert found["official"] == 0.0
    # Three words are enough for the challenge, and too few for an interval.
    three: dict[str, float | None] = {str(n): float(n) for n in range(3)}
    found = correlation(three, months)
    assert found["official"] == pytest.approx(1.0)
    assert found["score"] is found["ci95"] is None


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints that know more and more: one model's head, less and less shrunk."""
    folder = make_model(tmp_path_factory.mktemp("model"))
    for millions, share in ((10, 1.0), (1, 0.01), (2, 0.3), (5, 0.7)):
        checkpoint = make_model(folder / "checkpoints" / f"chck_{millions}M")
        weights = load_file(checkpoint / "model.safetensors")
        weights["lm_head.weight"] = share * weights["lm_head.weight"]
        save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    return folder


def write_words(data: Path, contexts: int = 20) -> Path:
    folder = data / "aoa"
    folder.mkdir(parents=True)
    listed = {word: [{"context": "A"}] * contexts for word in WORDS}
    listed |= {"a": [{"context": "A"}] * 30, "rare": [{"context": "A"}] * 3}
    (folder / "cdi_childes.json").write_text(json.dumps(listed))
    return data


def write_children(data: Path) -> None:
    months = range(16, 31)
    rows = ["word," + ",".join(str(month) for month in months)]
    for number, word in enumerate(WORDS):
        shares = sigmoid(np.array(months), 1.0, 0.6, 19.0 + 1.5 * number, 0.0)
        rows.append(f"{word}," + ",".join(f"{share:.4f}" for share in shares))
    (data / "aoa" / "cdi_human.csv").write_text("\n".join(rows) + "\n")


def test_checkpoints_come_by_words_seen(model: Path, tmp_path: Path) -> None:
    found = find_checkpoints(model)
    assert [checkpoint.words // 10**6 for checkpoint in found] == [1, 2, 5, 10]
    assert find_checkpoints(model / "checkpoints" / "chck_1M") == found
    with pytest.raises(MissingDataError, match="word_checkpoints"):
        find_checkpoints(tmp_path / "elsewhere" / "model")


def run(
    model: Path,
    data: Path,
    tokenizer: Path | None = None,
    metadata: dict[str, Any] = AFTER_BOS,
    nulls: Mapping[str, NullScorer | SllamaError] = MappingProxyType({}),
) -> tuple[dict[str, Any], list[str]]:
    config = make_config(tasks=["aoa"])
    return run_aoa("aoa", metadata, model, tokenizer, data, config, nulls)


def test_the_task_end_to_end(model: Path, tmp_path: Path) -> None:
    data = write_words(tmp_path)
    write_children(data)
    result, lines = run(model, data)
    assert result["status"] == "ok"
    assert result["checkpoints"] == ["chck_1M", "chck_2M", "chck_5M", "chck_10M"]
    assert result["words"] == len(WORDS)
    assert 0 <= result["n"] <= result["acquired"] <= len(WORDS)
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 4 * len(WORDS)
    assert rows[0]["item"] == "chck_1M/dog"
    assert result == run(model, data)[0]


def test_surprisals_of_scorers_that_never_learn_stand_in_for_ages(
    model: Path, tmp_path: Path
) -> None:
    data = write_words(tmp_path)
    write_children(data)
    encoder = load_model(model, model, make_config(tasks=["aoa"])).encoder
    nulls = {"uniform": UniformScorer(encoder), "unigram": SllamaError("no tokens")}
    result, _ = run(model, data, nulls=nulls)
    lengths = [len(row.scored) for row in encoder.encode([("", word) for word in WORDS])]
    ages = read_children(data, AFTER_BOS["folder"])
    expected = np.corrcoef(lengths, [ages[word] for word in WORDS])[0, 1]
    uniform = result["null"]["uniform"]
    assert (uniform["status"], uniform["n"]) == ("ok", len(WORDS))
    assert uniform["score"] == pytest.approx(expected)
    assert result["null"]["unigram"] == {"status": "missing", "reason": "no tokens"}


def test_surprisals_are_there_without_ages_of_children(model: Path, tmp_path: Path) -> None:
    data = write_words(tmp_path)
    result, lines = run(model, data)
    assert result == {
        "status": "missing",
        "reason": "full_eval/aoa/cdi_human.csv is not among the benchmark data",
    }
    scores = {row["item"]: row["scores"] for row in map(json.loads, lines)}
    made = surprisal_records(scores, read_words(data, AFTER_BOS), in_context=False)
    assert len(made["results"]) == 4 * 20 * len(WORDS)
    assert made["metadata"] == {"use_bos_only": True, "total_steps": 4, "completed_steps": 4}
    assert made["results"][0] == {
        "step": "chck_1M",
        "word_count": 1_000_000,
        "target_word": "dog",
        "context_id": 0,
        "context": "BOS_ONLY",
        "surprisal": -scores["chck_1M/dog"][0],
    }


def test_a_word_after_bos_is_what_is_scored(model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _, lines = run(model, write_words(tmp_path))
    row = next(json.loads(line) for line in lines if '"chck_10M/cats"' in line)
    folder = model / "checkpoints" / "chck_10M"
    ids = AutoTokenizer.from_pretrained(folder)("cats", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logprobs = AutoModelForCausalLM.from_pretrained(folder)(ids).logits.log_softmax(-1)
    expected = logprobs[0, :-1].gather(1, ids[0, 1:, None]).sum()
    assert row["scores"][0] == pytest.approx(float(expected), abs=1e-4)


def test_a_word_in_its_contexts_is_what_is_scored_in_2026(model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    listed = {"cats": [{"context": "the dog sees "}, {"context": "a"}], "a": [{"context": "a"}]}
    (tmp_path / "aoa").mkdir()
    (tmp_path / "aoa" / "cdi_childes.json").write_text(json.dumps(listed))
    write_children(tmp_path)
    result, lines = run(model, tmp_path, metadata=IN_CONTEXT)
    assert (result["words"], result["n"]) == (1, result["acquired"])
    assert result["truncated"] == 0
    row = next(json.loads(line) for line in lines if '"chck_10M/cats"' in line)
    folder = model / "checkpoints" / "chck_10M"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    for context, score in zip(("the dog sees", "a"), row["scores"], strict=True):
        ids = tokenizer(f"{context} cats", return_tensors="pt")["input_ids"]
        before = len(tokenizer(context)["input_ids"])
        with torch.no_grad():
            logprobs = loaded(ids).logits.log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None])
        assert score == pytest.approx(float(logprobs[before - 1 :].sum()), abs=1e-4)
    scores = {row["item"]: row["scores"] for row in map(json.loads, lines)}
    made = surprisal_records(scores, read_words(tmp_path, IN_CONTEXT), in_context=True)
    assert made["metadata"]["use_bos_only"] is False
    assert [record["context"] for record in made["results"][:2]] == ["the dog sees ", "a"]
    assert made["results"][1]["surprisal"] == -scores["chck_1M/cats"][1]
    with pytest.raises(SllamaError, match="chck_1M/cats is of other data"):
        surprisal_records(scores, {"cats": ["a"]}, in_context=True)


def test_chance_counts_the_tokens_that_a_word_adds_to_a_text(model: Path, tmp_path: Path) -> None:
    scorer = load_model(model, model, make_config(tasks=["aoa"]))
    tokenizer = scorer.tokenizer
    for word, chance in _chances(scorer, {word: [] for word in WORDS}).items():
        added = len(tokenizer.encode(f"The {word}")) - len(tokenizer.encode("The"))
        assert chance == pytest.approx(added * math.log(tokenizer.vocab_size))


def test_a_tokenizer_that_is_named_takes_the_place_of_the_checkpoints_own(
    model: Path, tmp_path: Path
) -> None:
    data, other = write_words(tmp_path), make_tokenizer(tmp_path / "other", 262)
    request = EvaluationRequest(
        tasks=["aoa"],
        out=tmp_path / "out.json",
        config=make_config(tasks=["aoa"]),
        model=model,
        tokenizer=other,
        data=data,
        items=tmp_path / "items.jsonl",
    )
    run_evaluation(request)
    lines = (tmp_path / "items.jsonl").read_text().splitlines(keepends=True)
    assert lines == run(model, data, other)[1]
    assert lines != run(model, data)[1] == run(model, data, model / "checkpoints" / "chck_1M")[1]


def test_of_a_word_listed_twice_the_first_row_counts(tmp_path: Path) -> None:
    write_words(tmp_path)
    write_children(tmp_path)
    folder = AFTER_BOS["folder"]
    ages = read_children(tmp_path, folder)
    path = tmp_path / "aoa" / "cdi_human.csv"
    path.write_text(path.read_text() + "dog," + ",".join(["0.1"] * 15) + "\n")
    assert ages["dog"] is not None
    assert read_children(tmp_path, folder) == ages


def test_a_share_that_is_not_there_may_be_called_so_in_any_way(tmp_path: Path) -> None:
    write_words(tmp_path)
    write_children(tmp_path)
    folder, path = AFTER_BOS["folder"], tmp_path / "aoa" / "cdi_human.csv"
    header, first, *others = path.read_text().splitlines()
    word, share, *shares = first.split(",")
    read = []
    for cell in ("", "NA", "N/A", "null", "NaN", " na "):
        row = ",".join([word, cell, *shares])
        path.write_text("\n".join([header, row, *others]) + "\n")
        read.append(read_children(tmp_path, folder))
    assert read[0]["dog"] is not None
    assert read == [read[0]] * 6
    path.write_text("\n".join([header, f"{word},{share}?," + ",".join(shares)]) + "\n")
    with pytest.raises(SllamaError, match=r"cdi_human\.csv, row 0: could not convert"):
        read_children(tmp_path, folder)


@pytest.mark.parametrize("allow_missing", [True, False])
def test_the_ages_of_children_are_read_before_anything_is_scored(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allow_missing: bool
) -> None:
    def score(*arguments: Any) -> Any:
        raise AssertionError("scored")

    monkeypatch.setattr(aoa_run, "load_model", score)
    config = make_config(tasks=["aoa"], allow_missing=allow_missing)
    path = write_words(tmp_path) / "aoa" / "cdi_human.csv"
    path.write_text("word,16\ndog,many\n")
    with pytest.raises(SllamaError, match=r"cdi_human\.csv, row 0"):
        run_aoa("aoa", AFTER_BOS, model, None, tmp_path, config, {})
    path.unlink()
    # Without them there is something to score where they may be missing: the surprisals.
    expected = AssertionError if allow_missing else MissingDataError
    with pytest.raises(expected, match=r"scored|cdi_human\.csv is not among"):
        run_aoa("aoa", AFTER_BOS, model, None, tmp_path, config, {})


@pytest.mark.parametrize("listed", [[], {"dog": 3}, {"dog": ["A"]}, {"dog": []}])
def test_a_malformed_list_of_words_is_named(tmp_path: Path, listed: Any) -> None:
    (tmp_path / "aoa").mkdir()
    (tmp_path / "aoa" / "cdi_childes.json").write_text(json.dumps(listed))
    with pytest.raises(SllamaError, match=r"cdi_childes\.json"):
        read_words(tmp_path, IN_CONTEXT)
