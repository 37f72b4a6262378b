"""Command lines of the launcher, against a fake engine that records what it is asked."""

import os
import re
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline import containers
from tests.fake_engine import FakeEngine
from tests.imports import ROOT, imported_names, reachable_files

SECRET = "hf_of_the_test"  # noqa: S105


@pytest.fixture
def fake(tmp_path: Path) -> FakeEngine:
    return FakeEngine(tmp_path)


def test_the_stage_runs_as_the_caller_in_its_image_on_the_current_folder(fake: FakeEngine) -> None:
    done = fake.launch("docker", "encode", "--raw", "data/raw")
    assert done.returncode == 0, done.stderr
    words, _ = fake.call("run")
    assert words[-7:] == [
        "sllama-data:latest", "--", "python3", "-m", "stages.encode", "--raw", "data/raw",
    ]  # fmt: skip
    assert f"--user={os.getuid()}:{os.getgid()}" in words
    assert f"--mount=type=bind,source={ROOT},target={ROOT}" in words
    assert f"--workdir={ROOT}" in words
    assert {"--rm", "--read-only", "--cap-drop=ALL", "--entrypoint=tini"} <= set(words)
    assert "--security-opt=no-new-privileges" in words
    assert "--tty" not in words


def test_a_token_comes_along_by_name_only(fake: FakeEngine) -> None:
    done = fake.launch("docker", "download", HF_TOKEN=SECRET, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    words, environment = fake.call("run")
    assert {"--env=HF_TOKEN", "--env=HF_HUB_OFFLINE"} <= set(words)
    assert not any(SECRET in word for call, _ in fake.calls() for word in call)
    assert environment["HF_TOKEN"] == SECRET
    assert environment["SLLAMA_IMAGE"] == "sllama-data:latest@sha256:abc"
    assert len(environment["SLLAMA_COMMIT"]) == 40
    assert environment["SLLAMA_DIRTY"] in {"true", "false"}


def test_what_the_trackers_are_set_by_comes_along_by_name_only(fake: FakeEngine) -> None:
    text = (ROOT / "docs" / "publish.md").read_text()
    names = set(re.findall(r"`((?:MLFLOW|WANDB)_[A-Z_]+)`", text))
    assert {"WANDB_API_KEY", "MLFLOW_TRACKING_URI"} <= names
    done = fake.launch("docker", "train", SLLAMA_GPUS="none", **dict.fromkeys(names, SECRET))
    assert done.returncode == 0, done.stderr
    words, environment = fake.call("run")
    assert {f"--env={name}" for name in names} <= set(words)
    assert not any(SECRET in word for call, _ in fake.calls() for word in call)
    assert {environment[name] for name in names} == {SECRET}


def test_a_stage_hears_that_dvc_runs_it(fake: FakeEngine) -> None:
    done = fake.launch("docker", "encode", DVC_STAGE="encode")
    assert done.returncode == 0, done.stderr
    assert "--env=DVC_STAGE" in fake.call("run")[0]


@pytest.mark.parametrize(
    "said",
    [{}, {"SLLAMA_COMMIT": "0123abc"}, {"SLLAMA_COMMIT": "0123abc", "SLLAMA_DIRTY": "true"}],
)
def test_outside_git_a_container_is_told_no_more_of_the_code_than_the_launcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    told = containers.gather("encode", tmp_path, said, "docker").environment
    assert {name: told[name] for name in ("SLLAMA_COMMIT", "SLLAMA_DIRTY") if name in told} == said


def test_mirror_and_caches_are_mounted_the_mirror_read_only(
    fake: FakeEngine, tmp_path: Path
) -> None:
    mirror = tmp_path / "a mirror, with a comma"
    mirror.mkdir()
    checkpoints = tmp_path / "checkpoints"
    done = fake.launch(
        "docker", "train", SLLAMA_DATA_MIRROR=str(mirror), SLLAMA_CHECKPOINTS=str(checkpoints)
    )
    assert done.returncode == 0, done.stderr
    words, environment = fake.call("run")
    assert f'--mount=type=bind,"source={mirror}","target={mirror}",readonly' in words
    assert f"--mount=type=bind,source={checkpoints},target={checkpoints}" in words
    assert environment["SLLAMA_CHECKPOINTS"] == str(checkpoints)
    assert environment["HF_HOME"] == str(fake.home / ".cache/huggingface")
    assert (fake.home / ".cache/huggingface").is_dir()


@pytest.mark.parametrize("runtime", ["docker", "apptainer"])
def test_several_processes_train_in_one_container(fake: FakeEngine, runtime: str) -> None:
    image = fake.folder / "sllama-train.sif"
    image.touch()
    done = fake.launch(
        runtime, "train", "--tokens", "data/tokens", SLLAMA_PROCESSES="2", SLLAMA_GPUS="none",
        SLLAMA_RANK_TIMEOUT="90", SLLAMA_SIF_FOLDER=str(fake.folder),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    words, environment = fake.call("run" if runtime == "docker" else "exec")
    assert words[-9:] == [
        "python3", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
        "-m", "stages.train", "--tokens", "data/tokens",
    ]  # fmt: skip
    prefix = "" if runtime == "docker" else "APPTAINERENV_"
    assert environment[f"{prefix}SLLAMA_RANK_TIMEOUT"] == "90"
    assert environment[f"{prefix}PET_SHUTDOWN_TIMEOUT"] == "150"
    if runtime == "docker":
        assert {"--env=SLLAMA_RANK_TIMEOUT", "--env=PET_SHUTDOWN_TIMEOUT"} <= set(words)


def test_exit_codes_come_through_and_a_failed_start_is_named(fake: FakeEngine) -> None:
    assert fake.launch("docker", "encode", FAKE_CODE="7").returncode == 7
    done = fake.launch("docker", "encode", FAKE_CODE="125")
    assert done.returncode == 2
    assert "docker did not start sllama-data:latest" in done.stderr


def test_an_interrupt_reaches_the_container_and_nothing_is_left(fake: FakeEngine) -> None:
    done = fake.launch("docker", "encode", FAKE_WAIT="SIGTERM")
    assert done.returncode == 128 + signal.SIGTERM
    assert not (fake.folder / "passed on").exists()
    name = next(word for word in fake.call("run")[0] if word.startswith("--name=")).split("=")[1]
    assert fake.call("kill")[0] == ["kill", "--signal=SIGTERM", name]
    assert fake.call("rm")[0] == ["rm", "--force", name]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
@pytest.mark.parametrize("runtime", ["docker", "apptainer"])
def test_a_container_does_not_outlive_a_killed_launcher(fake: FakeEngine, runtime: str) -> None:
    (fake.folder / "sllama-data.sif").touch()
    done = fake.launch(runtime, "encode", FAKE_WAIT="SIGKILL", SLLAMA_SIF_FOLDER=str(fake.folder))
    assert done.returncode == -signal.SIGKILL
    assert (fake.folder / "passed on").exists()


def test_a_rootless_engine_gets_its_own_root(fake: FakeEngine) -> None:
    fake.launch("docker", "encode", FAKE_SECURITY="[name=rootless]")
    assert "--user=0:0" in fake.call("run")[0]


@pytest.mark.parametrize(
    ("failure", "advice"),
    [
        (
            "permission denied on a socket",
            "no permission on the docker engine's socket",
        ),
        ("Error: No such image: x", "no image sllama-train:latest here: make images"),
        ("Cannot connect to the Docker daemon", "no docker engine answers: start it"),
    ],
)
def test_an_engine_that_cannot_is_refused_in_one_line(
    fake: FakeEngine, failure: str, advice: str
) -> None:
    done = fake.launch("docker", "train", FAKE_FAILURE=failure, SLLAMA_GPUS="none")
    assert done.returncode == 2
    assert advice in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("tag", "advice"),
    [
        ("", "make images"),
        ("mine", "make images TAG=mine"),
    ],
)
def test_the_advice_makes_the_image_that_is_missing(
    fake: FakeEngine, tag: str, advice: str
) -> None:
    image = f"sllama-data:{tag or 'latest'}"
    environment = {"FAKE_FAILURE": "No such image", "SLLAMA_IMAGE_TAG": tag}
    done = fake.launch("docker", "encode", **environment)
    assert done.returncode == 2
    assert done.stderr.endswith(f"no image {image} here: {advice}\n")
    done = fake.launch("apptainer", "encode", **environment)
    path = fake.home / ".cache/sllama/images/sllama-data.sif"
    assert done.returncode == 2
    assert done.stderr.endswith(
        f"no image {path}: {advice}, then apptainer build {path} docker-daemon:{image}\n"
    )


def test_an_image_with_a_prefix_comes_from_where_the_prefix_says(fake: FakeEngine) -> None:
    image = "registry.example/team/sllama-data:mine"
    environment = {"SLLAMA_IMAGE_PREFIX": "registry.example/team/", "SLLAMA_IMAGE_TAG": "mine"}
    advice = f"docker pull {image} (make images makes those without SLLAMA_IMAGE_PREFIX)"
    done = fake.launch("docker", "encode", FAKE_FAILURE="No such image", **environment)
    assert done.stderr.endswith(f"no image {image} here: {advice}\n")
    done = fake.launch("apptainer", "encode", **environment)
    path = fake.home / ".cache/sllama/images/sllama-data.sif"
    assert done.stderr.endswith(f"no image {path}: apptainer build {path} docker://{image}\n")


@pytest.mark.parametrize("runtime", ["docker", "apptainer"])
def test_what_lies_outside_the_folder_is_mounted_read_only(
    fake: FakeEngine, tmp_path: Path, runtime: str
) -> None:
    corpus, pairs = tmp_path / "my corpus", tmp_path / "pairs"
    for folder in (corpus, pairs):
        folder.mkdir()
    (fake.folder / "sllama-data.sif").touch()
    mounts = {"SLLAMA_MOUNTS": f"{corpus}:{pairs}:", "SLLAMA_SIF_FOLDER": str(fake.folder)}
    done = fake.launch(runtime, "download", **mounts)
    assert done.returncode == 0, done.stderr
    words, _ = fake.call("run" if runtime == "docker" else "exec")
    there, only = ("target", "readonly") if runtime == "docker" else ("destination", "ro")
    for folder in (corpus, pairs):
        assert f"--mount=type=bind,source={folder},{there}={folder},{only}" in words


@pytest.mark.parametrize("listed", ["{folder}:/nowhere/at/all", "corpus", "../corpus"])
def test_a_mount_that_is_not_there_or_not_named_from_the_root_is_refused(
    fake: FakeEngine, listed: str
) -> None:
    done = fake.launch("docker", "download", SLLAMA_MOUNTS=listed.format(folder=fake.folder))
    wrong = listed.rpartition(":")[2]
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: SLLAMA_MOUNTS: {wrong} is no folder or file named from")
    assert done.stderr.count("\n") == 1


def test_a_folder_that_a_stage_writes_stays_writable_among_the_mounts(tmp_path: Path) -> None:
    environment = {"HF_HOME": str(tmp_path / "hub"), "SLLAMA_MOUNTS": f"{tmp_path}:/etc"}
    environment |= dict.fromkeys(("SLLAMA_CHECKPOINTS", "SLLAMA_PROTECTED_DATA"), str(tmp_path))
    mounts = containers.gather("encode", tmp_path, environment, "docker").mounts
    assert mounts == {tmp_path: True, tmp_path / "hub": True, Path("/etc"): False}


def test_a_terminal_is_passed_on_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = containers.Surroundings(tmp_path, {}, {}, gpus=False)
    for output, errors in ((True, True), (True, False), (False, True), (False, False)):
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda there=output: there))
        monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda there=errors: there))
        words = containers.docker_command("image", "name", "1:1", around, ["true"])
        # Redirected to a file, the one would be mixed into the other.
        assert ("--tty" in words) == (output and errors)


def test_no_engine_is_refused_in_one_line(fake: FakeEngine) -> None:
    (fake.folder / "empty").mkdir()
    for runtime in ("docker", "apptainer"):
        done = fake.launch(runtime, "encode", PATH=str(fake.folder / "empty"))
        assert done.returncode == 2
        assert f"no {runtime} command here" in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_missing_mirror_is_refused(fake: FakeEngine) -> None:
    done = fake.launch("docker", "download", SLLAMA_DATA_MIRROR="/nowhere/at/all")
    assert done.returncode == 2
    assert "/nowhere/at/all: the mirror (SLLAMA_DATA_MIRROR) is no folder" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    with pytest.raises(containers.RuntimeSetupError, match="is not writable"):
        containers.gather("encode", folder, {"HF_HOME": str(tmp_path)}, "docker")


def test_gpus_are_passed_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    device = tmp_path / "nvidiactl"
    monkeypatch.setattr(containers, "_GPU_DEVICES", (device,))
    assert not containers.gather("train", tmp_path, {}, "docker").gpus
    assert "no NVIDIA GPU on this machine: train runs on the CPU" in capsys.readouterr().err
    with pytest.raises(containers.RuntimeSetupError, match="has no NVIDIA GPU"):
        containers.gather("train", tmp_path, {"SLLAMA_GPUS": "all"}, "docker")
    device.touch()
    around = containers.gather("train", tmp_path, {"CUDA_VISIBLE_DEVICES": "1"}, "docker")
    words = containers.docker_command("image", "name", "1000:1000", around, ["true"])
    assert {"--gpus=all", "--env=CUDA_VISIBLE_DEVICES"} <= set(words)
    assert not containers.gather("train", tmp_path, {"SLLAMA_GPUS": "none"}, "docker").gpus
    assert not containers.gather("encode", tmp_path, {}, "docker").gpus


def test_apptainer_runs_the_same_command(fake: FakeEngine) -> None:
    done = fake.launch("apptainer", "encode", "--raw", "data/raw", HF_TOKEN=SECRET)
    assert done.returncode == 2
    assert "apptainer build" in done.stderr
    image = fake.folder / "sllama-data.sif"
    image.touch()
    done = fake.launch(
        "apptainer", "encode", "--raw", "data/raw", HF_TOKEN=SECRET,
        SLLAMA_SIF_FOLDER=str(fake.folder),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    words, environment = fake.call("exec")
    assert words[-6:] == [str(image), "python3", "-m", "stages.encode", "--raw", "data/raw"]
    assert "--cleanenv" in words
    assert environment["APPTAINERENV_HF_TOKEN"] == SECRET
    assert not any(SECRET in word for word in words)


def test_every_stage_has_its_image() -> None:
    stages = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert set(containers.IMAGES) == stages
    assert containers.image_of("a stage of its own") == "sllama-train"


def test_stages_of_the_data_image_import_no_torch() -> None:
    for stage, image in containers.IMAGES.items():
        if image == "sllama-data":
            for path in reachable_files(ROOT / "stages" / f"{stage}.py"):
                roots = {name.split(".")[0] for name in imported_names(path)}
                assert not roots & {"torch", "transformers", "lm_eval"}, path
