import csv
import json
from pathlib import Path

import pytest

from pipeline.paper.build import compose_document, compose_tables
from pipeline.paper.figures import draw_figures
from pipeline.paper.headline import more_published
from pipeline.paper.inputs import read_inputs
from pipeline.report.catalogues import published
from pipeline.report.document import Figure
from pipeline.report.tables import Table
from tests.paper.made_up import (
    PARADIGMS,
    inputs,
    settings,
    settings_values,
    tables,
    write_all,
    write_runs,
)
from tests.paper.write_golden import GOLDEN, NAMES


def row(table: Table, label: str) -> dict[str, str]:
    found = [line.cells for line in table.rows if label in line.cells]
    assert len(found) == 1, label
    return dict(zip(table.columns, found[0], strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_golden(tmp_path: Path, name: str) -> None:
    """On a change that is meant: python -m tests.paper.write_golden, and read the difference."""
    assert (write_all(tmp_path) / name).read_text() == (GOLDEN / Path(name).name).read_text()


def test_the_figures_are_those_of_the_runs(tmp_path: Path) -> None:
    made = tables(tmp_path)
    # Of 20 pairs 8 + 6 and 8 + 7 right, 2 + 2 tied: 80 and 85.
    ours = row(made["headline"], "SLlama & co_1")
    assert ours["blimp_filtered %"] == "82.50 ± 3.54"
    assert ours["Bits per byte"] == "2.0150 ± 0.0071"
    assert ours["EWoK %"] == "data missing"
    assert ours["Supplement %"] == "not run"
    difference = row(made["significance"], "Llama")
    # The peer: 5 + 6 and 6 + 5 right, as many tied: 65 twice.
    assert difference["Items: difference"] == "+17.50"
    assert difference["Seeds: difference"] == "+17.50"
    parts = row(made["parts"], "Llama")
    assert (parts["Difference"], parts["Parameters"]) == ("-17.50", "2,000")
    assert parts["Speed, SLlama = 1"] == "2.00 (1.75 to 3.00)"
    assert row(made["parts"], "Later")["Speed, SLlama = 1"] == "not run"
    assert "a processor, 2 threads" in made["parts"].notes[-1]
    assert "SLlama: 2,000 tokens a second." in made["parts"].notes[-1]


@pytest.mark.parametrize(
    ("against", "points", "bits"),
    [(None, "-17.50", "+0.2500 ± 0.0000"), ("damaged", "+5.00", "-0.5000 ± 0.0000")],
)
def test_differences_are_from_the_row_that_the_variant_names(
    tmp_path: Path, against: str | None, points: str, bits: str
) -> None:
    folders = write_runs(tmp_path)
    for name, more in {"peer": 0.25, "damaged": 0.75}.items():
        for path in (folders.results / "evaluate").glob(f"{name}-?.json"):
            scores = json.loads(path.read_text())
            scores["tasks"]["heldout"]["bits_per_byte"] += more
            path.write_text(json.dumps(scores))
    values = settings_values()
    next(v for v in values["variants"] if v["name"] == "peer")["against"] = against
    made = compose_tables(read_inputs(settings(values), folders))
    for table, label in {"parts": "Llama", "choices": "mha", "audit": "peer"}.items():
        cells = row(made[table], label)
        assert (cells["Difference"], cells["Change of bits"]) == (points, bits)


def test_the_item_file_and_the_summary_agree(tmp_path: Path) -> None:
    for runs in inputs(tmp_path).runs.values():
        for run in runs:
            scores = run.choice("blimp_filtered")
            assert scores is not None
            for name in PARADIGMS:
                mean = run.items("blimp_filtered").credits[name].mean()
                assert mean == pytest.approx(scores.paradigms[name].accuracy)


def test_a_null_scorer_shows_what_the_tie_rule_alone_gives(tmp_path: Path) -> None:
    made = tables(tmp_path)
    null = row(made["headline"], "uniform scorer, tokenizer of these runs")
    assert (null["blimp_filtered %"], null["First-wins %"]) == ("50.00", "91.94")
    missing = row(made["headline"], "uniform scorer, tokenizer llama of the mirror")
    assert missing["blimp_filtered %"] == "data missing"
    alone = row(made["audit"], "tie rule alone: uniform scorer")
    assert (alone["blimp_filtered %"], alone["Difference"]) == ("50.00", "+41.94")
    assert (alone["First-wins %"], alone["Tie rate %"], alone["Seeds"]) == ("91.94", "83.88", "–")


def test_texts_that_were_cut_are_counted(tmp_path: Path) -> None:
    notes = tables(tmp_path)["headline"].notes
    assert "blimp_filtered: 3 texts were longer than the context and lost their start." in notes


def test_a_row_that_was_not_run_has_no_number(tmp_path: Path) -> None:
    made = tables(tmp_path)
    cells = row(made["headline"], "Later")
    label, source = cells.pop("Model"), cells.pop("Source")
    assert (label, source) == ("Later", "this repository: later")
    assert set(cells.values()) == {"not run"}


def test_a_run_that_is_not_finished_leaves_the_other_seed(tmp_path: Path) -> None:
    folders = write_runs(tmp_path)
    (folders.results / "evaluate" / "peer-2.json").unlink()
    made = compose_tables(read_inputs(settings(), folders))
    cells = row(made["headline"], "Llama")
    assert (cells["Seeds"], cells["blimp_filtered %"]) == ("1", "65.00")
    assert row(made["significance"], "Llama")["Items: difference"] == "+15.00"
    assert row(made["significance"], "Llama")["t-test p"] == "–"


def test_a_removed_variant_vanishes_though_its_files_stay(tmp_path: Path) -> None:
    folders = write_runs(tmp_path)
    values = settings_values()
    values["variants"] = [v for v in values["variants"] if v["name"] != "peer"]
    values["selected"] = settings(values).select("small").model_dump()
    made = compose_tables(read_inputs(settings(values), folders))
    for table in made.values():
        assert not [line for line in table.rows if {"Llama", "peer"} & set(line.cells)]
    assert [line.cells[0] for line in made["provenance"].rows] == [
        "ours", "ours", "damaged", "damaged", "uniform scorer",
    ]  # fmt: skip


def test_a_seed_that_is_not_selected_is_not_read(tmp_path: Path) -> None:
    values = settings_values()
    values["profiles"]["small"]["seeds"] = [1]
    values["selected"] = settings(values).select("small").model_dump()
    cells = row(tables(tmp_path, values)["headline"], "SLlama & co_1")
    assert (cells["Seeds"], cells["blimp_filtered %"]) == ("1", "80.00")


def test_nothing_run_yet_still_gives_tables(tmp_path: Path) -> None:
    folders = write_runs(tmp_path / "elsewhere")
    nothing = type(folders)(*(tmp_path / "absent" / str(n) for n in range(6)))
    made = compose_tables(read_inputs(settings(), nothing))
    cells = row(made["headline"], "SLlama & co_1")
    assert cells["Parameters"] == "not run"


def test_a_stand_in_is_named_in_every_table(tmp_path: Path) -> None:
    for table in tables(tmp_path).values():
        assert table.caption.endswith("(STAND-IN CORPUS)")
        assert "babylm-standin" in table.notes[0]
    official = compose_tables(inputs(tmp_path / "official", stand_in=False))
    assert not [t for t in official.values() if "STAND-IN" in t.caption + "".join(t.notes)]


def test_a_csv_file_says_by_itself_what_its_own_rows_were_trained_on(tmp_path: Path) -> None:
    others = {model.source for model in published().models}
    for path in (write_all(tmp_path) / "tables").glob("*.csv"):
        for line in csv.DictReader(path.open()):
            stand_in = line["Corpus"].startswith("STAND-IN CORPUS, not the official text: babylm-")
            assert stand_in == (line.get("Source") not in others), line


def test_published_rows_carry_their_sources(tmp_path: Path) -> None:
    table = tables(tmp_path)["headline"]
    rows = [line for line in table.rows if line.kind == "published"]
    assert len(rows) == len(published().models)
    for line, source in ((line, line.cells[-1]) for line in rows):
        assert source == next(m.source for m in published().models if m.name == line.cells[0])
        assert source


def test_further_published_scores_belong_to_published_models() -> None:
    assert set(more_published()) <= {model.name for model in published().models}
    for model in published().models:
        assert not set(model.scores) & set(more_published().get(model.name, {}))


def test_the_claims_are_those_of_the_paper(tmp_path: Path) -> None:
    table = tables(tmp_path)["headline"]
    claims = {
        line.cells[0]: dict(zip(table.columns, line.cells, strict=True))["blimp_filtered %"]
        for line in table.rows
        if "(paper)" in line.cells[0]
    }
    assert list(claims.values()) == ["91.94", "91.9", "56.0"]


def test_the_curve_has_a_column_a_checkpoint_and_the_end(tmp_path: Path) -> None:
    table = tables(tmp_path)["curves_1"]
    assert table.columns == ("Measure", "chck_1M", "end")
    bits = row(table, "bits per byte")
    assert (bits["chck_1M"], bits["end"]) == ("3.0150 ± 0.0071", "2.0150 ± 0.0071")
    assert row(table, "argument_structure")["end"] == "90.00 ± 0.00"


@pytest.mark.parametrize(("profiles", "there"), [(["small"], 2), (["large"], 1), ([], 1)])
def test_a_curve_that_another_profile_alone_draws_is_not_missing_here(
    tmp_path: Path, profiles: list[str], there: int
) -> None:
    values = settings_values()
    values["variants"][1]["tables"]["curves"] = "Llama"
    values["variants"][1]["profiles"] = profiles
    drawn = [name for name in tables(tmp_path, values) if name.startswith("curves")]
    assert len(drawn) == there


def test_two_curves_share_one_figure(tmp_path: Path) -> None:
    values = settings_values()
    values["variants"][1]["tables"]["curves"] = "Llama"
    made = inputs(tmp_path, values)
    tables, figures = compose_tables(made), draw_figures(made)
    assert {"curves_1", "curves_2"} <= tables.keys()
    sections = compose_document(made, tables, figures).sections
    drawn = [block.name for part in sections for block in part.blocks if isinstance(block, Figure)]
    assert sorted(drawn) == sorted(figures)


def test_every_file_is_written_and_traceable(tmp_path: Path) -> None:
    made = write_all(tmp_path)
    folder = made / "tables"
    names = {path.name for path in folder.iterdir()}
    for table in (
        "headline",
        "significance",
        "parts",
        "choices",
        "audit",
        "curves_1",
        "provenance",
    ):
        assert {f"{table}.csv", f"{table}.tex"} <= names
    for figure in ("headline", "parts", "sizes", "choices", "audit", "curves"):
        assert {f"{figure}.svg", f"{figure}.png"} <= names
        assert (folder / f"{figure}.png").read_bytes().startswith(b"\x89PNG")
    metrics = json.loads((made / "metrics.json").read_text())
    ours = metrics["variants"]["ours"]
    assert ours["mean"]["blimp_filtered.accuracy"] == pytest.approx(0.825)
    assert ours["commits"] == ["0123456789ab", "0123456789ab+"]
    assert ours["machines"] == ["a processor, 2 threads"]
    assert "later" not in metrics["variants"]
    html = (folder / "tables.html").read_text()
    assert "SLlama &amp; co_1" in html
    assert "<script" not in html


def test_tables_and_figures_of_another_profile_go(tmp_path: Path) -> None:
    folder = write_all(tmp_path) / "tables"
    whole = {path.name for path in folder.iterdir()}
    for name in ("curves_9.csv", "curves_9.tex", "other.svg", "other.png"):
        (folder / name).write_text("of another profile")
    write_all(tmp_path)
    assert {path.name for path in folder.iterdir()} == whole


def test_the_bytes_depend_on_the_inputs_alone(tmp_path: Path) -> None:
    first, second = (write_all(tmp_path / name) for name in ("a", "b"))
    paths = [path for path in first.rglob("*") if path.is_file()]
    assert paths
    for path in paths:
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path
