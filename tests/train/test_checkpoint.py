"""Checkpoints on disk: exact, few, checked, refused when foreign."""

import errno
import os
import random
from pathlib import Path

import pytest
import torch

from pipeline.errors import SllamaError
from pipeline.train.checkpoint import CheckpointStore, Snapshot

FACTS = {"seed": 1, "train.steps": 10}
ENVIRONMENT = {"threads": 1}


def store(folder: Path, **facts: object) -> CheckpointStore:
    return CheckpointStore(folder, FACTS | facts, ENVIRONMENT)


def snapshot(step: int) -> Snapshot:
    generator = torch.Generator().manual_seed(step)
    tensors = {
        "model.a": torch.randn(7, 3, generator=generator),
        "scalar": torch.tensor(step, dtype=torch.float32),
        "random.cpu": generator.get_state(),
    }
    return Snapshot(tensors, {"step": step, "words": 0.1 + step})


def test_what_is_saved_is_loaded_to_the_bit(tmp_path: Path) -> None:
    store(tmp_path).save(3, snapshot(3))
    loaded = store(tmp_path).load_latest()
    assert loaded is not None
    assert loaded.values == snapshot(3).values
    assert loaded.tensors.keys() == snapshot(3).tensors.keys()
    for name, tensor in snapshot(3).tensors.items():
        assert torch.equal(loaded.tensors[name], tensor)


def test_only_the_last_two_are_kept(tmp_path: Path) -> None:
    for step in (5, 90, 100):
        store(tmp_path).save(step, snapshot(step))
    assert [int(path.stem.split("-")[1]) for path in store(tmp_path).paths()] == [90, 100]


def test_none_is_none(tmp_path: Path) -> None:
    assert store(tmp_path).load_latest() is None


def test_any_damaged_byte_and_any_cut_are_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (1, 2):
        store(tmp_path).save(step, snapshot(step))
    newest = store(tmp_path).paths()[-1]
    whole = newest.read_bytes()
    choose = random.Random(0)
    for place in choose.sample(range(len(whole)), 60):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << choose.randrange(8)
        newest.write_bytes(bytes(damaged) if place % 3 else whole[:place])
        loaded = store(tmp_path).load_latest()
        assert loaded is not None
        assert loaded.values["step"] == 1, place
    assert "damaged" in caplog.text


def test_a_checkpoint_that_cannot_be_read_is_left_as_it_is(tmp_path: Path) -> None:
    here = store(tmp_path)
    here.folder.mkdir(parents=True, exist_ok=True)
    unreadable = here.folder / "step-000000100.safetensors"
    unreadable.mkdir()  # opens, and cannot be mapped
    with pytest.raises(SllamaError, match=r"step-000000100\.safetensors cannot be read"):
        here.load_latest()
    assert unreadable.exists()


def test_damaged_ones_do_not_stand_in_the_way_of_new_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (90, 100):
        store(tmp_path).save(step, snapshot(step))
    for path in store(tmp_path).paths():
        path.write_bytes(path.read_bytes()[:-1])
    assert store(tmp_path).load_latest() is None
    newest, oldest = caplog.messages
    assert newest.endswith("now damaged-step-000000100.safetensors: going back to the one before")
    assert oldest.endswith("now damaged-step-000000090.safetensors: training starts anew")
    for step in (1, 2, 3):
        store(tmp_path).save(step, snapshot(step))
    loaded = store(tmp_path).load_latest()
    assert loaded is not None
    assert loaded.values["step"] == 3
    assert [path.name for path in store(tmp_path).paths()] == [
        "step-000000002.safetensors", "step-000000003.safetensors"
    ]  # fmt: skip


def test_foreign_checkpoints_are_refused_with_every_difference(tmp_path: Path) -> None:
    store(tmp_path).save(1, snapshot(1))
    with pytest.raises(SllamaError) as refusal:
        CheckpointStore(tmp_path, {"seed": 2, "code": "x"}, ENVIRONMENT).load_latest()
    for difference in ("seed: 1 -> 2", "train.steps: 10 -> None", "code: None -> x"):
        assert difference in str(refusal.value)


def test_the_newest_other_runs_are_told_with_every_difference(tmp_path: Path) -> None:
    for age, seed in enumerate((2, 3, 4, 5, 6)):
        other = store(tmp_path / f"run-{seed}", seed=seed)
        for step in (1, 10 * seed):
            other.save(step, snapshot(step))
            os.utime(other.paths()[-1], (1e9 - age, 1e9 - age))
    unreadable = store(tmp_path / "run-3").paths()[-1]
    unreadable.write_bytes(unreadable.read_bytes()[:50])
    mine = store(tmp_path / "mine", code="x")
    mine.save(1, snapshot(1))
    assert mine.others() == [
        f"{tmp_path}/run-{seed}: an unfinished run after step {10 * seed}, not this one "
        f"(code: None -> x; seed: {seed} -> 1)"
        for seed in (2, 4, 5)
    ]


def test_a_run_that_differs_in_much_is_another_experiment(tmp_path: Path) -> None:
    many = {f"model.size_{number}": number for number in range(6)}
    store(tmp_path / "other", **many).save(1, snapshot(1))
    mine = store(tmp_path / "mine")
    assert mine.others() == []
    few = dict(list(many.items())[:5])
    store(tmp_path / "near", **few).save(1, snapshot(1))
    (line,) = mine.others()
    assert line.startswith(f"{tmp_path}/near: an unfinished run after step 1")


def test_no_other_run_is_nothing_to_tell(tmp_path: Path) -> None:
    assert store(tmp_path / "absent" / "mine").others() == []


def test_another_machine_is_told_but_not_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store(tmp_path).save(1, snapshot(1))
    assert CheckpointStore(tmp_path, FACTS, {"threads": 8}).load_latest() is not None
    assert "not to the bit: threads: 1 -> 8" in caplog.text


def test_an_interrupted_write_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(tmp_path).save(1, snapshot(1))

    def torn(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise OSError("no space left on the device")

    monkeypatch.setattr("pipeline.train.checkpoint.save_file", torn)
    with pytest.raises(OSError, match="no space"):
        store(tmp_path).save(2, snapshot(2))
    loaded = store(tmp_path).load_latest()
    assert loaded is not None
    assert loaded.values["step"] == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_two_processes_cannot_hold_one_run(tmp_path: Path) -> None:
    with (
        store(tmp_path).lock(),
        pytest.raises(SllamaError, match="another process"),
        store(tmp_path).lock(),
    ):
        pass


def test_without_locks_a_run_is_warned_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(handle: object, operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", refuse)
    with store(tmp_path).lock():
        pass
    assert f"{tmp_path}: no locks on this file system (Function not implemented)" in caplog.text


def test_what_is_half_removed_is_not_resumed_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path, ignore_errors: bool) -> None:
        raise KeyboardInterrupt

    for step in (1, 2):
        store(tmp_path).save(step, snapshot(step))
    monkeypatch.setattr("shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        store(tmp_path).discard()
    assert store(tmp_path).load_latest() is None


def test_discard_removes_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with store(folder).lock():
        store(folder).save(1, snapshot(1))
        store(folder).discard()
    assert not folder.exists()
