"""What a container does with the words that it is given."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from pipeline.errors import SllamaError
from tests.imports import ROOT

sys.path.insert(0, str(ROOT / "docker"))
import runs


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have been run, in a folder that holds what looks like a model."""
    called: list[list[str]] = []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m").mkdir()
    (tmp_path / "m/config.json").touch()
    for name in ("SLLAMA_IMAGE_COMMIT", "SLLAMA_COMMIT", "SLLAMA_DIRTY", "PYTHONPATH"):
        monkeypatch.setenv(name, "none")  # and as it was afterwards
    monkeypatch.setattr(runs, "run_forwarding_signals", lambda command: called.append(command) or 0)
    return called


def after(command: list[str], option: str) -> str | None:
    return command[command.index(option) + 1] if option in command else None


@pytest.mark.parametrize("tokens", [["--tokens", "data/tokens"], ["--tokens=data/tokens"]])
def test_each_task_has_its_own_items(commands: list[list[str]], tokens: list[str]) -> None:
    words = ["--model", "m", "--tasks", "heldout,blimp", "--items", "items", *tokens]
    assert runs.evaluate_model(words, ROOT) == 0
    scored = [command for command in commands if "stages.evaluate" in command]
    assert [after(command, "--items") for command in scored] == [
        "items/heldout.jsonl", "items/blimp.jsonl",
    ]  # fmt: skip
    assert {after(command, "--tokens") for command in scored} == {"data/tokens"}


def test_without_tokens_heldout_is_left_out(
    commands: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert runs.evaluate_model(["--model", "m", "--tasks", "heldout,blimp"], ROOT) == 0
    assert "heldout is left out" in capsys.readouterr().out
    assert {after(command, "--tasks") for command in commands} == {None, "blimp"}


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (
            ["--model", "m", "--tasks", "heldout"],
            "heldout needs an encoded corpus: name its folder",
        ),
        (["--model", "n", "--tasks", "blimp"], "n: no config.json there; name a model's folder"),
    ],
)
def test_nothing_is_fetched_where_nothing_can_be_scored(
    commands: list[list[str]], words: list[str], missing: str
) -> None:
    with pytest.raises(SllamaError, match=missing):
        runs.evaluate_model(words, ROOT)
    assert commands == []


@pytest.mark.parametrize(
    ("image", "said", "recorded"),
    [
        ("0123abc", None, ("0123abc", "false")),
        ("0123abc-dirty", None, ("0123abc", "true")),
        ("unknown", None, ("unknown", None)),
        ("0123abc", "4567def", ("4567def", None)),
    ],
)
def test_records_name_the_commit_of_the_image_unless_another_is_named(
    commands: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    image: str,
    said: str | None,
    recorded: tuple[str, str | None],
) -> None:
    monkeypatch.setenv("SLLAMA_IMAGE_COMMIT", image)
    monkeypatch.setenv("SLLAMA_COMMIT", said or "")
    monkeypatch.delenv("SLLAMA_DIRTY")
    runs.name_commit_of_image()
    assert (os.environ["SLLAMA_COMMIT"], os.environ.get("SLLAMA_DIRTY")) == recorded


def test_a_chain_of_the_images_code_names_its_commit(
    commands: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLLAMA_IMAGE_COMMIT", "0123abc-dirty")
    monkeypatch.setattr(runs, "_dvc", lambda *words: 1)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    assert runs.whole_chain("smoke", ROOT, tmp_path) == 1
    assert (os.environ["SLLAMA_COMMIT"], os.environ["SLLAMA_DIRTY"]) == ("0123abc", "true")
