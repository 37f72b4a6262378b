"""A whole run: what it writes, that it resumes to the bit, and what it refuses."""

import errno
import json
import logging
import os
import shutil
import signal
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.config import Params
from pipeline.errors import SllamaError
from pipeline.model import SLlamaForCausalLM
from pipeline.train import fingerprint, loop, train
from pipeline.train.checkpoint import CheckpointStore
from pipeline.train.step import take_step
from stages import train as stage
from tests.train.conftest import Workplace
from tests.train.support import params

# 294 windows in the test's corpus: 8 a step, so that an epoch ends inside step 37.
LONG = {"steps": 40, "validate_every": 20, "checkpoint_every": 10}

RECIPES = {
    "plain": params(),
    "epochs": params(**LONG),
    "contiguous, released objective": params(order="contiguous", label_shift=2),
    "document mask, dropout": params(document_mask=True, model={"dropout": 0.2}),
    "muon": params(optimizer="muon", model={"attention": "mha"}),
    # A norm is never below 1 here.
    "best on validation, clipped, z-loss": params(
        keep="best_on_validation", gradient_clip=0.5, z_loss=0.01
    ),
    "bfloat16 head": params(precision="bfloat16"),
}


def stop_after(step: int, monkeypatch: pytest.MonkeyPatch, number: int = signal.SIGTERM) -> None:
    """Send this process a signal while it takes optimisation step `step`."""

    def signalled(state: Any, *rest: Any) -> Any:
        if state.step == step - 1:
            os.kill(os.getpid(), number)
        return take_step(state, *rest)

    monkeypatch.setattr(loop, "take_step", signalled)


@pytest.fixture
def interrupted(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Params, int], None]:
    """Start a run into the folder `resumed` and stop it after a step."""

    def start(recipe: Params, step: int) -> None:
        with monkeypatch.context() as patch:
            stop_after(step, patch)
            with pytest.raises(KeyboardInterrupt):
                workplace.train(recipe, "resumed")

    return start


@pytest.mark.parametrize(("name", "steps"), [
    ("plain", [1]),
    ("plain", [5, 9, 11]),
    ("epochs", [36, 37, 38]),
    ("contiguous, released objective", [7]),
    ("document mask, dropout", [3]),
    ("muon", [6]),
    ("best on validation, clipped, z-loss", [8]),
    ("bfloat16 head", [5]),
])  # fmt: skip
def test_an_interrupted_run_ends_as_the_uninterrupted_one(
    workplace: Workplace,
    interrupted: Callable[[Params, int], None],
    name: str,
    steps: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # So that the bfloat16 head is tried on any machine.
    monkeypatch.setattr("pipeline.train.device._has_bfloat16_units", lambda device: True)
    recipe = RECIPES[name]
    workplace.train(recipe, "whole")
    for step in steps:
        interrupted(recipe, step)
    figures = workplace.train(recipe, "resumed")
    assert figures["resumed_after_step"] == steps[-1]
    assert workplace.outputs("resumed") == workplace.outputs("whole")


def test_it_learns_and_says_what_it_did(workplace: Workplace, checkpoints: Path) -> None:
    workplace.train(params(steps=120, validate_every=120), "run")
    metrics = json.loads((workplace.folder / "run/metrics.json").read_text())
    rows = (workplace.folder / "run/history.tsv").read_text().splitlines()
    assert len(rows) == 1 + 1 + 120
    first, last = (
        dict(zip(rows[0].split("\t"), row.split("\t"), strict=True)) for row in rows[1::120]
    )
    assert float(first["validation_loss"]) > 4.0
    assert metrics["validation"]["loss"] == float(last["validation_loss"]) < 3.3
    assert metrics["steps"] == int(last["step"]) == 120
    assert metrics["tokens_seen"] == int(last["tokens"]) == 120 * 8 * 16
    assert metrics["words_seen"] == int(last["words"])
    assert metrics["parameters"] == sum(metrics["parameters_by_component"].values())
    assert list(checkpoints.iterdir()) == []


def test_the_model_folder_is_complete(workplace: Workplace) -> None:
    workplace.train(params(), "run")
    folder = workplace.folder / "run/model"
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    metrics = json.loads((workplace.folder / "run/metrics.json").read_text())
    assert sum(p.numel() for p in model.parameters()) == metrics["parameters"]
    assert (folder / "tokenizer.json").is_file()


def test_seeds_differ_and_equal_runs_do_not(workplace: Workplace) -> None:
    workplace.train(params(), "one")
    workplace.train(params(), "again")
    workplace.train(params(seed=2), "other")
    assert workplace.outputs("one") == workplace.outputs("again")
    weights = "model/model.safetensors"
    assert workplace.outputs("one")[weights] != workplace.outputs("other")[weights]


def test_micro_batches_change_only_rounding(workplace: Workplace) -> None:
    losses = []
    for micro_batch_size in (8, 2):
        workplace.train(params(micro_batch_size=micro_batch_size), str(micro_batch_size))
        metrics = json.loads((workplace.folder / f"{micro_batch_size}/metrics.json").read_text())
        losses.append(metrics["validation"]["loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_other_code_is_refused_until_the_folder_is_removed(
    workplace: Workplace,
    interrupted: Callable[[Params, int], None],
    checkpoints: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupted(params(), 5)
    monkeypatch.setattr(fingerprint, "code_version", lambda: "edited")
    with pytest.raises(SllamaError, match=r"code: \w+ -> edited.*remove"):
        workplace.train(params(), "resumed")
    (folder,) = checkpoints.iterdir()
    shutil.rmtree(folder)
    assert workplace.train(params(), "resumed")["resumed_after_step"] == 0


def test_code_that_changed_meanwhile_is_not_recorded_as_the_maker(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """DVC hashes a stage's code when the stage has ended."""
    code = ["as committed"]
    monkeypatch.setattr(fingerprint, "code_version", lambda: code[0])

    def edited(state: Any, *rest: Any) -> Any:
        if state.step == 6:
            code[0] = "edited"
        return take_step(state, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "take_step", edited)
        patch.setenv("DVC_STAGE", "train")
        with pytest.raises(SllamaError, match=r"pipeline/ changed while it trained.*put it back"):
            workplace.train(params(), "run")
    assert not (workplace.folder / "run/model").exists()
    code[0] = "as committed"
    assert workplace.train(params(), "run")["resumed_after_step"] == params().train.steps
    with monkeypatch.context() as patch:
        patch.setattr(loop, "take_step", edited)
        workplace.train(params(), "by hand")
    assert "the weights are of the code that it started with" in caplog.text


def test_checkpoints_stay_until_they_are_discarded(workplace: Workplace, checkpoints: Path) -> None:
    """What comes after the training may fail, and a rerun then has nothing left to train."""
    places = workplace.places("run")
    trained = train(params(), places)
    assert trained is not None
    shutil.rmtree(places.model)
    again = train(params(), places)
    assert again is not None
    assert again.figures["resumed_after_step"] == params().train.steps
    assert (places.model / "model.safetensors").is_file()
    (store,) = [CheckpointStore(folder, {}, {}) for folder in checkpoints.iterdir()]
    with store.lock():
        again.discard_checkpoints()
    assert store.paths(), "they are those of the process that holds them"
    again.discard_checkpoints()
    assert list(checkpoints.iterdir()) == []


def test_checkpoints_that_cannot_be_written_are_one_line(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace.folder / "file").touch()
    monkeypatch.setenv("SLLAMA_CHECKPOINTS", str(workplace.folder / "file"))
    with pytest.raises(SllamaError, match=r"Not a directory\); set SLLAMA_CHECKPOINTS to another"):
        workplace.train(params(), "run")


def test_another_recipe_never_sees_the_checkpoint_and_says_so(
    workplace: Workplace,
    interrupted: Callable[[Params, int], None],
    checkpoints: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    interrupted(params(), 5)
    (folder,) = checkpoints.iterdir()
    with caplog.at_level(logging.INFO, logger="pipeline"):
        assert workplace.train(params(learning_rate=0.02), "other")["resumed_after_step"] == 0
    (line,) = [message for message in caplog.messages if "unfinished" in message]
    assert line == (
        f"{folder}: an unfinished run after step 5, not this one "
        "(train.learning_rate: 0.01 -> 0.02)"
    )


def test_who_goes_on_hears_of_no_other_run(
    workplace: Workplace,
    interrupted: Callable[[Params, int], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    interrupted(params(learning_rate=0.02), 5)
    interrupted(params(), 5)
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="pipeline"):
        assert workplace.train(params(), "resumed")["resumed_after_step"] == 5
    assert "unfinished" not in caplog.text


def test_a_damaged_checkpoint_falls_back(
    workplace: Workplace,
    interrupted: Callable[[Params, int], None],
    checkpoints: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    workplace.train(params(), "whole")
    interrupted(params(), 7)
    newest = sorted(checkpoints.glob("*/step-*"))[-1]
    damaged = bytearray(newest.read_bytes())
    damaged[-3] ^= 1
    newest.write_bytes(bytes(damaged))
    assert workplace.train(params(), "resumed")["resumed_after_step"] == 4
    assert "damaged" in caplog.text
    assert workplace.outputs("resumed") == workplace.outputs("whole")


def test_a_run_without_an_undamaged_checkpoint_keeps_those_of_its_new_start(
    workplace: Workplace, interrupted: Callable[[Params, int], None], checkpoints: Path
) -> None:
    workplace.train(params(), "whole")
    interrupted(params(), 11)
    damaged = list(checkpoints.glob("*/step-*"))
    assert len(damaged) == 2
    for path in damaged:
        path.write_bytes(path.read_bytes()[:1000])
    interrupted(params(), 5)
    assert workplace.train(params(), "resumed")["resumed_after_step"] == 5
    assert workplace.outputs("resumed") == workplace.outputs("whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_step_of_a_signal_is_finished_and_saved(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    with monkeypatch.context() as patch:
        stop_after(5, patch, number)
        with pytest.raises(KeyboardInterrupt):
            workplace.train(params(), "resumed")
    assert workplace.train(params(), "resumed")["resumed_after_step"] == 5


def test_word_checkpoints_are_complete_models(
    workplace: Workplace,
    interrupted: Callable[[Params, int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.train.word_count._MILLION", 250)
    recipe = params(word_checkpoints=True)
    interrupted(recipe, 8)
    workplace.train(recipe, "resumed")
    folder = workplace.folder / "resumed/model"
    metrics = json.loads((workplace.folder / "resumed/metrics.json").read_text())
    expected = [f"chck_{count}M" for count in range(1, metrics["words_seen"] // 250 + 1)]
    assert len(expected) > 3
    assert metrics["word_checkpoints"] == expected
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == expected
    weights = []
    for name in expected:
        with safe_open(folder / "checkpoints" / name / "model.safetensors", "pt") as stored:
            weights.append(stored.get_tensor("model.embed_tokens.weight"))
    assert all((a != b).any() for a, b in zip(weights[1:], weights, strict=False))
    files = {path.name for path in folder.iterdir()} - {"checkpoints"}
    for name in expected:
        checkpoint = folder / "checkpoints" / name
        assert {path.name for path in checkpoint.iterdir()} == files
        SLlamaForCausalLM.from_pretrained(checkpoint)
        AutoTokenizer.from_pretrained(checkpoint)


def test_word_checkpoints_that_did_not_come_along_are_asked_for(
    workplace: Workplace,
    interrupted: Callable[[Params, int], None],
    checkpoints: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.train.word_count._MILLION", 250)
    recipe = params(word_checkpoints=True)
    interrupted(recipe, 8)
    (folder,) = checkpoints.iterdir()
    (folder / "checkpoints").rename(workplace.folder / "left behind")
    with pytest.raises(SllamaError, match=r"checkpoints: chck_1M, .*bring the folder along"):
        workplace.train(recipe, "resumed")
    (workplace.folder / "left behind").rename(folder / "checkpoints")
    workplace.train(recipe, "resumed")


def test_a_run_killed_while_it_is_removed_loses_no_word_checkpoint(
    workplace: Workplace, checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.train.word_count._MILLION", 250)
    recipe = params(word_checkpoints=True)
    workplace.train(recipe, "whole")
    remove = shutil.rmtree

    def killed(folder: Path, ignore_errors: bool = False) -> None:
        if folder.parent == checkpoints:
            remove(folder / "checkpoints")
            raise KeyboardInterrupt
        remove(folder, ignore_errors)

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            workplace.train(recipe, "killed")
    workplace.train(recipe, "killed")
    exported = [workplace.folder / name / "model/checkpoints" for name in ("whole", "killed")]
    whole, after = (sorted(path.name for path in folder.iterdir()) for folder in exported)
    assert after == whole


def test_a_disk_that_fills_while_word_checkpoints_are_copied_leaves_no_model(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.train.word_count._MILLION", 250)
    recipe = params(word_checkpoints=True)
    copied: list[Path] = []

    def fill(source: Path, target: Path) -> None:
        copied.append(target)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfile", fill)
        with pytest.raises(OSError, match="No space left") as caught:
            workplace.train(recipe, "full")
    assert caught.value.errno == errno.ENOSPC
    assert len(copied) == 1
    assert not (workplace.folder / "full/model").exists()
    workplace.train(recipe, "full")
    assert (workplace.folder / "full/model/checkpoints/chck_1M/model.safetensors").is_file()


def test_more_than_ten_passes_are_refused_under_the_rules(
    workplace: Workplace, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SllamaError, match="allows 10"):
        workplace.train(params(steps=400, rules="babylm2026"), "run")


def test_missing_tokens_are_named(workplace: Workplace) -> None:
    (workplace.folder / "tokens").unlink()
    with pytest.raises(SllamaError, match=r"tokens\.json: no such file"):
        workplace.train(params(), "run")


def test_the_stages_record_names_the_tokens_and_their_recipe(workplace: Workplace) -> None:
    recipe = params()
    places = workplace.places("run")
    made = stage.work(recipe, Namespace(**vars(places), dry_run=False))
    assert made is not None
    tokens = json.loads((workplace.tokens / "tokens.json").read_text())
    assert made.figures["tokens"] == tokens["fingerprint"]
    for section in ("tokenizer", "encode", "model", "train"):
        assert made.section[section] == recipe.model_dump()[section]
