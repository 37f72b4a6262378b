"""Several processes: the steps of one, at any number; what they do when one of them is lost."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pipeline.config import Params
from pipeline.errors import SllamaError
from pipeline.train import prepare
from pipeline.train.batches import Batch, WindowReader
from pipeline.train.checkpoint import Snapshot
from pipeline.train.distributed import Ranks, _buckets
from pipeline.train.objective import Objective
from pipeline.train.process_group import TIMEOUT_VARIABLE, joined
from pipeline.train.validation import HeldOutLoss, HeldOutText
from tests.train.conftest import Workplace
from tests.train.ranks import said, start_together, train_together
from tests.train.support import params
from tests.train.torchrun import Launched, command, launch
from tests.waiting import wait_for

# Four micro-batches a step.
RECIPE = params(micro_batch_size=2, keep="best_on_validation")
# Long enough for a signal to come in time.
LONG = params(micro_batch_size=2, steps=300, checkpoint_every=10, validate_every=150)


def start(
    workplace: Workplace, name: str, recipe: Params, processes: int, *options: str, **env: str
) -> Launched:
    """Train `recipe` into the folder `name` in a number of processes on this machine."""
    options = ("--standalone", "--nproc-per-node", str(processes), *options)
    argv = command(workplace.folder, name, recipe, options)
    return launch(argv, workplace.folder / f"{name}.log", **env)


def newest(checkpoints: Path) -> str:
    return max((path.name for path in checkpoints.glob("*/step-*")), default="")


def table(workplace: Workplace, name: str) -> list[dict[str, str]]:
    lines = (workplace.folder / name / "history.tsv").read_text().splitlines()
    header = lines[0].split("\t")
    return [dict(zip(header, line.split("\t"), strict=True)) for line in lines[1:]]


def assert_equal_up_to_rounding(workplace: Workplace, found: str, expected: str) -> None:
    """Counts, rates and places are equal; losses and weights are to float tolerance."""
    exact = ("step", "tokens", "words", "learning_rate")
    rows = table(workplace, found), table(workplace, expected)
    for one, other in zip(*rows, strict=True):
        assert [one[key] for key in exact] == [other[key] for key in exact]
        for key in set(one) - set(exact):
            assert (one[key] == "") == (other[key] == "")
            if one[key]:
                assert float(one[key]) == pytest.approx(float(other[key]), rel=1e-4)
    weights = [
        load_file(workplace.folder / name / "model/model.safetensors") for name in (found, expected)
    ]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], rtol=1e-3, atol=1e-4)


def test_one_process_is_the_whole_run() -> None:
    alone = Ranks()
    values = torch.tensor([1.0, 2.0])
    alone.sum_([values])
    snapshot = Snapshot({"a": values}, {"step": 1})
    assert list(alone.share(5)) == [0, 1, 2, 3, 4]
    assert alone.merge(values).tolist() == [1.0, 2.0]
    assert alone.broadcast(snapshot) is snapshot
    assert alone.any(True)
    assert not alone.any(False)
    assert alone.first


def test_shares_are_equal_and_leave_nothing_out() -> None:
    shares = [Ranks(rank, 4).share(12) for rank in range(4)]
    assert [len(share) for share in shares] == [3, 3, 3, 3]
    assert [number for share in shares for number in share] == list(range(12))


def test_what_is_taken_in_turn_leaves_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """And all processes meet as often, though some have less to do."""
    met: list[int] = []
    monkeypatch.setattr(Ranks, "largest", lambda ranks, number: met.append(ranks.rank) or number)
    taken = [list(Ranks(rank, 3).in_turn(7)) for rank in range(3)]
    assert taken == [[0, 3, 6], [1, 4], [2, 5]]
    assert met == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert list(Ranks(1, 3).in_turn(7, patient=True)) == [1, 4]
    assert list(Ranks().in_turn(2)) == [0, 1]
    assert len(met) == 9


def test_buckets_hold_every_tensor_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.train.distributed._BUCKET_ELEMENTS", 10)
    tensors = [torch.zeros(size) for size in (1, 9, 1, 25, 3, 7, 1)]
    buckets = list(_buckets(tensors))
    assert [[len(tensor) for tensor in bucket] for bucket in buckets] == [
        [1, 9], [1], [25], [3, 7], [1],
    ]  # fmt: skip


@pytest.mark.parametrize(("size", "advice"), [
    (3, "take a number of processes that divides 2$"),
    (8, "divides 2, or train.micro_batch_size: 1$"),
])  # fmt: skip
def test_unequal_shares_are_refused(
    size: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(size))
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(SllamaError, match=advice), joined(params().train):
        pass


@pytest.mark.parametrize(("said", "wrong"), [
    ("soon", "is a number of seconds, not soon"),
    ("inf", "is a number of seconds, not inf"),
    ("0", "is more than 0 seconds, not 0"),
    ("-1", "is more than 0 seconds, not -1"),
])  # fmt: skip
def test_the_timeout_is_a_number_of_seconds(
    said: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv(TIMEOUT_VARIABLE, said)
    with pytest.raises(SllamaError, match=f"^{TIMEOUT_VARIABLE} {wrong}$"), joined(params().train):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_processes_together_take_the_steps_of_one(workplace: Workplace, processes: int) -> None:
    workplace.train(RECIPE, "one")
    train_together(workplace, "several", RECIPE, processes)
    assert_equal_up_to_rounding(workplace, "several", "one")


@pytest.mark.slow
def test_one_micro_batch_in_each_of_two_processes_is_exact(workplace: Workplace) -> None:
    """A sum of two has one value, whoever forms it; dropout's masks belong to micro-batches."""
    recipe = params(model={"dropout": 0.2})
    workplace.train(recipe, "one")
    train_together(workplace, "two", recipe, 2)
    assert workplace.outputs("two") == workplace.outputs("one")


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(
    workplace: Workplace, checkpoints: Path
) -> None:
    workplace.train(LONG, "whole")
    for processes, number in ((2, signal.SIGTERM), (1, signal.SIGINT)):
        before = newest(checkpoints)
        run = start_together(workplace, "resumed", LONG, processes)
        wait_for(lambda before=before: newest(checkpoints) > before)
        # To one of them only: the others hear of it, and all stop after the same step.
        os.kill(run[-1].pid or 0, number)
        for process in run:
            process.join()
            assert process.exitcode != 0
    train_together(workplace, "resumed", LONG, 4)
    assert "not to the bit: processes: 1 -> 4" in said(workplace, "resumed")
    rows = table(workplace, "resumed"), table(workplace, "whole")
    for key in ("step", "tokens", "words", "learning_rate"):
        assert [row[key] for row in rows[0]] == [row[key] for row in rows[1]]
    losses = [float(held[-1]["validation_loss"]) for held in rows]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


@pytest.mark.slow
def test_the_same_number_of_processes_resumes_to_the_bit(
    workplace: Workplace, checkpoints: Path
) -> None:
    train_together(workplace, "whole", LONG, 2)
    run = start(workplace, "resumed", LONG, 2)
    wait_for(lambda: newest(checkpoints))
    run.process.send_signal(signal.SIGTERM)
    assert run.wait() != 0
    assert "run again to go on" in run.log.read_text()
    assert start(workplace, "resumed", LONG, 2).wait() == 0
    assert workplace.outputs("resumed") == workplace.outputs("whole")


def _short_of_memory_once(workplace: Workplace, recipe: Params, name: str) -> None:
    """Train; when `name` is started first, process 1 runs out of memory, and `cut` is stopped."""
    started = workplace.folder / f"{name}.started"
    again, calls, call = started.exists(), 0, Objective.__call__

    def limited(objective: Objective, batch: Batch) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if os.environ["RANK"] == "1" and not again:
            if calls == 1:
                started.touch()
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            if calls == 40 and name == "cut":
                os.kill(os.getpid(), signal.SIGTERM)
        return call(objective, batch)

    Objective.__call__ = limited  # type: ignore[method-assign]
    workplace.train(recipe, name)


@pytest.mark.slow
def test_memory_that_ran_out_in_one_process_changes_no_resumed_bit(workplace: Workplace) -> None:
    recipe = params(
        micro_batch_size=2, steps=24, checkpoint_every=6, on_out_of_memory="halve",
        model={"dropout": 0.2},
    )  # fmt: skip
    train_together(workplace, "whole", recipe, 2, _short_of_memory_once)
    for process in start_together(workplace, "cut", recipe, 2, _short_of_memory_once):
        process.join()
        assert process.exitcode != 0
    train_together(workplace, "cut", recipe, 2, _short_of_memory_once)
    assert workplace.outputs("cut") == workplace.outputs("whole")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_lost_process_ends_the_run(workplace: Workplace, checkpoints: Path, rank: int) -> None:
    run = start(workplace, "run", LONG, 2)
    wait_for(lambda: newest(checkpoints))
    run.worker(rank).kill()
    killed = time.monotonic()
    assert run.wait() != 0
    assert time.monotonic() - killed < 60
    (line,) = run.errors()
    assert "another process of this run is gone" in line
    assert not (workplace.folder / "run/model").exists()


@pytest.mark.slow
def test_a_process_that_does_not_answer_ends_the_run(
    workplace: Workplace, checkpoints: Path
) -> None:
    run = start(workplace, "run", LONG, 2, **{TIMEOUT_VARIABLE: "3"})
    wait_for(lambda: newest(checkpoints))
    worker = run.worker(1)
    worker.suspend()
    try:
        wait_for(run.errors)
    finally:
        worker.resume()
    assert "does not answer" in run.errors()[0]
    assert run.wait() != 0


def _fall_silent(workplace: Workplace, recipe: Params, name: str) -> None:
    """Train; process 1 stops for ever in the second held-out loss."""
    measured, read = 0, WindowReader.read
    measure = HeldOutText.measure

    def counted(text: HeldOutText, *arguments: Any) -> HeldOutLoss:
        nonlocal measured
        measured += 1
        return measure(text, *arguments)

    def stopped(reader: WindowReader, offsets: Any) -> Batch:
        if measured == 2 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGSTOP)
        return read(reader, offsets)

    prepare._HELD_OUT_TOKENS = 32  # several batches
    HeldOutText.measure = counted  # type: ignore[method-assign]
    WindowReader.read = stopped  # type: ignore[method-assign]
    os.environ[TIMEOUT_VARIABLE] = "3"
    workplace.train(recipe, name)


@pytest.mark.slow
def test_a_process_that_falls_silent_in_a_held_out_loss_ends_the_run(workplace: Workplace) -> None:
    recipe = params(micro_batch_size=2, validate_every=4, checkpoint_every=100)
    first, second = start_together(workplace, "run", recipe, 2, _fall_silent)
    try:
        first.join(60)
        assert first.exitcode == 1
    finally:
        second.kill()
        first.kill()
    assert "does not answer" in said(workplace, "run")


@pytest.mark.slow
def test_torchrun_restarts_from_the_last_checkpoint(
    workplace: Workplace, checkpoints: Path
) -> None:
    train_together(workplace, "whole", LONG, 2)
    run = start(workplace, "run", LONG, 2, "--max-restarts", "1")
    wait_for(lambda: newest(checkpoints))
    run.worker(0).kill()
    assert run.wait() == 0, run.log.read_text()
    assert "going on after step" in run.log.read_text()
    assert workplace.outputs("run") == workplace.outputs("whole")
    provenance = json.loads((workplace.folder / "run/model.provenance.json").read_text())
    assert provenance["processes"] == 2


@pytest.mark.slow
def test_a_number_that_does_not_divide_is_one_line(workplace: Workplace) -> None:
    run = start(workplace, "run", RECIPE, 3)
    assert run.wait() != 0
    (line,) = run.errors()
    assert line.startswith("error: 3 processes cannot share equally the 4 micro-batches")


@pytest.mark.slow
def test_a_dry_run_of_several_processes_prints_one_table(workplace: Workplace) -> None:
    options = ("--standalone", "--nproc-per-node", "2")
    argv = command(workplace.folder, "dry", RECIPE, options, "--dry-run")
    run = launch(argv, workplace.folder / "dry.log")
    assert run.wait() == 0, run.log.read_text()
    lines = run.log.read_text().splitlines()
    assert [line.split()[1] for line in lines if line.startswith("processes ")] == ["2"]
    assert not (workplace.folder / "dry").exists()
