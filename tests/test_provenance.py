import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.provenance import describe_code, provenance_path, versions, write_provenance
from tests.imports import ROOT


def test_the_record_lies_beside_the_output_and_names_what_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLLAMA_RUNTIME", "native")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    output = tmp_path / "results" / "a.json"
    write_provenance(output, {"seed": 1}, describe_code(), seconds=2.0)
    text = provenance_path(output).read_text()
    record = json.loads(text)
    assert record["section"] == {"seed": 1}
    assert record["seconds"] == 2.0
    assert record["environment"]["SLLAMA_RUNTIME"] == "native"
    assert record["machine"]["cores"] >= 1
    assert "hf_secret" not in text


def test_the_folder_that_one_is_in_has_a_record_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert provenance_path(Path()) == tmp_path.with_name(f"{tmp_path.name}.provenance.json")


def test_a_given_commit_stands_where_there_is_no_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    def recorded() -> tuple[str | None, bool | None]:
        write_provenance(tmp_path / "a", {}, describe_code())
        record = json.loads(provenance_path(tmp_path / "a").read_text())
        return record["commit"], record["dirty"]

    assert recorded() == (None, None)
    monkeypatch.setenv("SLLAMA_COMMIT", "0123abc")
    assert recorded() == ("0123abc", None)
    for said in (True, False):
        monkeypatch.setenv("SLLAMA_DIRTY", str(said).lower())
        assert recorded() == ("0123abc", said)


def test_pinned_versions_are_the_installed_ones() -> None:
    pins = dict(
        line.split("==") for line in (ROOT / "requirements.txt").read_text().split() if "==" in line
    )
    found = versions()
    for name in ("transformers", "tokenizers", "dvc", "lm_eval"):
        assert found[name] == pins[name]


def test_a_stage_without_torch_does_not_load_it(tmp_path: Path) -> None:
    probe = (
        "import sys, pathlib; from pipeline.provenance import describe_code, write_provenance\n"
        f"write_provenance(pathlib.Path({str(tmp_path / 'a')!r}), {{}}, describe_code())\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", probe], cwd=ROOT).returncode == 0
