"""Cells: what stands in one for few seeds, for none, and where a part of the files is missing."""

from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from pipeline.errors import SllamaError
from pipeline.paper.cells import (
    bits_cell,
    bits_change_cell,
    bits_difference_cells,
    choice_cell,
    common_seeds,
    component_cells,
    difference_cells,
    item_difference,
    p_cell,
    percent_cell,
    points,
    score_cell,
    seed_difference,
    seeds_cell,
    size_cells,
    speed_cell,
)
from pipeline.paper.inputs import Inputs
from pipeline.paper.rows import label_of, labelled, row_kind
from tests.paper.made_up import inputs


@pytest.fixture
def made(tmp_path: Path) -> Inputs:
    return inputs(tmp_path)


def test_one_seed_has_no_deviation_behind_it() -> None:
    assert (percent_cell([0.5]), percent_cell([0.5, 0.6])) == ("50.00", "55.00 ± 7.07")
    assert (bits_cell([1.23456]), bits_cell([1.0, 2.0])) == ("1.2346", "1.5000 ± 0.7071")


def test_differences_carry_their_sign_and_nothing_has_none() -> None:
    assert [points(v) for v in (0.0123, -0.0123, 0.0, 0.00004, -0.00004)] == [
        "+1.23", "-1.23", "0.00", "0.00", "0.00",
    ]  # fmt: skip
    assert difference_cells(None) == ("–", "–")


def test_very_small_p_values_are_only_called_small() -> None:
    assert [p_cell(p) for p in (0.00009, 0.0001, 0.04567, 1.0)] == [
        "< 0.0001", "0.0001", "0.0457", "1.0000",
    ]  # fmt: skip


def test_without_runs_every_cell_says_so(made: Inputs) -> None:
    assert size_cells([]) == ("not run",) * 3
    assert component_cells([]) == ("not run",) * 4
    assert speed_cell(None) == seeds_cell([]) == score_cell([], "accuracy") == "not run"
    assert (
        choice_cell(made, [], "pairs") == choice_cell(made, made.runs["ours"], "glue") == "not run"
    )
    assert item_difference(made, [], made.runs["ours"]) is None
    assert seed_difference(made, [], made.runs["ours"]) is None


def test_a_figure_needs_every_seed(made: Inputs) -> None:
    first, second = made.runs["ours"]
    assert choice_cell(made, [first], "pairs") == "80.00"
    assert choice_cell(made, [first, second], "pairs", "tie_rate") == "20.00 ± 0.00"
    assert choice_cell(made, [first, second], "ewok") == "data missing"
    unscored = replace(second, tasks={})
    assert choice_cell(made, [first, unscored], "pairs") == "not run"
    assert choice_cell(made, [first, unscored], "ewok") == "data missing"


def test_the_speed_is_the_median_turn_with_its_middle_half() -> None:
    assert speed_cell([1.5, 4.0, 2.0]) == "2.00 (1.75 to 3.00)"
    assert speed_cell([1.0, 1.0]) == "1.00"


def test_runs_are_paired_by_their_seeds(made: Inputs) -> None:
    (first, second), (one, two) = made.runs["ours"], made.runs["peer"]
    assert common_seeds([first, second], [two, one]) == ([first, second], [one, two])
    assert common_seeds([second], [one, two]) == ([second], [two])
    assert common_seeds([first], [two]) == ([], [])
    items = item_difference(made, [first, second], [two])
    seeds = seed_difference(made, [first, second], [two, one])
    assert items is not None
    assert seeds is not None
    assert (items.mean, seeds.mean) == (pytest.approx(0.2), pytest.approx(0.175))


def test_a_run_without_the_pairs_gives_no_difference(made: Inputs) -> None:
    ours, (one, two) = made.runs["ours"], made.runs["peer"]
    unscored = [one, replace(two, tasks={})]
    assert item_difference(made, ours, unscored) is None
    assert item_difference(made, unscored, ours) is None
    assert seed_difference(made, ours, unscored) is seed_difference(made, unscored, ours) is None


def test_rows_stand_in_the_order_of_the_settings_and_show_what_they_are(made: Inputs) -> None:
    kinds = {
        label: (variant.name, row_kind(made, variant, made.runs.get(variant.name, [])))
        for label, variant in labelled(made, "choices")
    }
    assert list(kinds.items()) == [
        ("attention: pwa", ("ours", "model")),
        ("width: 64", ("ours", "model")),
        ("attention: mha", ("peer", "plain")),
        ("width: 128", ("later", "missing")),
    ]


def test_the_size_is_that_of_the_model_that_was_trained(made: Inputs) -> None:
    assert size_cells(made.runs["ours"]) == ("1,000", "1.50M", "2.50M")
    assert component_cells(made.runs["ours"]) == ("600", "300", "90", "10")
    assert size_cells(made.runs["damaged"]) == ("–", "1.50M", "2.50M")
    assert component_cells(made.runs["damaged"]) == ("–",) * 4


def test_items_of_other_runs_are_not_paired(made: Inputs) -> None:
    (first, _), (one, _) = made.runs["ours"], made.runs["peer"]
    path = one.items_file
    assert path is not None
    path.write_text(path.read_text().replace("passive_1_3", "passive_1_30"))
    with pytest.raises(SllamaError, match=r"peer-1\.jsonl: its items of .* not those of .*ours-1"):
        item_difference(made, [first], [one])


def test_a_variant_is_called_by_its_one_label(made: Inputs) -> None:
    assert label_of(made, "ours", "audit") == "corrected"
    assert label_of(made, "peer", "choices") == "attention: mha"
    # Two labels tell two options, not the model.
    assert label_of(made, "ours", "choices") == "SLlama"
    assert label_of(made, "later", "audit") == "Later"
    assert label_of(made, "damaged", "parts") == "damaged"


def test_bits_are_paired_by_seed() -> None:
    low, high = stats.t.interval(0.95, 2, loc=0.2, scale=0.1 / 3**0.5)
    mean, interval = bits_difference_cells([0.1, 0.2, 0.3])
    assert (mean, interval) == ("+0.2000", f"{low:+.4f} to {high:+.4f}")
    assert bits_difference_cells([-0.5]) == ("-0.5000", "–")
    assert bits_difference_cells([]) == ("–", "–")


def test_a_change_of_bits_has_its_sign() -> None:
    assert bits_change_cell([0.25, 0.75]) == "+0.5000 ± 0.3536"
    assert bits_change_cell([-0.25]) == "-0.2500"
    assert bits_change_cell([0.0, 0.0]) == "0.0000 ± 0.0000"
    assert bits_change_cell([]) == "not run"
