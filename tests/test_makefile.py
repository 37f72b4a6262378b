"""What the Makefile does around the commands that it runs, with stand-ins of those."""

import shutil
from pathlib import Path

import pytest

from tests.imports import ROOT
from tests.integration.checkout import Checkout

REPRO = "mkdir -p results/report; touch results/report/summary.txt; echo a run >>dvc.lock"
MAKES_PIP = '[ "$2" != venv ] || cp "$0" .venv/bin/pip'


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A repository of the Makefile, whose .venv holds programs that do next to nothing."""
    made = Checkout(tmp_path / "checkout", tmp_path / "checkpoints")
    for name, text in (("dvc", REPRO), ("pip", ""), ("python", "")):
        write_program(made.folder / ".venv/bin" / name, text)
    for name in ("Makefile", ".gitignore", "requirements.txt", "dvc.lock"):
        shutil.copy(ROOT / name, made.folder)
    made.run("git", "init", "--quiet")
    made.commit("the Makefile")
    return made


def test_a_venv_that_was_left_without_pip_is_made_again(checkout: Checkout) -> None:
    (checkout.folder / ".venv/bin/pip").unlink()
    write_program(checkout.folder / "mine", MAKES_PIP)
    checkout.run("make", "install", "PYTHON=./mine")
    assert (checkout.folder / ".venv/bin/pip").exists()


def test_the_demo_says_that_commits_of_its_clone_leave_the_branch(checkout: Checkout) -> None:
    clone = ("git", "-C", ".demo")
    for message in ("before", "after"):  # a lock that the demo wrote, and a newer commit
        assert "reflog" not in checkout.run("make", "demo"), message
        (checkout.folder / "mine.txt").write_text(message)
        checkout.commit(message)
    checkout.run(*clone, "commit", "--quiet", "--all", "--message", "a first run")
    own = checkout.run(*clone, "rev-parse", "--short", "HEAD").strip()
    assert "git -C .demo reflog" in checkout.run("make", "demo")
    assert own in checkout.run(*clone, "reflog")
    assert checkout.run(*clone, "rev-parse", "HEAD") == checkout.run("git", "rev-parse", "HEAD")
    assert "reflog" not in checkout.run("make", "demo")


def test_the_demo_of_a_copy_runs_the_copys_commit(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run("make", "demo")
    copy = Checkout(tmp_path / "copy", tmp_path / "checkpoints")
    shutil.copytree(checkout.folder, copy.folder, symlinks=True)
    (copy.folder / "mine.txt").write_text("an idea")
    copy.commit("an idea")
    shutil.rmtree(checkout.folder)
    copy.run("make", "demo")
    head = ("rev-parse", "HEAD")
    assert copy.run("git", "-C", ".demo", *head) == copy.run("git", *head)


def test_a_venv_whose_python_is_gone_is_told_of(checkout: Checkout) -> None:
    dvc = checkout.folder / ".venv/bin/dvc"
    checkout.run("make", "install")
    dvc.write_text(dvc.read_text().replace("#!/bin/sh", "#!/gone/.venv/bin/python"))
    with pytest.raises(AssertionError, match=r"rm -r \.venv, and run this again"):
        checkout.run("make", "install")


def test_the_paper_at_toy_size_runs_its_rows_in_two_halves(checkout: Checkout) -> None:
    log = checkout.folder / "log"
    write_program(checkout.folder / ".venv/bin/dvc", f'echo "$*" >>{log}')
    (checkout.folder / "paper").mkdir()
    checkout.run("make", "paper")
    first, *halves, last = log.read_text().splitlines()
    assert first == "repro paper/dvc.yaml:encode paper/dvc.yaml:paper_benchmarks"
    assert sorted(halves) == [
        "--wait-for-lock repro -s --glob paper/dvc.yaml:*@[!a-l]*",
        "--wait-for-lock repro -s --glob paper/dvc.yaml:*@[a-l]* paper/dvc.yaml:paper_speed",
    ]
    assert last == "repro paper/dvc.yaml"


@pytest.mark.parametrize("half", ["[!a-l]", "[a-l]"])
def test_a_half_that_fails_ends_it_before_the_tables(checkout: Checkout, half: str) -> None:
    log = checkout.folder / "log"
    fails = f'echo "$*" >>{log}; case "$*" in *"@{half}"*) exit 3;; esac'
    write_program(checkout.folder / ".venv/bin/dvc", fails)
    with pytest.raises(AssertionError, match="Error"):
        checkout.run("make", "paper")
    assert "repro paper/dvc.yaml" not in log.read_text().splitlines()
