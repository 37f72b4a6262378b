"""A token is used, and written nowhere: not in a message, a log or a record."""

import ast
import importlib
import json
import logging
from pathlib import Path

import pytest

from pipeline.provenance import _ENVIRONMENT, describe_code, write_provenance
from pipeline.stage import run_stage
from tests.imports import ROOT

TOKEN = "hf_never_to_be_seen"  # noqa: S105
SECRET_WORDS = ("TOKEN", "SECRET", "PASSWORD", "KEY")


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.delenv("SLLAMA_DATA_MIRROR", raising=False)


def test_no_record_holds_the_token(tmp_path: Path) -> None:
    write_provenance(tmp_path / "out", {"data": {"source": "demo"}}, describe_code())
    text = (tmp_path / "out.provenance.json").read_text()
    assert TOKEN not in text
    assert json.loads(text)["output"] == "out"


def test_records_take_no_secret_from_the_environment() -> None:
    assert not [name for name in _ENVIRONMENT for word in SECRET_WORDS if word in name]


def test_a_download_that_fails_says_nothing_of_the_token(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # Nobody listens there, and the address holds a secret of its own.
    monkeypatch.setenv("HF_ENDPOINT", f"http://user:{TOKEN}@127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("pipeline.data.transfer._CONNECT_RETRIES", 0)
    stage = importlib.import_module("stages.download")
    options = ["--params", str(ROOT / "params.yaml"), "--out", str(tmp_path / "raw")]
    with caplog.at_level(logging.DEBUG), pytest.raises(SystemExit) as ended:
        run_stage("", stage.arguments, stage.work, options)
    said = str(ended.value.code)
    assert said.startswith("error: ")
    everything = [said, caplog.text, *capfd.readouterr()]
    everything += [p.read_text(errors="replace") for p in tmp_path.rglob("*") if p.is_file()]
    assert not [text for text in everything if TOKEN in text]


def test_the_token_is_named_where_it_is_needed_only() -> None:
    named = set()
    for path in (ROOT / "pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and node.value == "HF_TOKEN":
                named.add(path.relative_to(ROOT / "pipeline").as_posix())
    assert named == {"containers.py", "data/sources.py", "data/transfer.py"}
