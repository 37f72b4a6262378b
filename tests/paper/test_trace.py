"""runs.csv and metrics.json: what the tables' figures are traced to."""

import csv
import io
from dataclasses import replace
from pathlib import Path

from pipeline.paper.inputs import read_inputs
from pipeline.paper.ledger import data_fingerprint
from pipeline.paper.trace import means_by_variant, runs_csv, runs_table
from tests.paper.made_up import inputs, settings, write_runs


def rows(root: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(runs_csv(inputs(root)))))


def test_a_row_a_run_and_then_a_row_a_scorer_that_knows_nothing(tmp_path: Path) -> None:
    assert [(row["variant"], row["seed"]) for row in rows(tmp_path)] == [
        ("ours", "1"), ("ours", "2"), ("peer", "1"), ("peer", "2"),
        ("damaged", "1"), ("damaged", "2"), ("uniform", ""), ("uniform_llama", ""),
    ]  # fmt: skip


def test_a_run_is_traced_to_its_commit_machine_recipe_and_weights(tmp_path: Path) -> None:
    ours = rows(tmp_path)[0]
    assert (ours["commit"], ours["machine"]) == ("0123456789abcdef", "a processor, 2 threads")
    assert len(ours["config_fingerprint"]) == len(ours["model_fingerprint"]) == 64
    assert (ours["scored_commit"], ours["scored_dirty"]) == ("fedcba9876543210", "False")
    assert ours["scored_machine"] == "another, 1 threads"
    assert (ours["parameters"], ours["parameters.head"]) == ("1000", "300")
    assert (ours["blimp_filtered.accuracy"], ours["heldout.bits_per_byte"]) == ("0.8", "2.01")
    assert (ours["ewok.accuracy"], ours["ewok.tie_rate"]) == ("missing", "")


def test_a_scorer_that_knows_nothing_has_its_figures_and_its_corpus(tmp_path: Path) -> None:
    *_, uniform, mirrored = rows(tmp_path)
    assert {key: value for key, value in uniform.items() if value} == {
        "variant": "uniform",
        "config_fingerprint": data_fingerprint(tmp_path / "plan" / "data.yaml"),
        "corpus": "babylm-standin",
        "stand_in": "True",
        "scored_commit": "fedcba9876543210",
        "scored_dirty": "False",
        "scored_machine": "another",  # which loaded no torch
        "blimp_filtered.accuracy": "0.5",
        "blimp_filtered.accuracy_first_wins": "0.9194",
        "blimp_filtered.accuracy_ties_wrong": "0.0806",
        "blimp_filtered.tie_rate": "0.8388",
        "blimp_filtered.truncated": "0",
        "ewok.accuracy": "missing",
        "heldout.bits_per_byte": "4.0",
    }
    assert mirrored["heldout.bits_per_byte"] == ""


def test_a_record_that_a_cache_left_of_other_scores_is_not_believed(tmp_path: Path) -> None:
    folders = write_runs(tmp_path)
    restored = folders.results / "evaluate" / "ours-1.json"
    restored.write_text(restored.read_text() + "\n")
    first, second, *_ = csv.DictReader(io.StringIO(runs_csv(read_inputs(settings(), folders))))
    assert (first["scored_commit"], first["scored_machine"]) == ("", "")
    assert second["scored_commit"] == "fedcba9876543210"


def test_the_runs_table_names_all_that_tells_a_row_from_another(tmp_path: Path) -> None:
    table = runs_table(inputs(tmp_path))
    ours, *_, uniform = ([*row.cells] for row in table.rows)
    assert ours[:3] == ["ours", "1", "0123456789ab"]
    assert ours[5:] == ["a processor, 2 threads", "fedcba987654", "another, 1 threads", "here"]
    data = data_fingerprint(tmp_path / "plan" / "data.yaml") or ""
    assert uniform[:4] == ["uniform scorer", "–", "–", data[:12]]
    assert uniform[6:8] == ["fedcba987654", "another"]
    assert "peer is Llama, attention: mha, peer;" in table.notes[0]
    assert "later" not in table.notes[0]


def test_curves_have_columns_where_a_run_has_checkpoints(tmp_path: Path) -> None:
    made = inputs(tmp_path)
    ours, _, peer, *_ = csv.DictReader(io.StringIO(runs_csv(made)))
    keys = [key for key in ours if key.startswith("chck_")]
    assert keys == ["chck_1M.blimp_filtered.accuracy", "chck_1M.heldout.bits_per_byte"]
    assert [ours[key] for key in keys] == ["0.6", "3.01"]
    assert [peer[key] for key in keys] == ["", ""]
    without = {name: [replace(r, checkpoints={}) for r in runs] for name, runs in made.runs.items()}
    assert "chck_1M" not in runs_csv(replace(made, runs=without))


def test_a_reloaded_model_claims_no_parameters(tmp_path: Path) -> None:
    damaged = rows(tmp_path)[4]
    assert not any(damaged[key] for key in damaged if key.startswith("parameters"))
    variants = means_by_variant(inputs(tmp_path))["variants"]
    assert variants["damaged"]["parameters"] is None
    assert variants["damaged"]["tokens_seen"] == 2_500_000
    assert variants["ours"]["parameters"] == 1000
    assert variants["ours"]["scored_on"] == ["another, 1 threads"]
