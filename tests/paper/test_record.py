"""New runs on record: nothing that was there goes."""

import csv
import io
from pathlib import Path

import pytest

from pipeline.errors import SllamaError
from pipeline.paper.inputs import read_inputs
from pipeline.paper.ledger import CHOICE_FIGURES
from pipeline.paper.record import record
from pipeline.paper.trace import runs_csv
from tests.paper.made_up import settings, write_runs


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    path = tmp_path / "runs.csv"
    path.write_text(runs_csv(read_inputs(settings(), write_runs(tmp_path / "made"))))
    return path


def test_the_first_runs_on_record_are_those_of_the_tables(runs: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.csv"
    assert record(runs, ledger) == len(runs.read_text().splitlines()) - 1
    assert ledger.read_bytes() == runs.read_bytes()
    assert record(runs, ledger) == 0


def test_what_the_tables_do_not_have_stays_and_a_run_made_anew_replaces(
    runs: Path, tmp_path: Path
) -> None:
    head, first, *others = runs.read_text().splitlines()
    fingerprint = first.split(",")[4]
    ledger = tmp_path / "ledger.csv"
    of_another_recipe = first.replace(fingerprint, "0" * 64)
    ledger.write_text(
        "\n".join(
            f"{line},{extra}"
            for line, extra in [
                (head, "chck_9M.heldout.bits_per_byte,remark"),
                (of_another_recipe, "2.5,kept"),
                (first.replace(",0.8,", ",0.1,"), ","),
            ]
        )
    )
    assert record(runs, ledger) == 1 + len(others)
    lines = ledger.read_text().splitlines()
    assert lines[0] == f"{head},chck_9M.heldout.bits_per_byte,remark"
    assert lines[1:] == [
        f"{of_another_recipe},2.5,kept",
        *(f"{line},," for line in [first, *others]),
    ]


def test_what_other_tables_found_of_the_same_weights_stays(runs: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.csv"
    record(runs, ledger)
    head, *others = ledger.read_text().splitlines()
    whole = [f"{head},other.bits_per_byte", *(f"{line},2.5" for line in others)]
    ledger.write_text("\n".join(whole) + "\n")
    assert record(runs, ledger) == 0
    assert ledger.read_text().splitlines() == whole


def test_a_task_on_record_outlives_tables_made_without_its_data(runs: Path, tmp_path: Path) -> None:
    """The same weights, scored where the gated task could be had and where it could not."""
    ledger = tmp_path / "ledger.csv"
    record(runs, ledger)
    rows = list(csv.DictReader(ledger.read_text().splitlines()))
    for row in rows:
        row |= {f"ewok.{figure}": "1" for figure in (*CHOICE_FIGURES, "truncated")}
    before = write(ledger, rows)
    assert "missing" in runs.read_text()
    assert record(runs, ledger) == 0
    assert ledger.read_text() == before
    ledger.write_bytes(runs.read_bytes())
    (tmp_path / "with-ewok.csv").write_text(before)
    assert record(tmp_path / "with-ewok.csv", ledger) == len(rows)
    assert "missing" not in ledger.read_text()


def test_files_from_a_cache_do_not_wipe_out_where_they_come_from(
    runs: Path, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.csv"
    record(runs, ledger)
    before = ledger.read_text()
    rows = list(csv.DictReader(before.splitlines()))
    origin = ("commit", "dirty", "machine", "tokens_per_second")
    scored = ("scored_commit", "scored_dirty", "scored_machine")
    assert all(rows[0][column] for column in (*origin, *scored))
    for row in rows:
        row |= dict.fromkeys((*origin, *scored), "")
    write(runs, rows)
    assert record(runs, ledger) == 0
    assert ledger.read_text() == before
    rows[0]["heldout.bits_per_byte"] = "1.5"
    write(runs, rows)
    assert record(runs, ledger) == 1
    made = next(csv.DictReader(ledger.read_text().splitlines()))
    assert made["commit"]
    assert not made["scored_commit"], "the scores are not those that were made there"


def write(path: Path, rows: list[dict[str, str]]) -> str:
    target = io.StringIO()
    writer = csv.DictWriter(target, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(target.getvalue())
    return target.getvalue()


def test_columns_of_another_profile_make_nothing_new(runs: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.csv"
    head, *others = runs.read_text().splitlines()
    lines = [f"{head},other.accuracy", *(f"{line}," for line in others)]
    ledger.write_text("\n".join(lines) + "\n")
    assert record(runs, ledger) == 0
    assert ledger.read_text().splitlines() == lines


@pytest.mark.parametrize("damaged", ["runs.csv", "ledger.csv"])
def test_a_malformed_table_is_refused_and_nothing_is_written(
    damaged: str, runs: Path, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.csv"
    ledger.write_bytes(runs.read_bytes())
    path = tmp_path / damaged
    path.write_text(path.read_text().replace("ours,1,", "ours,first,"))
    before = ledger.read_bytes()
    with pytest.raises(SllamaError, match=rf"{damaged}: line 2: seed"):
        record(runs, ledger)
    assert ledger.read_bytes() == before


def test_without_tables_there_is_nothing_to_record(tmp_path: Path) -> None:
    with pytest.raises(SllamaError, match="make the tables first"):
        record(tmp_path / "runs.csv", tmp_path / "ledger.csv")
