"""What the report says: golden Markdown, and what must never be left out or added."""

import re
from pathlib import Path

import pytest

from pipeline.report.build import write_report
from pipeline.report.document import Document, compose
from pipeline.report.html import render_html
from pipeline.report.inputs import read_inputs
from pipeline.report.markdown import escape, render_markdown
from pipeline.report.passages import Passages
from pipeline.report.tables import Row, Table
from tests.report.conftest import Report
from tests.report.run import Run, choice_task, missing_task
from tests.report.write_golden import GOLDEN, golden_runs

NO_FIGURES = dict.fromkeys(["curves", "parameters", "published"], "")


def document_of(run: Run) -> Document:
    return compose(read_inputs(run.write().params, **run.paths), figures={})


def tables_of(document: Document) -> list[Table]:
    return [
        block
        for section in document.sections
        for block in (*section.blocks, *section.folded)
        if isinstance(block, Table)
    ]


def table(document: Document, caption: str) -> Table:
    return next(table for table in tables_of(document) if table.caption.startswith(caption))


@pytest.mark.parametrize("name", ["official", "stand_in", "demo"])
def test_golden_markdown(tmp_path: Path, report: Report, name: str) -> None:
    out = report(golden_runs(tmp_path)[name])
    assert (out / "report.md").read_text() == (GOLDEN / f"{name}.md").read_text()


def test_the_null_scorers_stand_below_the_model(run: Run) -> None:
    headline = table(document_of(run), "Benchmarks")
    assert [row.cells[:3] for row in headline.rows[:3]] == [
        ("blimp_filtered", "SLlama", "57.64"),
        ("blimp_filtered", "uniform", "51.40"),
        ("blimp_filtered", "unigram", "52.75"),
    ]
    assert [row.kind for row in headline.rows] == ["model", "null", "null", "missing"]
    # The tie rule decides what a scorer that knows nothing gets.
    assert headline.rows[1].cells[5:7] == ("91.95", "81.09")


def test_a_missing_task_is_listed_with_its_reason_and_without_a_score(run: Run) -> None:
    document = document_of(run)
    row = table(document, "Benchmarks").rows[-1]
    assert row.cells[0] == "supplement_filtered"
    assert row.cells[2:] == ("missing", "–", "–", "–", "–", "–")
    assert table(document, "Missing").rows[0].cells == (
        "supplement_filtered",
        "gated | needs <b>HF_TOKEN</b>",
    )


def test_a_null_scorer_that_could_not_be_run_is_listed_with_its_reason(run: Run) -> None:
    for task in ("blimp_filtered", "heldout"):
        run.tasks[task]["null"]["unigram"] = missing_task("no training tokens")
    document = document_of(run)
    for caption, task in (("Benchmarks", "blimp_filtered"), ("Held-out text", "heldout")):
        lost = table(document, caption).rows[2]
        assert (lost.cells[:4], lost.kind) == ((task, "unigram", "missing", "–"), "missing")
    assert table(document, "blimp_filtered by paradigm").rows[0].cells[7] == "missing"
    assert [row.cells for row in table(document, "Missing").rows[1:]] == [
        ("blimp_filtered: unigram", "no training tokens"),
        ("heldout: unigram", "no training tokens"),
    ]
    assert {row.kind for row in table(document, "Missing").rows} == {"missing"}
    rows = [row for row in table(document, "Beside").rows if row.cells[0] == "unigram"]
    assert [row.cells[3] for row in rows] == ["missing", "missing"]


def test_a_null_scorer_that_could_not_be_run_leaves_the_others(run: Run) -> None:
    run.tasks["heldout"]["null"]["uniform"] = missing_task()
    rows = table(document_of(run), "Held-out text").rows
    assert [(*row.cells[:3], row.kind) for row in rows] == [
        ("heldout", "SLlama", "1.2346", "model"),
        ("heldout", "uniform", "missing", "missing"),
        ("heldout", "unigram", "2.2500", "null"),
    ]
    assert rows[1].cells[3:] == ("–", "–", "–", "–")


def test_a_perplexity_beyond_floats_is_a_dash(run: Run) -> None:
    run.tasks["heldout"]["perplexity"] = None
    assert table(document_of(run), "Held-out text").rows[0].cells[4] == "–"


def test_every_interval_is_shown_and_says_what_it_leaves_out(run: Run) -> None:
    document = document_of(run)
    model = table(document, "Benchmarks").rows[0].cells
    assert model[3:5] == ("52.64 – 62.64", "47.64 – 67.64")
    for name in ("Benchmarks", "blimp_filtered by paradigm"):
        assert "another seed" in " ".join(table(document, name).notes)
    text = table(document, "Held-out text")
    assert text.rows[0].cells[3] == "1.2000 – 1.2700"
    assert "this one trained model" in text.notes[0]


def test_an_interval_without_an_end_is_a_dash(run: Run) -> None:
    run.tasks["heldout"] |= {"bits_per_byte": None, "perplexity": None, "ci95": [1.2, None]}
    assert table(document_of(run), "Held-out text").rows[0].cells[2:4] == ("–", "–")


def test_all_tasks_may_be_missing(run: Run) -> None:
    run.tasks = {"supplement_filtered": run.tasks["supplement_filtered"]}
    document = document_of(run)
    assert [row.cells[2] for row in table(document, "Benchmarks").rows] == ["missing"]


def test_published_numbers_stand_only_beside_the_same_items(run: Run) -> None:
    comparison = table(document_of(run), "Beside published")
    assert "BLiMP % (blimp_filtered)" in comparison.columns
    assert not any("Supplement" in column for column in comparison.columns)
    run.use_demo()
    assert not any("published" in made.caption for made in tables_of(document_of(run)))


def test_unknown_published_cells_say_so(run: Run) -> None:
    run.tasks["supplement_filtered"] = choice_task({"hypernym": 0.5})
    comparison = table(document_of(run), "Beside published")
    paper = next(row for row in comparison.rows if row.cells[0] == "SLlama (paper)")
    assert paper.cells[3:5] == ("91.94", "not available")


def test_a_stand_in_is_named_in_every_table(run: Run) -> None:
    run.use_stand_in()
    document = document_of(run)
    assert "No figure here is a result on BabyLM strict-small" in document.warning
    for made in tables_of(document):
        assert "STAND-IN DATA" in made.caption
        assert made.notes[0] == document.warning


def test_the_official_corpus_carries_no_such_warning(run: Run) -> None:
    document = document_of(run)
    assert document.warning == ""
    assert not any("STAND-IN" in made.caption for made in tables_of(document))


def test_nonfinite_and_truncated_items_are_told(run: Run) -> None:
    run.tasks["blimp_filtered"] |= {"nonfinite": 3, "truncated": 1200}
    notes = " ".join(table(document_of(run), "Benchmarks").notes)
    assert "3 items had a non-finite score, counted as wrong" in notes
    assert "1,200 texts were longer than the context" in notes


def test_choices_that_bend_the_figures_are_told(run: Run) -> None:
    run.train["passes"] = 9.5
    assert document_of(run).cautions == ()
    run.train["passes"] = 13.125
    run.recipe["model"]["embedding"] = "attn"
    run.recipe["train"] |= {"label_shift": 2, "keep": "best_on_test"}
    run.train["skipped_batches"] = 2
    run.tasks["heldout"]["unread_bytes"] = 1234
    starts = [caution.split()[0] for caution in document_of(run).cautions]
    assert starts == ["The", "train.label_shift:", "train.keep:", "2", "heldout:", "13.13"]
    for text in (render_markdown(document_of(run)), render_html(document_of(run), NO_FIGURES)):
        assert "The model looks ahead" in text
        assert "trains on the token after next" in text
        assert "1,234 of 54,321 bytes are of characters that the tokenizer drops" in text


def test_a_model_that_looks_ahead_is_called_so_whatever_its_embedding(run: Run) -> None:
    run.train["passes"] = 9.5
    run.identity["model"]["looks_ahead"] = True
    (caution,) = document_of(run).cautions
    assert "looks ahead" in caution


def test_without_null_scorers_there_are_none(run: Run) -> None:
    run.recipe["evaluate"]["null_scorers"] = []
    headline = table(document_of(run), "Benchmarks")
    assert [row.cells[1] for row in headline.rows] == ["SLlama", "SLlama"]
    assert not any("know nothing" in note for note in headline.notes)


def test_shares_of_the_parameters_add_up(run: Run) -> None:
    parameters = table(document_of(run), "Parameters by component")
    assert parameters.rows[0].cells == ("lm_head", "2,048,000", "79.20")
    assert parameters.rows[-1].cells == ("total", "2,585,792", "100.00")


@pytest.mark.parametrize(("before_the_end", "said"), [(0, []), (500, ["2,500"])])
def test_weights_of_an_earlier_step_are_called_so(
    run: Run, before_the_end: int, said: list[str]
) -> None:
    run.train |= {"steps": 3000, "kept_step": 3000 - before_the_end}
    ended = table(document_of(run), "Where training ended")
    kept = [row.cells[1] for row in ended.rows if row.cells[0].startswith("Weights kept")]
    assert kept == said


def test_a_table_refuses_rows_of_another_width() -> None:
    with pytest.raises(ValueError, match="a row of 1 cells"):
        Table("caption", ("a", "b"), (Row(("1",)),))


def test_foreign_text_stays_text_in_markdown(run: Run) -> None:
    run.recipe["report"]["title"] = "a|b <script>x</script> *c*"
    text = render_markdown(document_of(run)).split("```")[0]
    assert "<script>" not in re.sub(r"\\.", "", text)
    rows = [line for line in text.splitlines() if line.startswith("| blimp_filtered")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {9}


def test_markdown_shows_what_stands_there() -> None:
    assert escape("blimp_filtered") == "blimp_filtered"
    assert escape("a _very_ long &lt; ~~way~~ for $5") == (
        r"a \_very\_ long \&lt; \~\~way\~\~ for \$5"
    )


def test_generated_text_stands_by_prompt_and_temperature(run: Run) -> None:
    run.use_every_kind()
    run.use_stand_in()
    document = document_of(run)
    section = next(made for made in document.sections if made.heading == "Generated text")
    blocks = [block for block in section.blocks if isinstance(block, Passages)]
    assert [[text.prompt for text in block.passages] for block in blocks] == [
        ["", ""],
        ["Some boys were", "Some boys were"],
    ]
    assert [text.label for text in blocks[0].passages] == ["temperature 0.5", "temperature 1"]
    assert blocks[0].passages[0].text == "The dog is here. ∎"
    assert "seed 77" in blocks[1].notes[-1]
    assert all(block.notes[0] == document.warning for block in blocks)


def test_without_samples_there_is_no_section_of_them(run: Run) -> None:
    assert "Generated text" not in [made.heading for made in document_of(run).sections]


def test_the_figures_say_where_they_come_from(run: Run) -> None:
    rows = dict(row.cells for row in table(document_of(run), "Where the figures").rows)
    assert rows["seed"] == "1"
    assert (rows["tokens fingerprint"], rows["model fingerprint"]) == ("0123abcd", "feedbeef")
    assert rows["torch"] == "2.13.0"


def test_the_terminal_sees_the_scores(run: Run) -> None:
    run.use_stand_in()
    run.write()
    out = run.folder / "report"
    text = write_report(run.params, **run.paths, out=out, metrics_out=out / "metrics.json")
    assert re.search(r"blimp_filtered +SLlama \(stand-in corpus\) +57\.64", text)
    assert re.search(r"supplement_filtered +SLlama \(stand-in corpus\) +missing", text)
    assert text.count("STAND-IN DATA") >= 3
    assert "gated" in text
