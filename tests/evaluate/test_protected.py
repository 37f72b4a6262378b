"""EWoK's items: their words are in no file that a stage writes, and in nothing that it says."""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.catalog import Catalog
from pipeline.stage import run_stage
from stages import benchmarks, evaluate, paper_benchmarks, report
from tests.evaluate.test_run import write_tokens
from tests.imports import ROOT
from tests.report.run import Run

WORDS = ("quokka", "marzipan", "zeppelin", "Rumpelstiltskin")
ITEMS = [
    {
        "Context1": f"The {WORDS[0]} {verb} the {WORDS[1]}.",
        "Context2": f"The {WORDS[1]} {verb} the {WORDS[0]}.",
        "Target1": f"{WORDS[2]}.",
        "Target2": f"{WORDS[3]}.",
    }
    for verb in ("sees", "likes")
]
CATALOG = Catalog.model_validate(
    {
        "corpora": {},
        "benchmarks": {
            "ewok-fast": {
                "description": "made up",
                "licence": "none",
                "folder": "ewok",
                "files": [
                    {"name": "ewok_fast.zip", "path": "x", "mirror": "ewok/ewok_fast.zip"},
                ],
            }
        },
    }
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that everything lies in, temporary files too; the archive is outside it."""
    for name in ("work/tmp", "work/protected", "mirror/ewok"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "work/tmp"))
    monkeypatch.setenv("SLLAMA_PROTECTED_DATA", str(tmp_path / "work/protected"))
    monkeypatch.setenv("SLLAMA_DATA_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setattr("pipeline.data.benchmarks.load_catalog", lambda: CATALOG)
    pack(tmp_path / "mirror", *(json.dumps(row) for row in ITEMS))
    return tmp_path / "work"


def pack(mirror: Path, *lines: str) -> None:
    path = mirror / "ewok/ewok_fast.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ewok_fast/social.jsonl", "\n".join(lines))


def run(stage: Any, params: Path, *options: str) -> object:
    """Run a stage as a command, as loud as can be, and return how it ended."""
    with pytest.raises(SystemExit) as ended:
        run_stage("", stage.arguments, stage.work, ["--params", str(params), *options])
    return ended.value.code


def leaks(folder: Path, *said: str) -> list[str]:
    """Return where a word of the items stands."""
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files
    texts = files | {f"said {number}": text.encode() for number, text in enumerate(said)}
    return [name for name, text in texts.items() for word in WORDS if word.encode() in text]


def test_no_stage_writes_or_says_an_item(
    folder: Path,
    model_folder: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = Run(folder / "run").write()
    made.recipe["evaluate"] |= {"device": "cpu", "null_scorers": ["uniform", "unigram"]}
    made.tasks = {"ewok_fast": {}}
    params = folder / "params.yaml"
    params.write_text(json.dumps(made.params.model_dump(mode="json")))
    tokens = write_tokens(folder / "tokens")
    data, scores = folder / "data/ewok_fast", made.paths["evaluate_dir"] / "ewok_fast.json"
    with caplog.at_level("DEBUG"):
        assert run(benchmarks, params, "--task", "ewok_fast", "--out", str(data)) == 0
        every = ["--tasks", "ewok_fast,ewok_fast_2026", "--out", str(folder / "data/all")]
        assert run(paper_benchmarks, params, *every) == 0
        asked = ["--tasks", "ewok_fast", "--model", str(model_folder), "--data", str(data)]
        asked += ["--tokens", str(tokens), "--items", str(folder / "items.jsonl")]
        assert run(evaluate, params, *asked, "--out", str(scores)) == 0
        made.train |= {"parameters": json.loads(scores.read_text())["model"]["parameters"]}
        made.train["parameters_by_component"] = {"all": made.train["parameters"]}
        made.paths["train_metrics"].write_text(json.dumps(made.train))
        paths = {name: str(path) for name, path in made.paths.items()}
        asked = ["--train-metrics", paths["train_metrics"], "--history", paths["history"]]
        asked += ["--evaluate", paths["evaluate_dir"], "--tokens", paths["tokens"]]
        asked += ["--out", str(folder / "report"), "--metrics", str(folder / "metrics.json")]
        assert run(report, params, *asked) == 0
    assert json.loads(scores.read_text())["tasks"]["ewok_fast"]["n"] == len(ITEMS)
    assert (folder / "report/report.html").is_file()
    assert leaks(folder, *capfd.readouterr(), caplog.text) == []


def test_what_is_wrong_with_an_item_is_said_without_its_text(
    folder: Path, model_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    params = ROOT / "params.yaml"
    bad = ['{"Context1": "quokka', json.dumps(ITEMS[0] | {"Target2": " "})]
    for place, line in enumerate(bad):
        pack(folder.parent / "mirror", json.dumps(ITEMS[0]), line)
        data = folder / f"data{place}"
        assert run(benchmarks, params, "--task", "ewok_fast", "--out", str(data)) == 0
        asked = ["--tasks", "ewok_fast", "--model", str(model_folder), "--data", str(data)]
        error = run(evaluate, params, *asked, "--out", str(folder / "out.json"))
        assert isinstance(error, str)
        assert "social" in error
        assert leaks(folder, error, *capfd.readouterr()) == []
