"""Figures: which rows they show, in which order."""

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.paper.figures import draw_figures
from tests.paper.made_up import inputs, settings_values


def words(svg: str) -> list[str]:
    return [text for text in re.findall(r">([^<>]+)</text>", svg) if not text[0].isdigit()]


def with_peer(changes: dict[str, Any]) -> dict[str, Any]:
    values = settings_values()
    next(v for v in values["variants"] if v["name"] == "peer").update(changes)
    return values


def test_sizes_go_from_small_to_large_and_leave_the_reloaded_out(tmp_path: Path) -> None:
    shown = words(draw_figures(inputs(tmp_path))["sizes"].svg)
    assert shown[1:] == ["SLlama &amp; co_1, 1,000", "Llama, 2,000"]


@pytest.mark.parametrize(
    "changes",
    [
        {"set": {"train": {"label_shift": 2}}},
        {"decay_multiple": 2.0},
        {"tables": {"curves": "Llama"}},
    ],
)
def test_sizes_compare_labelled_runs_of_one_recipe_only(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    figures = draw_figures(inputs(tmp_path, with_peer(changes)))
    assert words(figures["sizes"].svg)[1:] == ["SLlama &amp; co_1, 1,000"]


def test_a_run_of_another_recipe_stays_in_the_other_figures(tmp_path: Path) -> None:
    figures = draw_figures(inputs(tmp_path, with_peer({"decay_multiple": 2.0})))
    assert "Llama" in words(figures["headline"].svg)


def test_a_stand_in_is_named_in_every_figure(tmp_path: Path) -> None:
    drawn = draw_figures(inputs(tmp_path))
    assert drawn.keys() == {"headline", "parts", "choices", "audit", "sizes", "curves"}
    for figure in drawn.values():
        assert figure.title.endswith("(STAND-IN CORPUS)")
        # Not in the title alone, which only a screen reader has.
        assert "(STAND-IN CORPUS)" in "".join(words(figure.svg))
    for figure in draw_figures(inputs(tmp_path / "official", stand_in=False)).values():
        assert "STAND-IN" not in "".join([figure.title, *words(figure.svg)])


def test_accuracies_stand_beside_the_scorers_that_know_nothing(tmp_path: Path) -> None:
    figures = draw_figures(inputs(tmp_path))
    assert "uniform" in words(figures["headline"].svg)
    assert "uniform" not in words(figures["sizes"].svg)
