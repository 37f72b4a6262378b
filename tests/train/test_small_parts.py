"""History, word counts, fingerprints, devices, interrupts, initial weights, dry runs."""

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pipeline.errors import SllamaError
from pipeline.train import dry_run
from pipeline.train.build import build_model
from pipeline.train.device import choose_numerics, deterministic_kernels, should_compile
from pipeline.train.dry_run import peak_resident_bytes
from pipeline.train.fingerprint import describe_run, differences, run_name
from pipeline.train.flops import training_flops_per_token
from pipeline.train.history import MAX_ROWS, RECENT_STEPS, History
from pipeline.train.interrupt import Interrupts
from pipeline.train.word_count import check_passes, milestones
from tests.train.conftest import Workplace
from tests.train.support import params
from tests.train.test_optimizer import VOCABULARY

FACTS = {"fingerprint": "f", "vocab_size": 61, "splits": {"train": {"sha256": "s"}}}


def place(step: int) -> dict[str, float]:
    return {"step": step, "tokens": 10 * step, "words": 8 * step, "learning_rate": 0.5}


def test_history_rows_are_bounded_and_hold_means(tmp_path: Path) -> None:
    steps = 3 * MAX_ROWS
    history = History(steps)
    for step in range(1, steps + 1):
        history.add_step(float(step), 1.0, place(step))
    assert len(history.rows) == MAX_ROWS
    assert history.rows[0]["loss"] == 2.0
    assert history.recent_loss == steps - (RECENT_STEPS - 1) / 2


def test_a_held_out_measurement_has_a_row_where_there_is_none(tmp_path: Path) -> None:
    history = History(3 * MAX_ROWS)
    for step in range(1, 7):
        history.add_step(float(step), 1.0, place(step))
        if step in (4, 6):
            history.add_held_out(place(step), validation_loss=2.0)
    assert [(row["step"], row["loss"]) for row in history.rows] == [(3, 2.0), (4, 4.0), (6, 5.5)]


def test_history_comes_back_from_its_state(tmp_path: Path) -> None:
    first, second = History(10_000), History(10_000)
    for step in range(1, 8):
        first.add_step(1 / step, 1.0, place(step))
    first.add_held_out(place(7), validation_loss=0.3)
    first.add_step(0.1, 2.0, place(8))
    second.restore(json.loads(json.dumps(first.state())))
    for history in (first, second):
        history.add_step(0.2, 3.0, place(9))
        history.add_step(0.4, 4.0, place(10))
        assert history.rows[-1]["loss"] == pytest.approx((0.1 + 0.2 + 0.4) / 3)
        assert history.rows[-1]["gradient_norm"] == pytest.approx(3.0)
        history.add_held_out(place(10), validation_loss=0.2)
    assert first.recent_loss == second.recent_loss
    first.write(tmp_path / "first.tsv")
    second.write(tmp_path / "second.tsv")
    text = (tmp_path / "first.tsv").read_text()
    assert text == (tmp_path / "second.tsv").read_text()
    assert text.splitlines()[0].split("\t")[:4] == ["step", "tokens", "words", "loss"]
    assert "test_loss" not in text


def test_milestones_are_the_challenges() -> None:
    names = milestones(0, 100e6)
    assert len(names) == 19
    assert names[:2] == ["chck_1M", "chck_2M"]
    assert names[8:11] == ["chck_9M", "chck_10M", "chck_20M"]
    assert names[-1] == "chck_100M"
    assert milestones(0, 1000e6)[-1] == "chck_1000M"
    assert milestones(1e6, 1.9e6) == []
    assert milestones(0.9e6, 1e6) == ["chck_1M"]


def test_ten_passes_are_the_limit(caplog: pytest.LogCaptureFixture) -> None:
    ten = params(steps=100, batch_size=8, rules="babylm2026").train
    assert check_passes(ten, 80) == 10
    with pytest.raises(SllamaError, match=r"10\.1 passes .*\(98 steps\)"):
        check_passes(ten, 79)
    with pytest.raises(SllamaError, match=r"\(0 steps\); lower train\.batch_size"):
        check_passes(params(steps=1, batch_size=16, rules="babylm2026", warmup_steps=0).train, 1)
    check_passes(params(steps=100, batch_size=8).train, 79)
    assert "allows 10" in caplog.text


@pytest.mark.parametrize(("platform", "unit"), [("darwin", 1), ("freebsd14", 1024)])
def test_memory_where_there_is_no_proc_is_in_the_units_of_the_system(
    platform: str, unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(path: Path, encoding: str) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", absent)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("resource.getrusage", lambda who: SimpleNamespace(ru_maxrss=5000))
    assert peak_resident_bytes() == unit * 5000


def test_a_run_is_named_by_what_shapes_it() -> None:
    names = [
        run_name(describe_run(recipe, FACTS))
        for recipe in (
            params(),
            params(checkpoint_every=1, trackers=["wandb"], on_out_of_memory="halve"),
            params(skip_nonfinite=3),
            params(seed=2),
            params(learning_rate=0.02),
            params(model={"hidden_size": 32}),
        )
    ]
    assert names[0] == names[1] == names[2]
    assert len(set(names)) == 4
    other_data = FACTS | {"fingerprint": "g"}
    assert run_name(describe_run(params(), other_data)) != names[0]


def test_differences_name_the_facts() -> None:
    mine, other = (describe_run(params(beta2=beta), FACTS) for beta in (0.95, 0.99))
    assert differences(mine, other) == ["train.beta2: 0.95 -> 0.99"]


def test_cuda_where_there_is_none() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(SllamaError, match="sees no CUDA device"):
        choose_numerics(params(device="cuda").train)


def test_bfloat16_without_its_hardware_is_float32(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pipeline.train.device._has_bfloat16_units", lambda device: False)
    assert choose_numerics(params(precision="bfloat16").train).precision == "float32"
    assert "computing in float32" in caplog.text
    monkeypatch.setattr("pipeline.train.device._has_bfloat16_units", lambda device: True)
    assert choose_numerics(params(precision="bfloat16").train).head_dtype == torch.bfloat16


@pytest.mark.parametrize(("flags", "precision"), [
    ("avx512f avx512_bf16", "float32"),
    ("avx512f avx512_bf16 amx_bf16", "bfloat16"),
    (None, "float32"),
])  # fmt: skip
def test_matrix_units_are_read_off_the_processor(
    flags: str | None, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : fpu {flags} sse\n")
    monkeypatch.setattr("pipeline.train.device._CPUINFO", tmp_path / "cpuinfo")
    assert choose_numerics(params(precision="bfloat16").train).precision == precision


def test_long_runs_are_compiled() -> None:
    cpu = torch.device("cpu")
    assert not should_compile(params().train, cpu, 1e12)
    assert should_compile(params().train, cpu, 1e15)
    assert should_compile(params(compile="always").train, cpu, 1.0)
    assert not should_compile(params(compile="never").train, cpu, 1e18)


def test_determinism_is_given_back() -> None:
    before = torch.are_deterministic_algorithms_enabled()
    with deterministic_kernels(params().train, torch.device("cpu")):
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.are_deterministic_algorithms_enabled() == before


def test_signals_are_noted_and_a_ctrl_c_after_that_is_obeyed() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.requested
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_lost_terminal_is_heard_unless_nohup_ignores_it() -> None:
    before = signal.getsignal(signal.SIGHUP)
    try:
        for set_up, heard in ((signal.SIG_DFL, True), (signal.SIG_IGN, False)):
            signal.signal(signal.SIGHUP, set_up)
            with Interrupts() as interrupts:
                os.kill(os.getpid(), signal.SIGHUP)
                assert interrupts.requested == heard
            assert signal.getsignal(signal.SIGHUP) == set_up
    finally:
        signal.signal(signal.SIGHUP, before)


def test_initial_weights_depend_on_the_seed_alone() -> None:
    def weights(seed: int, **train: object) -> torch.Tensor:
        model = build_model(params(seed=seed, **train), VOCABULARY)
        return torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])

    torch.manual_seed(5)
    first = weights(1)
    torch.manual_seed(6)
    assert torch.equal(first, weights(1, learning_rate=0.5))
    assert not torch.equal(first, weights(2))


def test_reductions_at_odds_are_one_line() -> None:
    with pytest.raises(SllamaError, match=r"model\.attention: skqa"):
        build_model(params(model={"attention": "skqa", "num_key_value_heads": 1}), VOCABULARY)


def test_operations_of_the_released_configuration() -> None:
    """Six rows of products a layer for PWA, three matrices of SPMLP, half of attention's square."""
    shape = {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 6,
             "num_attention_heads": 4, "num_key_value_heads": 4,
             "max_position_embeddings": 256}  # fmt: skip
    model = build_model(params(model=shape), VOCABULARY | {"vocab_size": 32000})
    pwa = 2 * 6 * 64 + 2 * 6 * 3 * 64
    layer = pwa + 3 * 2 * 64 * 192 + 2 * 2 * 64 * 256 // 2
    assert training_flops_per_token(model, 256) == 3 * (6 * layer + 2 * 64 * 32000)
    dropping = build_model(
        params(model=shape | {"dropout": 0.1}), VOCABULARY | {"vocab_size": 32000}
    )
    assert dropping.training
    assert training_flops_per_token(dropping, 256) == training_flops_per_token(model, 256)
    assert dropping.training


def test_a_dry_run_counts_and_writes_nothing(
    workplace: Workplace, checkpoints: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = dry_run(params(steps=1000), workplace.places("dry"))
    assert table["parameters"] == "2,164"
    assert table["tokens seen"] == "128,000"
    assert table["steps"] == "1,000 of 128 tokens"
    seconds, rate = (float(table["step"].replace(",", "").split()[place]) for place in (0, 2))
    assert seconds * rate == pytest.approx(128, rel=0.02)
    told = table["training time"].removeprefix("about ").partition(" s,")[0]
    assert float(told) == pytest.approx(1000 * seconds, abs=1)
    assert "peak memory" in capsys.readouterr().out
    assert not checkpoints.exists()
    assert {path.name for path in workplace.folder.iterdir()} == {"tokens", "tokenizer"}
