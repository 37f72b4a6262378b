import argparse
import errno
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import stage
from pipeline.config import Params
from pipeline.errors import SllamaError
from pipeline.stage import Made, run_stage
from tests.imports import ROOT

Work = Callable[[Params, argparse.Namespace], Made | None]


def run(work: Work, *options: str) -> object:
    with pytest.raises(SystemExit) as caught:
        run_stage(
            "test", lambda parser: None, work, ["--params", str(ROOT / "params.yaml"), *options]
        )
    return caught.value.code


def test_what_was_made_gets_a_provenance_record(tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert (
        run(lambda params, options: Made(output, {"data": {"source": "demo"}}, {"rate": 2.5})) == 0
    )
    record = json.loads((tmp_path / "out.provenance.json").read_text())
    assert record["section"] == {"data": {"source": "demo"}}
    assert record["rate"] == 2.5
    assert record["seconds"] >= 0
    assert len(record["commit"]) == 40
    assert record["versions"]["python"].startswith("3.")


def test_the_commit_on_record_is_that_of_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage runs for hours, and who waits goes on working."""
    monkeypatch.setenv("SLLAMA_COMMIT", "0123abc")

    def work(params: Params, options: argparse.Namespace) -> Made:
        monkeypatch.setenv("SLLAMA_COMMIT", "fedc987")
        return Made(tmp_path / "out", {})

    assert run(work) == 0
    assert json.loads((tmp_path / "out.provenance.json").read_text())["commit"] == "0123abc"


def test_code_edited_meanwhile_is_not_recorded_as_the_maker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC hashes a stage's code when the stage has ended."""
    ran, other = tmp_path / "pipeline" / "ran.py", tmp_path / "stages" / "other.py"
    for path in (ran, other):
        path.parent.mkdir()
        path.write_text("VALUE = 1\n")
    monkeypatch.setattr(stage, "_CHECKOUT", tmp_path)
    monkeypatch.setitem(sys.modules, "ran", types.SimpleNamespace(__file__=str(ran)))

    def edits(path: Path) -> Work:
        def work(params: Params, options: argparse.Namespace) -> Made:
            path.write_text(path.read_text() + "# edited\n")
            return Made(tmp_path / "out", {})

        return work

    assert run(edits(ran)) == 0
    monkeypatch.setenv("DVC_STAGE", "evaluate")
    record = tmp_path / "out.provenance.json"
    record.unlink()
    assert str(run(edits(ran))).startswith("error: pipeline/ran.py changed while this stage ran")
    assert not record.exists()
    assert run(edits(other)) == 0


def test_what_a_rerun_would_go_on_from_stays_until_all_is_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[bool] = []
    record = tmp_path / "out.provenance.json"

    def work(params: Params, options: argparse.Namespace) -> Made:
        return Made(tmp_path / "out", {}, clean_up=lambda: removed.append(record.is_file()))

    def full(*made: object, **figures: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(record))

    with monkeypatch.context() as patch:
        patch.setattr(stage, "write_provenance", full)
        assert "nothing is lost" in str(run(work))
    with monkeypatch.context() as patch:
        patch.setattr(stage, "_require_unchanged", _changed)
        assert "changed while" in str(run(work))
    assert removed == []
    assert run(work) == 0
    assert removed == [True]


def _changed(sources: object) -> None:
    raise SllamaError("pipeline/config.py changed while this stage ran")


def test_bad_input_is_one_line() -> None:
    def work(params: Params, options: argparse.Namespace) -> None:
        raise SllamaError("first\n second")

    assert run(work) == "error: first second"


def test_a_full_disk_says_so() -> None:
    def work(params: Params, options: argparse.Namespace) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "data/raw/a.txt")

    assert "no space left on the device (data/raw/a.txt)" in str(run(work))


def test_verbose_shows_the_trace() -> None:
    def work(params: Params, options: argparse.Namespace) -> None:
        raise SllamaError("wrong")

    with pytest.raises(SllamaError):
        run_stage("t", lambda p: None, work, ["--params", str(ROOT / "params.yaml"), "-v"])


def test_interruption_has_its_own_code() -> None:
    def work(params: Params, options: argparse.Namespace) -> None:
        raise KeyboardInterrupt

    assert run(work) == 130


SECRET = "hf_" + "q" * 34
# A stage of its own, run as stages are: its file's name is the stage's.
STAGE = """
import logging, os, sys
from pathlib import Path
from pipeline.errors import SllamaError
from pipeline.stage import Made, run_stage

def work(params, options):
    log = logging.getLogger("pipeline.x")
    log.debug("a detail")
    log.info("so far %s", os.environ["HF_TOKEN"])
    log.warning("look out")
    if options.end == "bad":
        raise SllamaError("refused " + os.environ["HF_TOKEN"])
    if options.end == "bug":
        raise ZeroDivisionError("divided " + os.environ["HF_TOKEN"])
    return Made(Path("out"), {})

run_stage("test", lambda parser: parser.add_argument("end"), work)
"""


def run_file(folder: Path, *options: str, **environment: str) -> tuple[int, list[str]]:
    """Exit code and lines of standard error of a stage called encode."""
    (folder / "encode.py").write_text(STAGE)
    done = subprocess.run(
        [sys.executable, "encode.py", "--params", str(ROOT / "params.yaml"), *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_TOKEN": SECRET, **environment},
        capture_output=True,
        text=True,
    )
    assert SECRET not in done.stdout + done.stderr
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize(
    ("option", "messages"),
    [
        ((), ["so far ***", "look out", "next: train (python -m stages.train --help), or dvc"]),
        (("-v",), ["a detail", "so far ***", "look out", "next: train"]),
        (("-q",), ["look out"]),
    ],
)
def test_how_much_is_said(tmp_path: Path, option: tuple[str, ...], messages: list[str]) -> None:
    code, lines = run_file(tmp_path, "good", *option)
    assert code == 0
    assert len(lines) == len(messages)
    for line, message in zip(lines, messages, strict=True):
        assert line[8:].startswith(f" encode: {message}")


def test_json_lines(tmp_path: Path) -> None:
    code, lines = run_file(tmp_path, "bad", SLLAMA_LOG="json")
    assert code == 1
    values = [json.loads(line) for line in lines]
    assert [value["message"] for value in values] == ["so far ***", "look out", "refused ***"]
    assert {value["stage"] for value in values} == {"encode"}
    assert values[-1]["level"] == "error"


def test_under_dvc_nobody_has_to_be_told_what_is_next(tmp_path: Path) -> None:
    _, lines = run_file(tmp_path, "good", DVC_STAGE="encode")
    assert not any("next:" in line for line in lines)


@pytest.mark.parametrize(("end", "option"), [("bad", "-v"), ("bug", "-q")])
def test_a_trace_holds_no_secret(tmp_path: Path, end: str, option: str) -> None:
    code, lines = run_file(tmp_path, end, option)
    assert code == 1
    assert any("Traceback" in line for line in lines)
    assert lines[-1].endswith("***")


def test_an_unknown_log_format_is_one_line(tmp_path: Path) -> None:
    code, lines = run_file(tmp_path, "good", SLLAMA_LOG="xml")
    assert (code, lines) == (1, ["error: SLLAMA_LOG=xml: no such format (text, json)"])


def test_what_is_next_is_a_stage() -> None:
    stages = {path.stem for path in (ROOT / "stages").glob("*.py")}
    assert set(stage._NEXT) | set(stage._NEXT.values()) <= stages


def test_the_end_of_a_stage_looks_for_no_cycles() -> None:
    """With torch loaded the interpreter's last collection would take seconds."""
    code = """if True:
        import atexit, gc
        from pipeline.stage import run_stage
        atexit.register(lambda: print(gc.get_freeze_count() > 1000))
        run_stage("", lambda parser: None, lambda params, options: None, [])"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "True\n")
