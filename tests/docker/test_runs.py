"""What a container does with the words that it is given."""

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import SllamaError
from pipeline.recipes import load_recipe, write_params
from tests.imports import ROOT

sys.path.insert(0, str(ROOT / "docker"))
import entrypoint
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


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """The code of an image, in small."""
    folder = tmp_path / "image"
    for name in (".dvc/config", "corpus/README.md", "docker/a.py", "pipeline/a.py", "stages/a.py"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("of the image\n")
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    return folder


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


def test_a_chain_is_of_the_image_and_of_one_recipe_whatever_ran_before(
    commands: list[list[str]], code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLLAMA_IMAGE_COMMIT", "0123abc-dirty")
    monkeypatch.setattr(runs, "_dvc", lambda *words: 1)
    chain = tmp_path / "chain"
    assert runs.whole_chain("smoke", code, chain) == 1
    stale = ("pipeline/of_an_older_image.py", "results/evaluate/blimp.json")
    kept = (".dvc/cache/a", "corpus/mine.txt", "models/sllama/config.json")
    for name in (*stale, *kept):
        (chain / name).parent.mkdir(parents=True, exist_ok=True)
        (chain / name).touch()
    (chain / "pipeline/a.py").write_text("edited\n")
    assert runs.whole_chain("demo", code, chain) == 1
    assert runs.has_code_of_image(code, chain)
    assert [(chain / name).exists() for name in stale] == [False, False]
    assert [(chain / name).exists() for name in kept] == [True, True, True]
    write_params(load_recipe("demo", code / "recipes"), code / "params.yaml")
    assert (chain / "params.yaml").read_text() == (code / "params.yaml").read_text()
    assert (os.environ["SLLAMA_COMMIT"], os.environ["SLLAMA_DIRTY"]) == ("0123abc", "true")


def test_the_chains_of_the_image_have_a_folder_that_git_and_dvc_ignore() -> None:
    assert entrypoint.CHAIN_FOLDER != ".demo"  # which make demo resets
    assert f"/{entrypoint.CHAIN_FOLDER}/" in (ROOT / ".gitignore").read_text().splitlines()
    assert entrypoint.CHAIN_FOLDER in (ROOT / ".dvcignore").read_text().splitlines()


@pytest.mark.parametrize(
    ("role", "words"), [("train", ["true"]), ("eval", ["--model", "m", "--tasks", "blimp"])]
)
def test_an_empty_folder_keeps_the_images_commit_until_its_code_is_another(
    commands: list[list[str]],
    code: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    role: str,
    words: list[str],
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    monkeypatch.setenv("SLLAMA_IMAGE_COMMIT", "0123abc")
    for name in ("SLLAMA_RUNTIME", "SLLAMA_CHECKPOINTS"):
        monkeypatch.setenv(name, "none")  # and as it was afterwards
    monkeypatch.setattr(entrypoint, "CODE", code)
    monkeypatch.setattr(entrypoint, "WORKSPACE", workspace)
    monkeypatch.setattr(runs, "execute", lambda words: 0)

    def named() -> str | None:
        for name in ("SLLAMA_COMMIT", "SLLAMA_DIRTY"):
            os.environ.pop(name, None)
        assert entrypoint.main(role, words) == 0
        return os.environ.get("SLLAMA_COMMIT")

    runs.prepare_workspace(code, workspace)
    (workspace / "m").mkdir()
    (workspace / "m/config.json").touch()
    assert named() == "0123abc"
    (workspace / "params.yaml").write_text("# another recipe\n")
    assert named() == "0123abc"
    (workspace / ".git").mkdir()
    assert named() is None
    (workspace / ".git").rmdir()
    (workspace / "pipeline/mine.py").touch()
    assert named() is None
    (workspace / "pipeline/mine.py").unlink()
    (code / "pipeline/a.py").write_text("of a newer image\n")
    assert named() is None


NO_GPU = "no GPU in this container (docker run --gpus all ...): running on the CPU"


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container with torch for CUDA on a machine without a GPU."""
    exists = Path.exists
    devices = {Path("/dev/nvidiactl"), Path("/dev/dxg")}
    monkeypatch.setattr(Path, "exists", lambda path: path not in devices and exists(path))
    monkeypatch.setattr("importlib.metadata.version", lambda package: "2.13.0")


@pytest.mark.parametrize("names", [["train"], ["train", "evaluate"], ["evaluate"]])
def test_stages_that_compute_say_that_there_is_no_gpu(
    commands: list[list[str]],
    no_gpu: None,
    names: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    assert runs.stages(names) == 0
    assert capsys.readouterr().out.splitlines() == [NO_GPU]
    assert runs.stages(["encode", "report"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "computes"),
    [
        ("dvc repro", True),
        ("dvc repro -s encode", True),
        ("dvc exp run -S seed=2", True),
        ("dvc exp show", False),
        ("dvc dag", False),
        ("python", False),
    ],
)
def test_dvc_says_that_there_is_no_gpu_where_it_runs_stages(
    no_gpu: None,
    words: str,
    computes: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execvp", lambda program, words: became.append(words))
    runs.execute(words.split())
    assert became == [words.split()]
    assert (capsys.readouterr().out.splitlines() == [NO_GPU]) == computes


def test_an_image_without_torch_says_where_training_runs(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("importlib.metadata.version", version)
    monkeypatch.chdir(ROOT)
    with pytest.raises(SllamaError, match="this image has no torch: train runs in sllama-train"):
        runs.stages(["encode", "train"])
    assert commands == []


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("0123456789ab", "0123456789ab"),
        ("my-machine", "<container, as docker ps --all names it>"),  # --network host
    ],
)
def test_how_to_keep_the_model_names_the_container_if_its_name_is_known(
    no_gpu: None,
    host: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename=host))
    monkeypatch.setattr(runs, "_dvc", lambda *words: 0)
    assert runs.train(None, tmp_path) == 0
    copied = f"or, unless this was --rm: docker cp {name}:{tmp_path}/models/sllama ."
    assert capsys.readouterr().out.splitlines()[-1].endswith(copied)
