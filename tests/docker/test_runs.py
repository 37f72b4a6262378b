"""What a container does with the words that it is given."""

import sys
from pathlib import Path

import pytest

from tests.imports import ROOT

sys.path.insert(0, str(ROOT / "docker"))
import runs


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have been run, in an empty folder."""
    called: list[list[str]] = []
    monkeypatch.chdir(tmp_path)
    for name in ("SLLAMA_IMAGE_COMMIT", "SLLAMA_COMMIT", "PYTHONPATH"):
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
