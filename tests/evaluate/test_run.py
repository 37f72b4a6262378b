import gc
import json
import math
from argparse import ArgumentParser
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file
from safetensors.torch import save_file as save_torch
from tokenizers import Tokenizer
from tokenizers.models import BPE

from pipeline.config import load_params
from pipeline.data.benchmarks import fetch_benchmarks
from pipeline.data.tokens import TokenSplit
from pipeline.encode.vocabulary import Vocabulary
from pipeline.errors import SllamaError
from pipeline.evaluate.catalog import describe, known_tasks, parts_of, task_names
from pipeline.evaluate.loading import load_model
from pipeline.evaluate.readers import READING_NUMBERS
from pipeline.evaluate.run import EvaluationRequest, _Run, run_evaluation
from stages.evaluate import arguments, work
from tests.evaluate.toys import PAIRS, make_config, make_model, write_pairs
from tests.imports import ROOT


def run(tmp_path: Path, tasks: list[str], **options: Any) -> dict[str, Any]:
    config = make_config(tasks=tasks, **options.pop("config", {}))
    request = EvaluationRequest(tasks=tasks, out=tmp_path / "out.json", config=config, **options)
    results = run_evaluation(request)
    assert json.loads((tmp_path / "out.json").read_text()) == results
    return results


def write_tokens(folder: Path, vocab_size: int = 300) -> Path:
    folder.mkdir()
    save_file({"tokens": np.arange(4, 300, dtype=np.uint16)}, folder / "train.safetensors")
    (folder / "tokens.json").write_text(json.dumps({"vocab_size": vocab_size}))
    rows = [{"source": "demo", "text": text} for text in ("A café. " * 40, "The cats annoy Tim.")]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_model_beside_the_null_scorers(
    tmp_path: Path, model_folder: Path, benchmarks: Path
) -> None:
    tokens = write_tokens(tmp_path / "tokens")
    results = run(
        tmp_path,
        ["demo_pairs", "heldout"],
        model=model_folder,
        data=benchmarks,
        tokens=tokens,
        items=tmp_path / "items.jsonl",
        config={"null_scorers": ["uniform", "unigram", "bigram"]},
    )
    pairs = results["tasks"]["demo_pairs"]
    assert pairs["status"] == "ok"
    assert pairs["n"] == len(PAIRS)
    assert set(pairs["paradigms"]) == {"agreement", "others"}
    assert set(pairs["null"]) == {"uniform", "unigram", "bigram"}
    assert pairs["null"]["uniform"]["paradigms"]["agreement"]["n"] == 4
    heldout = results["tasks"]["heldout"]
    assert "unread_bytes" not in heldout
    assert heldout["bytes"] == len(("A café. " * 40).encode()) + len("The cats annoy Tim.")
    per_byte = heldout["tokens"] * math.log2(300) / heldout["bytes"]
    assert heldout["null"]["uniform"]["bits_per_byte"] == pytest.approx(per_byte)
    assert heldout["null"]["uniform"]["perplexity"] == pytest.approx(300)
    assert results["model"]["parameters"] > 0
    assert results["dtype"] == "float32"
    lines = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    assert len(lines) == len(PAIRS) + 2
    assert len(lines[0]["scores"]) == 2


def test_solutions_are_compared_by_log_probability_per_token(
    tmp_path: Path, model_folder: Path
) -> None:
    shapes = [(1, 2, 5), (3, 1, 1), (7, 4, 2)]
    rows = [
        {"prompt": "The dog", "label": 0, "example_id": f"eng_{number}"}
        | {f"solution{place}": "sees " * words + "Tim." for place, words in enumerate(shape)}
        for number, shape in enumerate(shapes)
    ]
    folder = tmp_path / "global_piqa_parallel"
    folder.mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "eng_latn.jsonl").write_text(lines)
    items = tmp_path / "items.jsonl"
    task = "global_piqa_parallel"
    results = run(tmp_path, [task], model=model_folder, data=tmp_path, items=items)
    scored = [json.loads(line)["scores"] for line in items.read_text().splitlines()]
    scorer = load_model(model_folder, model_folder, make_config(tasks=[task]))
    for row, found in zip(rows, scored, strict=True):
        options = [("The dog", f" {row[f'solution{place}']}") for place in range(3)]
        encoded = scorer.encoder.encode(options)
        sums = [score for score, _ in scorer.score(encoded)]
        means = [total / len(one.scored) for total, one in zip(sums, encoded, strict=True)]
        assert found == pytest.approx(means, abs=1e-6)
    # However long the solutions, nobody who finds all tokens equally likely prefers one.
    null = results["tasks"][task]["null"]["uniform"]
    assert null["tie_rate"] == 1
    assert null["accuracy"] == pytest.approx(1 / 3)


def test_a_solution_that_was_cut_is_divided_by_the_tokens_that_are_left(
    tmp_path: Path, constant_folder: Path
) -> None:
    """To whom all tokens are equally likely no solution is better per token."""
    row = {"prompt": "The dog", "label": 0, "example_id": "eng_0"}
    row |= {f"solution{place}": "sees " * words + "Tim." for place, words in enumerate((1, 80))}
    folder = tmp_path / "global_piqa_parallel"
    folder.mkdir()
    (folder / "eng_latn.jsonl").write_text(json.dumps(row) + "\n")
    results = run(tmp_path, ["global_piqa_parallel"], model=constant_folder, data=tmp_path)
    task = results["tasks"]["global_piqa_parallel"]
    assert task["truncated"] == 1
    assert task["tie_rate"] == 1


def test_a_model_whose_output_is_constant_scores_as_uniform_does(
    tmp_path: Path, constant_folder: Path, benchmarks: Path
) -> None:
    results = run(tmp_path, ["demo_pairs"], model=constant_folder, data=benchmarks)
    task = results["tasks"]["demo_pairs"]
    for key in ("accuracy", "accuracy_first_wins", "accuracy_ties_wrong", "tie_rate"):
        assert task[key] == task["null"]["uniform"][key]
    assert task["tie_rate"] > 0


def test_two_runs_give_the_same_file(tmp_path: Path, model_folder: Path, benchmarks: Path) -> None:
    first = run(tmp_path, ["demo_pairs"], model=model_folder, data=benchmarks)
    assert run(tmp_path, ["demo_pairs"], model=model_folder, data=benchmarks) == first


def test_the_folder_of_all_tasks_may_be_named_too(
    tmp_path: Path, tokenizer_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLLAMA_DATA_MIRROR", raising=False)
    write_pairs(tmp_path / "data/demo_pairs/demo", "agreement", PAIRS)
    (tmp_path / "data/demo_pairs/manifest.json").touch()
    (tmp_path / "mirror").mkdir()
    absent = describe("wug_past")
    mirror, folder = str(tmp_path / "mirror"), tmp_path / "data/wug_past"
    fetch_benchmarks({absent.source or "": absent.parts}, mirror, folder, True)
    options: dict[str, Any] = {"scorer": "uniform", "tokenizer": tokenizer_folder}
    found = run(tmp_path, ["demo_pairs", "wug_past"], data=tmp_path / "data", **options)["tasks"]
    assert found["demo_pairs"]["n"] == len(PAIRS)
    assert "to be had from a mirror only" in found["wug_past"]["reason"]


def test_missing_data_is_listed_with_its_reason_or_refused(
    tmp_path: Path, tokenizer_folder: Path, benchmarks: Path
) -> None:
    options: dict[str, Any] = {
        "scorer": "uniform",
        "tokenizer": tokenizer_folder,
        "data": benchmarks,
    }
    tasks = ["comps", "heldout", "demo_pairs", "ewok", "reading", "wug_past"]
    results = run(tmp_path, tasks, **options)["tasks"]
    assert results["demo_pairs"]["status"] == "ok"
    for name in set(tasks) - {"demo_pairs"}:
        assert results[name]["status"] == "missing"
        assert results[name]["reason"]
        assert "accuracy" not in results[name]
    with pytest.raises(SllamaError, match="comps"):
        run(tmp_path, ["comps"], config={"allow_missing": False}, **options)


def test_the_reason_of_the_benchmarks_stage_is_passed_on(
    tmp_path: Path, tokenizer_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLLAMA_DATA_MIRROR", raising=False)
    data = tmp_path / "data"
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    task = describe("wug_past")
    fetch_benchmarks({task.source or "": task.parts}, str(mirror), data, True)
    options: dict[str, Any] = {"scorer": "uniform", "tokenizer": tokenizer_folder, "data": data}
    result = run(tmp_path, ["wug_past"], **options)["tasks"]["wug_past"]
    assert result["status"] == "missing"
    assert "to be had from a mirror only (babylm_eval/babylm_eval.tar.xz)" in result["reason"]
    with pytest.raises(SllamaError, match="to be had from a mirror only"):
        run(tmp_path, ["wug_past"], config={"allow_missing": False}, **options)


def test_reasons_hold_no_local_path(tmp_path: Path, model_folder: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    tasks = known_tasks()
    results = run(tmp_path, tasks, model=model_folder, data=data, tokens=tmp_path)["tasks"]
    assert {result["status"] for result in results.values()} == {"missing"}
    assert not any(str(tmp_path) in result["reason"] for result in results.values())


def test_a_folder_that_is_not_there_is_no_missing_data(tmp_path: Path, model_folder: Path) -> None:
    with pytest.raises(SllamaError, match="no such folder"):
        run(tmp_path, ["comps"], model=model_folder, data=tmp_path / "absent")


def test_scores_that_are_not_finite_stop_the_run_unless_asked_otherwise(
    tmp_path: Path, benchmarks: Path
) -> None:
    folder = make_model(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], math.nan)
    save_torch(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SllamaError, match="6 of 6 items"):
        run(tmp_path, ["demo_pairs"], model=folder, data=benchmarks)
    config = {"allow_nonfinite": True}
    results = run(tmp_path, ["demo_pairs"], model=folder, data=benchmarks, config=config)
    task = results["tasks"]["demo_pairs"]
    assert task["nonfinite"] == 6
    assert task["accuracy"] == task["accuracy_first_wins"] == 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either a model"),
        ({"scorer": "uniform"}, "needs a tokenizer"),
        ({"scorer": "trigram", "tokenizer": "tokenizer"}, "no scorer trigram"),
        ({"scorer": "unigram", "tokenizer": "tokenizer"}, "training tokens"),
        ({"scorer": "uniform", "tokenizer": Path("absent")}, "no such tokenizer"),
        ({"model": Path("absent")}, "no config.json"),
    ],
)
def test_wrong_arguments_are_one_line(
    tmp_path: Path, tokenizer_folder: Path, options: dict[str, Any], message: str
) -> None:
    if options.get("tokenizer") == "tokenizer":
        options = {**options, "tokenizer": tokenizer_folder}
    with pytest.raises(SllamaError, match=message) as caught:
        run(tmp_path, ["demo_pairs"], data=tmp_path, **options)
    assert "\n" not in str(caught.value)


def test_an_unknown_task_names_the_nearest(tmp_path: Path, tokenizer_folder: Path) -> None:
    with pytest.raises(SllamaError, match="blimp_filtered"):
        run(tmp_path, ["blimp_filterd"], scorer="uniform", tokenizer=tokenizer_folder)


def test_names_of_tasks_may_be_spaced_and_repeated() -> None:
    assert task_names(" demo_pairs, heldout,,demo_pairs,") == ["demo_pairs", "heldout"]
    for empty in ("", " , "):
        with pytest.raises(SllamaError, match=r"no task is named .*; known: .*, heldout, "):
            task_names(empty)


def test_a_task_named_twice_is_scored_once(
    tmp_path: Path, tokenizer_folder: Path, benchmarks: Path
) -> None:
    parser = ArgumentParser()
    arguments(parser)
    given = ["--tasks=demo_pairs, demo_pairs,", "--scorer=uniform", f"--data={benchmarks}"]
    written = [f"--out={tmp_path / 'out.json'}", f"--items={tmp_path / 'items.jsonl'}"]
    options = parser.parse_args([*given, f"--tokenizer={tokenizer_folder}", *written])
    work(load_params(ROOT / "params.yaml"), options)
    assert len((tmp_path / "items.jsonl").read_text().splitlines()) == len(PAIRS)


@pytest.mark.parametrize(
    ("out", "items", "message"),
    [
        ("folder", None, "folder: a folder is there"),
        ("out.json", "folder", "folder: a folder is there"),
        ("out.json", "folder/../out.json", "for the results .* and for the items too"),
        ("file/below/out.json", None, "file is no folder that can be written to"),
    ],
)
def test_files_that_cannot_be_written_are_refused_before_anything_is_loaded(
    tmp_path: Path, out: str, items: str | None, message: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    request = EvaluationRequest(
        tasks=["demo_pairs"],
        out=tmp_path / out,
        config=make_config(),
        model=tmp_path / "absent",
        items=items and tmp_path / items,
    )
    with pytest.raises(SllamaError, match=message):
        run_evaluation(request)


def test_tokens_of_another_tokenizer_are_refused(tmp_path: Path, tokenizer_folder: Path) -> None:
    tokens = write_tokens(tmp_path / "tokens", vocab_size=299)
    with pytest.raises(SllamaError, match="do not belong together"):
        run(tmp_path, ["heldout"], scorer="unigram", tokenizer=tokenizer_folder, tokens=tokens)


def test_tokens_of_another_tokenizer_of_the_same_size_are_refused(
    tmp_path: Path, tokenizer_folder: Path
) -> None:
    tokens = write_tokens(tmp_path / "tokens")
    text = json.loads((tokens / "test.jsonl").read_text().splitlines()[0])["text"]
    (ids,) = Vocabulary.load(tokenizer_folder).encode([text])
    facts = {"document_words": 2, "document_bytes": 9, "document_source": 0}
    counts = {name: np.array([value], dtype=np.int32) for name, value in facts.items()}
    for shift, refused in ((0, False), (1, True)):
        shifted = np.array([ids[0], *(ids[1:-1] + shift), ids[-1]], dtype=np.uint16)
        starts = np.array([0, len(ids)], dtype=np.int64)
        TokenSplit(tokens=shifted, document_starts=starts, **counts).save(
            tokens / "test.safetensors"
        )
        asked = {"scorer": "unigram", "tokenizer": tokenizer_folder, "tokens": tokens}
        with pytest.raises(SllamaError, match="another tokenizer") if refused else nullcontext():
            run(tmp_path, ["heldout"], **asked)


def test_what_was_finished_is_kept_if_a_later_task_ends_the_run(
    tmp_path: Path, tokenizer_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_pairs(tmp_path / "data" / "demo", "pairs", PAIRS)
    tokens = write_tokens(tmp_path / "tokens")
    (tmp_path / "out.json").write_text("of an earlier run")
    held_out = (tokens / "test.jsonl").read_text()
    (tokens / "test.jsonl").write_text("{")
    asked = {"scorer": "uniform", "tokenizer": tokenizer_folder, "data": tmp_path / "data"}
    asked["items"] = tmp_path / "items.jsonl"
    with pytest.raises(SllamaError, match=r"test\.jsonl"):
        run(tmp_path, ["demo_pairs", "heldout"], tokens=tokens, **asked)
    assert (tmp_path / "out.json").read_text() == "of an earlier run"
    assert not (tmp_path / "items.jsonl").exists()
    unfinished, items = (tmp_path / f"{name}.unfinished" for name in ("out.json", "items.jsonl"))
    assert f"what was finished (demo_pairs) is in {unfinished}" in caplog.messages
    kept, kept_items = json.loads(unfinished.read_text()), items.read_text()
    (tokens / "test.jsonl").write_text(held_out)
    whole = run(tmp_path, ["demo_pairs", "heldout"], tokens=tokens, **asked)
    assert kept == {**whole, "tasks": {"demo_pairs": whole["tasks"]["demo_pairs"]}}
    lines = (tmp_path / "items.jsonl").read_text()
    assert len(kept_items.splitlines()) == len(PAIRS)
    assert lines.startswith(kept_items)
    assert not unfinished.exists()
    assert not items.exists()


def test_what_is_finished_is_on_disk_before_the_next_task_begins(
    tmp_path: Path, tokenizer_folder: Path, benchmarks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a kill, of which nobody is told, costs one task alone."""
    found: list[set[str]] = []
    evaluate = _Run.evaluate

    def watched(self: _Run, task: Any) -> dict[str, Any]:
        found.append({path.name for path in tmp_path.iterdir()})
        return evaluate(self, task)

    monkeypatch.setattr(_Run, "evaluate", watched)
    options: dict[str, Any] = {"scorer": "uniform", "tokenizer": tokenizer_folder}
    items = tmp_path / "items.jsonl"
    run(tmp_path, ["demo_pairs", "comps", "wug_past"], data=benchmarks, items=items, **options)
    kept = {"out.json.unfinished", "items.jsonl.unfinished"}
    assert found == [set(), kept, kept]
    assert {path.name for path in tmp_path.iterdir()} == {"out.json", "items.jsonl"}


@pytest.mark.parametrize("line", ["{", "[]", '{"sentence_good": "a"}', '{"sentence_good": ""}'])
def test_a_bad_line_is_named(tmp_path: Path, tokenizer_folder: Path, line: str) -> None:
    write_pairs(tmp_path / "demo", "pairs", PAIRS[:1])
    with (tmp_path / "demo" / "pairs.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(SllamaError, match=r"pairs\.jsonl"):
        run(tmp_path, ["demo_pairs"], scorer="uniform", tokenizer=tokenizer_folder, data=tmp_path)


def test_the_garbage_collector_is_left_as_it_was(tmp_path: Path, tokenizer_folder: Path) -> None:
    before = gc.get_threshold()
    run(tmp_path, ["comps"], scorer="uniform", tokenizer=tokenizer_folder, data=tmp_path)
    with pytest.raises(SllamaError, match="no scorer"):
        run(tmp_path, ["comps"], scorer="trigram", tokenizer=tokenizer_folder, data=tmp_path)
    assert gc.get_threshold() == before


def test_bfloat16_warns_of_decisions_within_its_rounding(
    tmp_path: Path, constant_folder: Path, benchmarks: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = {"dtype": "bfloat16"}
    results = run(tmp_path, ["demo_pairs"], model=constant_folder, data=benchmarks, config=config)
    assert results["dtype"] == "bfloat16"
    assert "within the rounding of bfloat16" in caplog.text


def test_only_decisions_are_within_a_rounding(
    tmp_path: Path, constant_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "reading").mkdir()
    names = [*READING_NUMBERS, "item", "word", "prev_item", "prev_word"]
    rows = [",".join([*["1"] * len(READING_NUMBERS), "The", "cats", "The", "cats"])] * 2
    (tmp_path / "reading" / "reading_data.csv").write_text("\n".join([",".join(names), *rows]))
    (tmp_path / "wug_past_tense").mkdir()
    judged = json.dumps({"sentences": "A cat.\tA cat.", "ratio": 0.5})
    (tmp_path / "wug_past_tense" / "wug_past_tense.jsonl").write_text(judged)
    config = {"dtype": "bfloat16"}
    run(tmp_path, ["reading", "wug_past"], model=constant_folder, data=tmp_path, config=config)
    (warned,) = [line for line in caplog.messages if "within the rounding" in line]
    assert warned.startswith("wug_past: 1 of 1 decisions")


def test_bits_per_byte_of_a_tokenizer_that_drops_characters_are_marked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    letters = Tokenizer(BPE(vocab={"<s>": 0, "a": 1, "b": 2}, merges=[]))
    letters.save(str(tmp_path / "tokenizer.json"))
    rows = [{"source": "demo", "text": text} for text in ("ab", "b я")]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {"tokenizer": tmp_path / "tokenizer.json", "tokens": tmp_path}
    heldout = run(tmp_path, ["heldout"], scorer="uniform", **options)["tasks"]["heldout"]
    assert (heldout["bytes"], heldout["tokens"], heldout["unread_bytes"]) == (6, 3, 3)
    assert "heldout: 3 of 6 bytes are of characters that the tokenizer drops" in caplog.text


def test_tasks_of_one_source_ask_for_their_parts_and_one_may_ask_for_all() -> None:
    assert parts_of(["blimp_filtered", "heldout", "entity_tracking_fast", "blimp_filtered"]) == {
        "babylm-eval-2025": ("fast_eval/entity_tracking_fast", "full_eval/blimp_filtered")
    }
    assert parts_of(["comps", "glue_rte"])["babylm-eval-2025"] == (
        "full_eval/glue_filtered/rte.train.jsonl",
        "full_eval/glue_filtered/rte.valid.jsonl",
    )
    assert parts_of(["ewok_fast"]) == {"ewok-fast": ()}
    assert parts_of(["ewok", "ewok_2026", "ewok_core"]) == {"ewok": ()}
    assert parts_of(["ewok", "ewok_2026"]) == {}
