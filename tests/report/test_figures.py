"""Figures: the same bytes in any process, one file for light and dark pages."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline.report.figures import Figures, draw_figures
from pipeline.report.inputs import read_inputs
from tests.imports import ROOT
from tests.report.run import Run, missing_task


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("official")).write()


@pytest.fixture(scope="module")
def figures(official: Run) -> Figures:
    return draw_figures(read_inputs(official.params, **official.paths))


def test_there_is_one_per_topic(figures: Figures) -> None:
    assert set(figures) == {
        "curves",
        "parameters",
        "published",
        "blimp_filtered-phenomena",
        "blimp_filtered-paradigms",
    }


def test_paradigms_of_other_tasks_have_no_phenomena(run: Run) -> None:
    run.use_demo()
    figures = draw_figures(read_inputs(run.write().params, **run.paths))
    assert set(figures) == {"curves", "parameters", "demo_pairs-paradigms"}


def test_a_scorer_that_could_not_be_run_is_not_drawn(run: Run) -> None:
    run.tasks["blimp_filtered"]["null"]["unigram"] = missing_task()
    svg = draw_figures(read_inputs(run.write().params, **run.paths))["blimp_filtered-paradigms"]
    assert ">uniform</text>" in svg
    assert ">unigram</text>" not in svg


def test_each_is_well_formed_and_says_what_it_is(figures: Figures) -> None:
    for svg in figures.values():
        root = ElementTree.fromstring(svg)  # noqa: S314
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.get("aria-label")
        assert root.get("viewBox")


def test_text_stays_text_and_takes_the_colour_of_the_page(figures: Figures) -> None:
    for svg in figures.values():
        assert "currentColor" in svg
        assert "#010203" not in svg
    assert ">island_effects (1)</text>" in figures["blimp_filtered-phenomena"]
    assert ">unigram</text>" in figures["blimp_filtered-paradigms"]
    assert "2,048,000</text>" in figures["parameters"]


def test_published_scores_stand_beside_the_run(figures: Figures) -> None:
    for name, score in (("GPT-2 small (2025 baseline)", "67.29"), ("unigram", "52.75")):
        assert f">{name}</text>" in figures["published"]
        assert f">{score}</text>" in figures["published"]


def test_nothing_tells_when_or_with_what_it_was_drawn(figures: Figures) -> None:
    for svg in figures.values():
        assert "<metadata" not in svg
        assert "Created with" not in svg
        assert "dc:date" not in svg


def test_another_process_with_other_settings_draws_the_same_bytes(
    official: Run, figures: Figures, tmp_path: Path
) -> None:
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nsvg.fonttype: path\ntimezone: CET\n")
    probe = (
        "import sys, hashlib; from pathlib import Path; from tests.report.run import Run; "
        "from pipeline.report.figures import draw_figures; "
        "from pipeline.report.inputs import read_inputs; run = Run(Path(sys.argv[1])); "
        "figures = draw_figures(read_inputs(run.params, **run.paths)); "
        "print(hashlib.sha256(''.join(figures.values()).encode()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, str(official.folder)],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONHASHSEED": "7",
            "MATPLOTLIBRC": str(tmp_path),
            "LC_ALL": "C",
            "TZ": "Asia/Tokyo",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    here = hashlib.sha256("".join(figures.values()).encode()).hexdigest()
    assert done.stdout.strip() == here
