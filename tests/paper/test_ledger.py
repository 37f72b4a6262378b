"""Runs that are only on record: their figures count, if their recipe is the plan's."""

import csv
import io
import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.errors import SllamaError
from pipeline.paper.build import compose_tables
from pipeline.paper.curves import curve_tables
from pipeline.paper.figures import draw_figures
from pipeline.paper.inputs import Corpus, Folders, Inputs, read_inputs
from pipeline.paper.ledger import read_ledger
from pipeline.paper.trace import means_by_variant, runs_csv
from pipeline.report.records import ChoiceFigures
from pipeline.report.tables import Table
from tests.paper.made_up import settings, write_runs


def recorded(root: Path) -> Folders:
    """The made-up runs in a ledger, and nothing but their plans beside it."""
    folders = write_runs(root)
    folders.ledger.write_text(runs_csv(read_inputs(settings(), folders)))
    shutil.rmtree(folders.results)
    shutil.rmtree(folders.models)
    folders.tokens.unlink()
    return folders


def lines(text: str) -> list[dict[str, str]]:
    """The rows without the curves, which a ledger's runs do not have."""
    return [
        {key: value for key, value in row.items() if not key.startswith("chck_")}
        for row in csv.DictReader(io.StringIO(text))
    ]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return recorded(tmp_path)


def read(folders: Folders) -> Inputs:
    return read_inputs(settings(), folders)


def row(table: Table, label: str) -> tuple[str, ...]:
    return next(row.cells for row in table.rows if row.cells[0] == label)


def test_a_ledger_gives_back_what_it_was_made_of(folders: Folders) -> None:
    assert lines(runs_csv(read(folders))) == lines(folders.ledger.read_text())


def test_what_was_missing_and_what_was_cut_is_on_record(folders: Folders) -> None:
    made = read(folders)
    headline = compose_tables(made)["headline"]
    ewok = headline.columns.index("EWoK %")
    assert row(headline, "SLlama & co_1")[ewok] == "data missing"
    assert "blimp_filtered: 3 texts were longer than the context" in " ".join(headline.notes)


def test_tables_are_those_of_the_runs_but_for_their_items(tmp_path: Path) -> None:
    own = compose_tables(read_inputs(settings(), write_runs(tmp_path / "own")))
    made = compose_tables(read(recorded(tmp_path / "recorded")))
    columns = [name for name in own["headline"].columns if name != "EWoK %"]  # data missing
    headlines = [
        dict(zip(table.columns, row(table, "Llama"), strict=True))
        for table in (made["headline"], own["headline"])
    ]
    assert [headlines[0][name] for name in columns] == [headlines[1][name] for name in columns]
    names = dict(zip(own["parts"].columns, row(own["parts"], "Llama"), strict=True))
    found = dict(zip(made["parts"].columns, row(made["parts"], "Llama"), strict=True))
    assert names.pop("95% interval, items") != found.pop("95% interval, items") == "–"
    assert names == found
    assert found["95% interval, seeds (t)"] != "–"
    items, *seeds = row(made["significance"], "Llama")[1:4], *row(made["significance"], "Llama")[4:]
    assert items == ("–",) * 3
    assert tuple(seeds) == row(own["significance"], "Llama")[4:]


def test_a_scorer_that_knows_nothing_is_on_record_too(folders: Folders) -> None:
    made = read(folders)
    assert {"uniform", "uniform_llama"} == made.nulls.keys()
    assert row(compose_tables(made)["audit"], "tie rule alone: uniform scorer")[2] == "+41.94"


def test_the_corpus_is_named_without_its_size(folders: Folders) -> None:
    made = read(folders)
    assert made.corpus == Corpus("babylm-standin", True)
    assert "(STAND-IN CORPUS)" in compose_tables(made)["parts"].caption
    assert means_by_variant(made)["corpus"] == "babylm-standin"


def test_a_run_is_said_to_be_in_the_ledger(folders: Folders) -> None:
    def files(made: Inputs) -> set[str]:
        rows = compose_tables(made)["provenance"].rows
        return {row.cells[-1] for row in rows if "scorer" not in row.cells[0]}

    assert files(read(folders)) == {"ledger"}
    here = folders.ledger.parent / "here"
    assert files(read_inputs(settings(), write_runs(here))) == {"here"}


def test_a_recipe_that_changed_is_not_the_one_on_record(folders: Folders) -> None:
    (folders.plan / "peer-1.yaml").write_text("{}")
    (folders.plan / "data.yaml").write_text("{}")
    made = read(folders)
    assert [run.seed for run in made.runs["peer"]] == [2]
    assert made.nulls == {}
    assert made.corpus == Corpus("babylm-standin", True)  # as the other runs say


def test_a_reloaded_model_goes_with_the_recipe_that_it_was_reloaded_from(folders: Folders) -> None:
    assert [run.seed for run in read(folders).runs["damaged"]] == [1, 2]
    (folders.plan / "ours-2.yaml").write_text("{}")
    made = read(folders)
    assert [run.seed for run in made.runs["damaged"]] == [1]
    assert made.runs["damaged"][0].sizes.parameters is None


def test_what_is_here_goes_before_what_is_on_record(tmp_path: Path) -> None:
    folders = write_runs(tmp_path)
    text = runs_csv(read_inputs(settings(), folders))
    folders.ledger.write_text(text.replace(",0.8,", ",0.1,"))
    assert runs_csv(read_inputs(settings(), folders)) == text
    (folders.results / "evaluate" / "ours-1.json").unlink()
    first, second = read_inputs(settings(), folders).runs["ours"]
    assert (first.items_file, second.items_file is None) == (None, False)
    scores = first.choice("blimp_filtered")
    assert scores is not None
    assert scores.accuracy == 0.1


def test_a_curve_of_a_recorded_run_has_its_end_and_no_phenomena(folders: Folders) -> None:
    made = read(folders)
    (table,) = curve_tables(made)
    assert table.columns == ("Measure", "end")
    assert [row.cells[0] for row in table.rows] == ["bits per byte", "blimp_filtered %"]
    assert draw_figures(made).keys() >= {"headline", "sizes"}


def test_what_no_scorer_and_no_corpus_depends_on_may_differ(folders: Folders) -> None:
    plan = folders.plan / "data.yaml"
    recipe = yaml.safe_load(plan.read_text())
    recipe["data"]["mirror"] = "elsewhere"
    plan.write_text(yaml.safe_dump({**recipe, "seed": 2, "report": {"title": "another"}}))
    assert read(folders).nulls.keys() == {"uniform", "uniform_llama"}
    recipe["data"]["source"] = "demo"
    plan.write_text(yaml.safe_dump(recipe))
    made = read(folders)
    assert made.nulls == {}
    assert made.corpus == Corpus("babylm-standin", True)  # as its runs say


def test_tokens_of_another_corpus_say_nothing_of_the_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders = recorded(tmp_path / "recorded")
    shutil.copy(write_runs(tmp_path / "other", stand_in=False).tokens, folders.tokens)
    assert read(folders).corpus == Corpus("babylm-standin", True)
    assert "data.source: babylm-strict-small -> babylm-standin" in caplog.text


def test_a_scorer_whose_data_is_missing_here_is_taken_from_the_ledger(tmp_path: Path) -> None:
    folders = write_runs(tmp_path)
    text = runs_csv(read_inputs(settings(), folders))
    uniform = next(line for line in text.splitlines() if line.startswith("uniform,"))
    folders.ledger.write_text(
        f"{text.splitlines()[0]}\n{uniform.replace('uniform', 'uniform_llama')}"
    )
    made = read(folders)
    assert made.nulls["uniform_llama"].tasks["blimp_filtered"] == ChoiceFigures(
        accuracy=0.5,
        accuracy_first_wins=0.9194,
        accuracy_ties_wrong=0.0806,
        tie_rate=0.8388,
        truncated=0,
    )


def test_several_recipes_of_one_run_are_on_record_side_by_side(
    folders: Folders, caplog: pytest.LogCaptureFixture
) -> None:
    head, *others = folders.ledger.read_text().splitlines()
    fingerprint = others[0].split(",")[4]
    another = others[0].replace(fingerprint, "0" * 64).replace(",0.8,", ",0.1,")
    folders.ledger.write_text("\n".join([head, another, *others]))
    assert lines(runs_csv(read(folders))) == lines("\n".join([head, *others]))
    assert "other recipes" not in caplog.text
    folders.ledger.write_text("\n".join([head, another, *others[1:]]))
    assert [run.seed for run in read(folders).runs["ours"]] == [2]
    assert "1 runs are on record by other recipes only and count as not run (ours-1" in caplog.text


def test_a_run_that_is_twice_on_record_is_named(folders: Folders) -> None:
    text = folders.ledger.read_text()
    folders.ledger.write_text(text + text.splitlines()[1])
    number = len(text.splitlines()) + 1
    with pytest.raises(SllamaError, match=rf"line {number}: ours-1 a second time"):
        read_ledger(folders.ledger)


def test_without_a_ledger_nothing_is_on_record(folders: Folders) -> None:
    folders.ledger.unlink()
    made = read(folders)
    assert (made.corpus, made.nulls) == (None, {})
    assert not any(made.runs.values())


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("ours,1,", "ours,first,", "line 2: seed: Input should be a valid integer"),
        (",0.8,", ",much,", "line 2: could not convert string to float"),
        (",0.8,", ",8,", "line 2: accuracy: Input should be less than or equal to 1"),
        (",0.8,", ",,", "line 2: accuracy: Field required"),
        ("ours,1,", "ours,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,", "line 2: "),
    ],
)
def test_a_malformed_ledger_is_named(folders: Folders, old: str, new: str, complaint: str) -> None:
    folders.ledger.write_text(folders.ledger.read_text().replace(old, new, 1))
    with pytest.raises(SllamaError, match=rf"ledger\.csv: {complaint}"):
        read_ledger(folders.ledger)
