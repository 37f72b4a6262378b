import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline.config import load_params
from pipeline.errors import SllamaError
from pipeline.paper import cost
from stages import (
    paper_benchmarks,
    paper_cost,
    paper_curve,
    paper_null,
    paper_plan,
    paper_reload,
    paper_report,
)
from tests.imports import ROOT
from tests.model.variants import small_model
from tests.paper.made_up import settings, write_runs

PARAMS = ROOT / "params.yaml"


def run(stage: ModuleType, **options: Any) -> None:
    parser = ArgumentParser()
    stage.arguments(parser)
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    parsed = parser.parse_args(words, Namespace(params=PARAMS))
    stage.work(load_params(PARAMS), parsed)


def test_a_tokenizer_that_no_mirror_has_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLLAMA_DATA_MIRROR", str(tmp_path))
    out = tmp_path / "null.json"
    run(
        paper_null,
        scorer="uniform",
        tasks="heldout",
        data=tmp_path,
        tokens=tmp_path,
        **{"mirrored-tokenizer": "tokenizers/llama/tokenizer.model", "out": out},
    )
    written = json.loads(out.read_text())
    assert written["status"] == "missing"
    assert "tokenizers/llama/tokenizer.model" in written["reason"]
    assert str(tmp_path) not in written["reason"]


def test_the_own_tokenizer_may_not_be_missing(tmp_path: Path) -> None:
    tasks = "heldout, heldout,"
    given = {"scorer": "uniform", "tasks": tasks, "data": tmp_path, "tokens": tmp_path}
    out = tmp_path / "null.json"
    with pytest.raises(SllamaError, match="no such tokenizer"):
        run(paper_null, **given, tokenizer=tmp_path / "absent", out=out)
    with pytest.raises(SystemExit):
        run(paper_null, **given, out=out)
    assert not out.exists()


def test_a_run_without_checkpoints_has_an_empty_curve(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"word_checkpoints": []}')
    folders = dict.fromkeys(("model", "data", "tokens"), tmp_path)
    out = tmp_path / "curve"
    run(paper_curve, **folders, metrics=tmp_path / "metrics.json", tasks="heldout", out=out)
    assert out.is_dir()
    assert list(out.iterdir()) == []


def test_the_tasks_of_a_curve_may_be_spaced_and_repeated(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"word_checkpoints": ["chck_1M"]}')
    folders = dict.fromkeys(("model", "data", "tokens"), tmp_path)
    options = {"metrics": tmp_path / "metrics.json", "out": tmp_path / "curve"}
    with pytest.raises(SllamaError, match=r"chck_1M: no config\.json"):
        run(paper_curve, **folders, **options, tasks="heldout, heldout,")


def test_all_tasks_lie_in_one_folder(tmp_path: Path) -> None:
    run(paper_benchmarks, tasks="demo_pairs,heldout", out=tmp_path / "made")
    sources = json.loads((tmp_path / "made" / "manifest.json").read_text())["sources"]
    assert list(sources) == ["demo"]


def test_a_model_that_cannot_be_reloaded_as_released_is_named(tmp_path: Path) -> None:
    small_model(layer_reduction_type=None).save_pretrained(tmp_path / "model")
    with pytest.raises(SllamaError, match=r"model: .* shared layers with SPMLP; take the reloaded"):
        run(paper_reload, model=tmp_path / "model", out=tmp_path / "damaged")


def test_the_cost_is_told_from_the_plans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cost, "load_settings", settings)
    made = write_runs(tmp_path)
    run(paper_cost, run="peer-2", models=made.models, plan=made.plan)
    assert "peer-2: 3,000 steps" in capsys.readouterr().out


def test_plan_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stage in (paper_plan, paper_report):
        monkeypatch.setattr(stage, "load_settings", lambda path: settings())
    monkeypatch.chdir(ROOT)
    run(paper_plan, out=tmp_path / "planned")
    assert (tmp_path / "planned" / "ours-1.yaml").is_file()
    made = write_runs(tmp_path)
    folders = {
        name: getattr(made, name) for name in ("results", "models", "tokens", "ledger", "speed")
    }
    outs = {name: tmp_path / name for name in ("tables", "metrics", "runs.csv")}
    wanted = {"out": outs["tables"], "metrics": outs["metrics"], "runs": outs["runs.csv"]}
    with pytest.raises(SllamaError, match=r"ours-1.yaml is not what .* say now"):
        run(paper_report, **folders, **wanted, plan=made.plan)
    run(paper_report, **folders, **wanted, plan=tmp_path / "planned")
    assert (tmp_path / "tables" / "headline.tex").is_file()
    assert (tmp_path / "runs.csv").read_text().startswith("variant,seed,commit,")
    printed = capsys.readouterr().out
    assert "Table 1. Headline" in printed
    assert "| SLlama minus |" in printed
