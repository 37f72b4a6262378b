"""GLUE fine-tuning: it learns what can be learnt, and the honest number looks at no answer."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from transformers import AutoTokenizer, GPT2Config, GPT2Model, OPTConfig, OPTModel

from pipeline.errors import SllamaError
from pipeline.evaluate.catalog import describe
from pipeline.evaluate.finetune.data import Example, encode, hold_out, pad_left, read_examples
from pipeline.evaluate.finetune.metrics import METRICS, best_constant, f1, interval
from pipeline.evaluate.finetune.model import Classifier, load_classifier
from pipeline.evaluate.finetune.recipe import learning_rate_share, recipe_of
from pipeline.evaluate.finetune.run import run_finetuning
from pipeline.evaluate.forward import require_all_weights
from pipeline.evaluate.items import MissingDataError
from pipeline.evaluate.results import NonFiniteError
from tests.evaluate.toys import make_model, remove_weights

CPU = torch.device("cpu")
WORDS = ["cats", "Tim.", "loud", "naïve", "unseen"]


def made_up(count: int, seed: int) -> list[dict[str, Any]]:
    """Rows whose label is whether the second text ends as the first does."""
    generator = random.Random(seed)
    rows = []
    for number in range(count):
        label = number % 2
        first = generator.choice(["These dogs are loud.", "The cats annoy Tim.", "A dog."])
        second = f"{first} {'Who did the dog see?' if label else 'The cat annoys Tim.'}"
        rows.append({"sentence1": first, "sentence2": second, "label": label})
    generator.shuffle(rows)
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "glue_filtered"
    write(folder / "rte.train.jsonl", made_up(96, 0))
    write(folder / "rte.valid.jsonl", made_up(40, 1))
    return tmp_path / "data"


def metadata(**changes: Any) -> dict[str, Any]:
    known = dict(describe("glue_rte").metadata)
    known["files"] = [f"glue_filtered/rte.{split}.jsonl" for split in ("train", "valid")]
    return {**known, "epochs": 3, "batch_size": 8, "learning_rate": 1e-3, **changes}


def run(
    model: Path, data: Path, context: int = 64, **changes: Any
) -> tuple[dict[str, Any], list[str]]:
    return run_finetuning(
        "glue_rte", metadata(**changes), model, model, data, context, CPU, samples=50, seed=0
    )


def test_a_learnable_task_is_learnt(model_folder: Path, data: Path) -> None:
    result, lines = run(model_folder, data)
    assert result["score"] == result["honest"]["score"] == pytest.approx(1.0, abs=0.05)
    assert result["official"]["score"] >= 0.95
    assert result["null"]["constant"]["score"] == 0.5
    assert (result["n"], result["train"], result["context"]) == (40, 96, 64)
    assert result["dtype"] == "float32"
    assert result["truncated"] == 0
    low, high = result["ci95"]
    assert low <= result["score"] <= high
    rows = [json.loads(line) for line in lines]
    assert [row["item"] for row in rows[:2]] == ["rte_0", "rte_1"]
    labels = [row["label"] for row in made_up(40, 1)]
    right = [np.argmax(row["scores"]) == label for row, label in zip(rows, labels, strict=True)]
    assert np.mean(right) == result["official"]["score"]


def test_the_constant_answer_is_chosen_without_the_scored_labels(
    model_folder: Path, data: Path
) -> None:
    for split, majority in (("train", 0), ("valid", 1)):
        rows = sorted(made_up(40, 1), key=lambda row: row["label"] != majority)[:25]
        write(data / "glue_filtered" / f"rte.{split}.jsonl", rows)
    constant = run(model_folder, data, epochs=1)[0]["null"]["constant"]
    assert constant["label"] == 0
    assert constant["score"] == pytest.approx(5 / 25)


def test_a_seed_decides_everything_and_seeds_differ(model_folder: Path, data: Path) -> None:
    first = run(model_folder, data, epochs=1)
    assert run(model_folder, data, epochs=1) == first
    assert run(model_folder, data, epochs=1, seeds=[7])[1] != first[1]
    both, lines = run(model_folder, data, epochs=1, seeds=[42, 7])
    assert lines == first[1]
    assert len(both["honest"]["scores"]) == len(both["official"]["epochs"]) == 2
    assert both["score"] == pytest.approx(np.mean(both["honest"]["scores"]))


def test_the_honest_number_never_reads_the_scored_labels(model_folder: Path, data: Path) -> None:
    """Scrambled labels of the scored set change neither its epochs nor its predictions."""
    options: dict[str, Any] = {"epochs": 4, "learning_rate": 5e-5, "seeds": [1, 2]}
    before, _ = run(model_folder, data, **options)
    scrambled = [{**row, "label": 1 - row["label"]} for row in made_up(40, 1)]
    write(data / "glue_filtered" / "rte.valid.jsonl", scrambled)
    after, _ = run(model_folder, data, **options)
    assert max(before["honest"]["epochs"]) > 1
    assert after["honest"]["epochs"] == before["honest"]["epochs"]
    mirrored = [1 - score for score in before["honest"]["scores"]]
    assert after["honest"]["scores"] == pytest.approx(mirrored)
    # The official number does look.
    assert after["official"]["epochs"] != before["official"]["epochs"]


def test_the_held_out_tenth_is_no_training_data() -> None:
    examples = [Example((str(number), ""), number % 2) for number in range(50)]
    rest, held_out = hold_out(examples, seed=3)
    assert len(held_out) == 5
    assert {*rest, *held_out} == set(examples)
    assert not set(rest) & set(held_out)
    assert hold_out(examples, seed=3) == (rest, held_out)
    assert hold_out(examples, seed=4) != (rest, held_out)
    with pytest.raises(SllamaError, match="at least two"):
        hold_out(examples[:1], seed=0)


def gpt2() -> GPT2Model:
    torch.manual_seed(0)
    return GPT2Model(GPT2Config(vocab_size=300, n_positions=64, n_embd=32, n_layer=2, n_head=2))


@pytest.mark.parametrize("body", ["llama", "gpt2"])
def test_left_padding_changes_nothing(model_folder: Path, body: str) -> None:
    torch.manual_seed(0)
    classifier = (
        load_classifier(model_folder, 3, CPU) if body == "llama" else Classifier(gpt2(), 32, 3)
    )
    classifier.eval()
    rows = [[0, 5, 9], [0, 7, 8, 20, 21, 22, 23]]
    with torch.no_grad():
        together = classifier(*pad_left(rows, 2, CPU))
        alone = [classifier(*pad_left([row], 2, CPU))[0] for row in rows]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-4, atol=1e-5)


def test_the_last_token_decides(model_folder: Path) -> None:
    classifier = load_classifier(model_folder, 2, CPU).eval()
    with torch.no_grad():
        first, second = classifier(*pad_left([[0, 5, 9], [0, 5, 10]], 2, CPU))
    assert not torch.allclose(first, second)


def test_long_pairs_are_cut_and_keep_both_texts(model_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    long, short = (Example(("The cats annoy Tim. " * times, "A dog."), 0) for times in (30, 1))
    (row, _), truncated = encode(tokenizer, [long, short], 24)
    assert (len(row), truncated) == (24, 1)
    tail = tokenizer("A dog.", add_special_tokens=False)["input_ids"]
    assert row[-len(tail) :] == tail


@given(st.lists(st.sampled_from(WORDS), min_size=1), st.lists(st.sampled_from(WORDS), min_size=1))
def test_a_pair_is_cut_when_it_is_longer_than_the_context(
    model_folder: Path, first: list[str], second: list[str]
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    example = Example((" ".join(first), " ".join(second)), 0)
    (whole,), truncated = encode(tokenizer, [example], 1000)
    assert truncated == 0
    for length in {max(3, len(whole) - 1), len(whole), len(whole) + 1}:
        assert encode(tokenizer, [example], length)[1] == (len(whole) > length)


def test_the_result_counts_the_scored_pairs_that_were_cut(
    model_folder: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    pairs = [(row["sentence1"], row["sentence2"]) for row in made_up(40, 1)]
    lengths = [len(tokenizer(*pair)["input_ids"]) for pair in pairs]
    context = sorted(lengths)[20]
    longer = sum(length > context for length in lengths)
    result, _ = run(model_folder, data, context, epochs=1)
    assert result["truncated"] == longer > 0
    assert f"rte: {longer} of 40 scored pairs are longer than {context} tokens" in caplog.text
    assert "of 96 training pairs are longer" in caplog.text


def test_a_body_without_some_of_its_weights_is_refused(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model")
    remove_weights(folder, "model.layers.1.mlp.up_proj.weight")
    with pytest.raises(SllamaError, match=r"its files lack the weights layers\.1\.mlp\.up_proj"):
        load_classifier(folder, 3, CPU)
    remove_weights(folder, "lm_head.weight")
    with pytest.raises(SllamaError, match=r"its files lack the weights layers\.1\.mlp\.up_proj"):
        load_classifier(folder, 3, CPU)


def test_a_body_needs_no_head_and_no_pooler(tmp_path: Path) -> None:
    remove_weights(make_model(tmp_path / "llama"), "lm_head.weight")
    load_classifier(tmp_path / "llama", 3, CPU)
    require_all_weights({"missing_keys": ["pooler.dense.weight", "pooler.dense.bias"]})


def test_a_body_may_be_narrower_at_its_end_than_inside(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "word_embed_proj_dim": 16, "ffn_dim": 64, "vocab_size": 300}
    config = OPTConfig(**sizes, num_hidden_layers=1, num_attention_heads=2)
    OPTModel(config).save_pretrained(tmp_path)
    classifier = load_classifier(tmp_path, 3, CPU).eval()
    assert classifier(*pad_left([[2, 5, 9], [7, 8]], 1, CPU)).shape == (2, 3)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=40))
def test_f1_is_that_of_the_official_scorer(pairs: list[tuple[int, int]]) -> None:
    predicted, labels = (np.array(column) for column in zip(*pairs, strict=True))
    assert f1(predicted, labels) == pytest.approx(f1_score(labels, predicted, zero_division=0))


def test_f1_by_hand() -> None:
    # Two right of three claimed, two right of four wanted: 2 * 2 / (3 + 4).
    predicted = np.array([1, 1, 1, 0, 0, 0])
    labels = np.array([1, 1, 0, 1, 1, 0])
    assert f1(predicted, labels) == pytest.approx(4 / 7)


def test_the_best_constant_depends_on_the_metric() -> None:
    labels = np.array([0, 0, 0, 1])
    assert best_constant(labels, METRICS["accuracy"]) == 0
    assert best_constant(labels, METRICS["f1"]) == 1


def test_the_interval_is_as_wide_as_a_binomial_one() -> None:
    labels = np.tile([0, 1], 200)
    predicted = np.concatenate([labels[:300], 1 - labels[300:]])
    low, high = interval([predicted], labels, METRICS["accuracy"], 2000, 0)
    assert high - low == pytest.approx(2 * 1.96 * (0.75 * 0.25 / 400) ** 0.5, rel=0.1)


def test_the_schedule_warms_up_and_ends_at_a_tenth() -> None:
    shares = [learning_rate_share(step, 1000) for step in range(1001)]
    assert shares[0] == 0.0
    assert shares[30] == pytest.approx(0.5)
    assert max(shares) == shares[60] == 1.0
    assert shares[530] == pytest.approx(0.55)
    assert shares[-1] == pytest.approx(0.1)
    assert learning_rate_share(0, 3) == 1.0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"sentence1": "a", "sentence2": "b", "label": 2}, "label from 0 to 1"),
        ({"sentence1": "a", "sentence2": "b", "label": "1"}, "label from 0 to 1"),
        ({"sentence1": "a", "label": 1}, "sentence2 is missing"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    write(tmp_path / "glue_filtered" / "rte.train.jsonl", [row])
    recipe = recipe_of("glue_rte", metadata())
    with pytest.raises(SllamaError, match=f"item 0: .*{message}"):
        read_examples(tmp_path, recipe.train, recipe)


def test_braces_in_a_text_are_text(tmp_path: Path) -> None:
    row = {"sentence1": "{sentence2}", "sentence2": "{0}", "label": 1}
    write(tmp_path / "glue_filtered" / "rte.train.jsonl", [row])
    recipe = recipe_of("glue_rte", metadata())
    (example,) = read_examples(tmp_path, recipe.train, recipe)
    assert example == Example(("{sentence2}", "{0}"), 1)


def test_missing_training_data_is_missing_and_a_loss_that_is_not_finite_is_an_error(
    model_folder: Path, data: Path
) -> None:
    with pytest.raises(NonFiniteError, match="not finite"):
        run(model_folder, data, learning_rate=1e30)
    (data / "glue_filtered" / "rte.train.jsonl").unlink()
    with pytest.raises(MissingDataError, match=r"rte\.train\.jsonl"):
        run(model_folder, data)


SENTENCES = ("{sentence1}", "{sentence2}")
ASKS = "Question: {question} Answer: {answer}"
REFERS = 'Does "{span2_text}" refer to "{span1_text}" in this passage?'


@pytest.mark.parametrize(
    ("task", "labels", "metric", "epochs", "batch", "texts"),
    [
        ("boolq", 2, "accuracy", 10, 16, ("{question}", "{passage}")),
        ("mnli", 3, "accuracy", 10, 32, ("{premise}", "{hypothesis}")),
        ("mrpc", 2, "f1", 10, 32, SENTENCES),
        ("multirc", 2, "accuracy", 10, 16, (ASKS, "{paragraph}")),
        ("qqp", 2, "f1", 10, 32, ("{question1}", "{question2}")),
        ("rte", 2, "accuracy", 10, 32, SENTENCES),
        ("wsc", 2, "accuracy", 30, 32, (REFERS, "{text}")),
    ],
)
def test_recipes_are_the_official_ones(
    task: str, labels: int, metric: str, epochs: int, batch: int, texts: tuple[str, str]
) -> None:
    recipe = recipe_of(task, describe(f"glue_{task}").metadata)
    assert (recipe.name, recipe.labels, recipe.metric) == (task, labels, metric)
    assert (recipe.first, recipe.second) == texts
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (epochs, batch, 3e-5)
    assert recipe.seeds == (42,)
