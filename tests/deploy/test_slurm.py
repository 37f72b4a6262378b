"""Slurm scripts, run with stand-ins for the commands of Slurm that record how they were called."""

import json
import os
import shutil
import signal
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.imports import ROOT
from tests.integration.checkout import Checkout
from tests.waiting import wait_for

SCRIPTS = sorted((ROOT / "deploy" / "slurm").glob("*.sbatch"))

# Every stand-in appends its name and arguments to $CALLS, one a line.
RECORD = '#!/bin/bash\n{ printf "%s" "${0##*/}"; printf "\\t%s" "$@"; echo; } >> "$CALLS"\n'
STAND_INS = {
    "srun": RECORD + 'shift; exec "$@"\n',
    "scontrol": RECORD + "[[ $1 == show ]] && echo node-a && echo node-b; true\n",
    "scancel": RECORD + 'kill -TERM "$(cat "$CALLS.pid")"\n',
    "torchrun": RECORD + 'env > "$CALLS.env"; exec stage\n',
    "apptainer": RECORD + 'while [[ $1 != torchrun ]]; do shift; done; exec "$@"\n',
    "dvc": RECORD + "exec stage\n",
    # A stage: ends at once, or waits for SIGTERM and takes a while to save.
    "stage": '#!/bin/bash\n[[ -n ${WAITS:-} ]] || exit "${CODE:-0}"\n'
    "trap 'sleep 0.3; echo saved >> \"$CALLS\"; exit ${LAST:-130}' TERM\n"
    'echo $$ > "$CALLS.pid"; echo ready >> "$CALLS"\nwhile true; do sleep 0.05; done\n',
}
SECOND_OF_AN_ARRAY = {"SLURM_ARRAY_JOB_ID": "41000", "SLURM_ARRAY_TASK_ID": "2"}


class Cluster:
    """What looks like a checkout with an environment and plans, and a PATH of stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls = folder, folder / "calls"
        commands = folder / ".venv" / "bin"
        commands.mkdir(parents=True)
        (commands / "activate").write_text('PATH="$PWD/.venv/bin:$PATH"\n')
        for name, text in STAND_INS.items():
            (commands / name).write_text(text)
            (commands / name).chmod(0o755)
        self.calls.touch()
        (folder / "deploy").symlink_to(ROOT / "deploy")
        plans = folder / "paper" / "plan"
        plans.mkdir(parents=True)
        for name in ("data", "evaluate-1", "no_pwa-1", "sllama-1"):
            (plans / f"{name}.yaml").touch()

    def start(self, script: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        path = f"{self.folder}/.venv/bin:{os.environ['PATH']}"
        environment = {
            "PATH": path, "CALLS": str(self.calls), "SLURM_SUBMIT_DIR": str(self.folder),
            "SLURM_JOB_ID": "41234", "SLURM_JOB_NUM_NODES": "2",
            "SLURM_JOB_NODELIST": "node-[a-b]", "SLURM_GPUS_ON_NODE": "4",
            **({} if script == "train.sbatch" else SECOND_OF_AN_ARRAY), **variables,
        }  # fmt: skip
        argv = ["bash", str(ROOT / "deploy" / "slurm" / script), *arguments]
        return subprocess.Popen(
            argv, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def called(self, name: str) -> list[list[str]]:
        lines = [line.split("\t") for line in self.calls.read_text().splitlines()]
        return [line[1:] for line in lines if line[0] == name]

    def wait_for(self, line: str) -> None:
        wait_for(lambda: line in self.calls.read_text().splitlines())


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    if shutil.which("shellcheck"):
        done = subprocess.run(["shellcheck", "-s", "bash", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_ask_for_time_to_save(script: Path) -> None:
    options = [line.split()[1] for line in script.read_text().splitlines() if "#SBATCH" in line]
    names = {option.split("=")[0] for option in options}
    assert {"--nodes", "--gpus-per-node", "--mem", "--time", "--requeue", "--output"} <= names
    (sent,) = [option for option in options if option.startswith("--signal=")]
    assert sent.startswith("--signal=B:USR1@")
    assert int(sent.rpartition("@")[2]) >= 120


def test_a_run_over_nodes(cluster: Cluster) -> None:
    assert cluster.start("train.sbatch", "--quiet").wait() == 0
    (arguments,) = cluster.called("torchrun")
    assert arguments == [
        "--nnodes=2", "--nproc-per-node=4", "--rdzv-backend=c10d", "--rdzv-id=41234",
        "--rdzv-endpoint=node-a:21234", "-m", "stages.train", "--quiet",
    ]  # fmt: skip
    assert cluster.called("apptainer") == []


def test_the_step_has_the_cores_of_the_job_and_time_to_save_and_ends_as_one(
    cluster: Cluster,
) -> None:
    assert cluster.start("train.sbatch", SLURM_CPUS_PER_TASK="8").wait() == 0
    lines = cluster.calls.with_name("calls.env").read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines if "=" in line)
    assert variables["SRUN_CPUS_PER_TASK"] == "8"
    assert variables["OMP_NUM_THREADS"] == "2"
    # Longer than torchrun's own 30 s, shorter than from the signal to the end of the job.
    assert 30 < int(variables["PET_SHUTDOWN_TIMEOUT"]) < 180
    assert cluster.called("srun")[0][0] == "--kill-on-bad-exit=1"


def test_a_run_in_an_image(cluster: Cluster) -> None:
    checkpoints = cluster.folder / "scratch" / "runs"
    variables = {
        "SLLAMA_SIF": "/images/sllama-train.sif",
        "SLLAMA_CHECKPOINTS": str(checkpoints),
    }
    assert cluster.start("train.sbatch", **variables).wait() == 0
    (arguments,) = cluster.called("apptainer")
    image = arguments.index("/images/sllama-train.sif")
    assert arguments[0] == "exec"
    assert "--nv" in arguments[:image]
    bound = [b for a, b in pairwise(arguments) if a == "--bind"]
    assert bound == [f"{cluster.folder}:/workspace", str(checkpoints)]
    assert checkpoints.is_dir()
    assert arguments[image + 1] == "torchrun"


def test_without_gpus_there_is_one_process_and_no_driver(cluster: Cluster) -> None:
    variables = {"SLLAMA_SIF": "image.sif", "SLURM_GPUS_ON_NODE": "0"}
    assert cluster.start("train.sbatch", **variables).wait() == 0
    assert "--nproc-per-node=1" in cluster.called("torchrun")[0]
    assert "--nv" not in cluster.called("apptainer")[0]


def test_a_failed_run_fails_the_job_and_is_not_queued_again(cluster: Cluster) -> None:
    assert cluster.start("train.sbatch", CODE="3").wait() == 3
    assert ["requeue", "41234"] not in cluster.called("scontrol")


@pytest.mark.parametrize("sent", [signal.SIGUSR1, signal.SIGTERM])
@pytest.mark.parametrize(("script", "job"), [
    ("train.sbatch", "41234"),
    ("array.sbatch", "41000_2"),
    ("paper.sbatch", "41000_2"),
])  # fmt: skip
def test_a_run_is_saved_and_queued_again_if_it_was_out_of_time_and_not_if_it_was_ended(
    cluster: Cluster, script: str, job: str, sent: signal.Signals
) -> None:
    (cluster.folder / "variants.txt").write_text("-S seed=1\n-S seed=2\n")
    arguments = ["variants.txt"] if script == "array.sbatch" else []
    process = cluster.start(script, *arguments, WAITS="1")
    cluster.wait_for("ready")
    process.send_signal(sent)
    assert process.wait(20) == 130
    assert cluster.called("saved") == [[]]
    again = [["requeue", job]] if sent == signal.SIGUSR1 else []
    assert [call for call in cluster.called("scontrol") if call[0] == "requeue"] == again
    through_slurm = [] if script == "array.sbatch" else [["--signal=TERM", job]]
    assert cluster.called("scancel") == through_slurm


@pytest.mark.parametrize("script", ["train.sbatch", "array.sbatch", "paper.sbatch"])
def test_a_run_that_ends_well_when_it_is_stopped_is_not_queued_again(
    cluster: Cluster, script: str
) -> None:
    (cluster.folder / "variants.txt").write_text("-S seed=1\n-S seed=2\n")
    arguments = ["variants.txt"] if script == "array.sbatch" else []
    process = cluster.start(script, *arguments, WAITS="1", LAST="0")
    cluster.wait_for("ready")
    process.send_signal(signal.SIGUSR1)
    assert process.wait(20) == 0
    assert "requeue" not in [call[0] for call in cluster.called("scontrol")]


def test_a_line_of_overrides_is_an_experiment(cluster: Cluster) -> None:
    (cluster.folder / "variants.txt").write_text("-S seed=1\n-S model.attention=mha -S seed=2\n")
    assert cluster.start("array.sbatch", "variants.txt").wait() == 0
    (arguments,) = cluster.called("dvc")
    assert arguments == [
        "--wait-for-lock", "exp", "run", "--temp", "--name", "sweep-41000-2",
        "-S", "model.attention=mha", "-S", "seed=2",
    ]  # fmt: skip


def test_a_line_that_is_not_there_is_an_error(cluster: Cluster) -> None:
    (cluster.folder / "variants.txt").write_text("-S seed=1\n")
    process = cluster.start("array.sbatch", "variants.txt")
    _, said = process.communicate()
    assert process.returncode == 1
    assert said.strip().endswith("variants.txt has no line 2")
    assert cluster.called("dvc") == []


@pytest.mark.slow
def test_tasks_that_start_together_all_run(tmp_path: Path) -> None:
    toy = Checkout(tmp_path, tmp_path / "checkpoints")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "activate").touch()
    (tmp_path / ".gitignore").write_text("/.venv\n")
    (tmp_path / "params.yaml").write_text("seed: 0\n")
    stage = {"cmd": "cp params.yaml out", "params": ["seed"], "outs": ["out"]}
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"toy": stage}}))
    (tmp_path / "variants.txt").write_text("".join(f"-S seed={seed}\n" for seed in range(1, 5)))
    toy.run("git", "init", "--quiet")
    toy.run("dvc", "init", "--quiet")
    toy.commit("a stage")
    script = str(ROOT / "deploy" / "slurm" / "array.sbatch")
    tasks = [
        subprocess.Popen(
            ["bash", script, "variants.txt"],
            cwd=tmp_path,
            env={
                **toy.environment,
                **SECOND_OF_AN_ARRAY,
                "SLURM_SUBMIT_DIR": str(tmp_path),
                "SLURM_ARRAY_TASK_ID": str(number),
            },
        )
        for number in range(1, 5)
    ]
    assert [task.wait(300) for task in tasks] == [0, 0, 0, 0]
    made = toy.run("git", "for-each-ref", "--format=%(refname:lstrip=-1)", "refs/exps")
    assert {f"sweep-41000-{number}" for number in range(1, 5)} <= set(made.split())


def test_each_task_of_an_array_trains_one_run_of_the_paper(cluster: Cluster) -> None:
    assert cluster.start("paper.sbatch", SLURM_GPUS_ON_NODE="1").wait() == 0
    (arguments,) = cluster.called("torchrun")
    assert arguments[-13:] == [
        "stages.train", "--params", "paper/plan/sllama-1.yaml",
        "--tokens", "paper/data/tokens", "--tokenizer", "paper/data/tokenizer",
        "--model", "paper/models/sllama-1", "--metrics", "paper/results/train/sllama-1.json",
        "--history", "paper/results/history/sllama-1.tsv",
    ]  # fmt: skip


def test_a_run_that_the_paper_does_not_have_is_an_error(cluster: Cluster) -> None:
    process = cluster.start("paper.sbatch", SLURM_ARRAY_TASK_ID="3")
    _, said = process.communicate()
    assert process.returncode == 1
    assert said == "error: paper/plan has no run 3\n"
    assert cluster.called("torchrun") == []
