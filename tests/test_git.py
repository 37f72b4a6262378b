from pathlib import Path

import pytest

from pipeline.git import commit_and_changes
from tests.integration.checkout import Checkout

WRITTEN = (
    "dvc.lock", "params.yaml",
    "paper/dvc.lock", "paper/params.yaml", "paper/metrics.json", "paper/runs.csv",
    "paper/speed.json",
)  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A repository of one commit that holds code, locks and what else a run writes."""
    made = Checkout(tmp_path / "checkout", tmp_path / "checkpoints")
    for name in (*WRITTEN, "pipeline/a.py"):
        (made.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (made.folder / name).write_text("before\n")
    made.run("git", "init", "--quiet")
    made.commit("all")
    return made


@pytest.mark.parametrize("inside", [".", "paper"])
def test_what_a_run_writes_is_no_change_of_the_code(checkout: Checkout, inside: str) -> None:
    commit = checkout.run("git", "rev-parse", "HEAD").strip()
    for name in (*WRITTEN, "untracked.py"):
        (checkout.folder / name).write_text("after\n")
    assert commit_and_changes(checkout.folder / inside, {}) == (commit, False)
    (checkout.folder / "pipeline/a.py").write_text("after\n")
    assert commit_and_changes(checkout.folder / inside, {}) == (commit, True)


def test_what_the_environment_says_comes_first(checkout: Checkout) -> None:
    said = {"SLLAMA_COMMIT": "0123abc"}
    assert commit_and_changes(checkout.folder, said) == ("0123abc", False)
    said["SLLAMA_DIRTY"] = "true"
    assert commit_and_changes(checkout.folder, said) == ("0123abc", True)


def test_outside_git_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit_and_changes(tmp_path, {}) == (None, None)
    assert commit_and_changes(tmp_path, {"SLLAMA_DIRTY": "false"}) == (None, None)
    assert commit_and_changes(tmp_path, {"SLLAMA_COMMIT": "0123abc"}) == ("0123abc", None)
