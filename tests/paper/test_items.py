import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SllamaError
from pipeline.paper.items import Items, read_items, require_summed
from pipeline.report.records import GroupScores, Scores

RULES = ("accuracy", "accuracy_first_wins", "accuracy_ties_wrong", "tie_rate")


def write(path: Path, rows: list[list[float | None]]) -> Path:
    lines = [
        json.dumps({"task": "t", "item": f"p_{n}", "scores": scores}) + "\n"
        for n, scores in enumerate(rows)
    ]
    path.write_text("".join(lines))
    return path


def summed(paradigms: dict[str, int]) -> GroupScores:
    def scores(n: int) -> dict[str, Any]:
        return {"n": n, **dict.fromkeys(RULES, 0.5)}

    parts = {name: Scores(**scores(n)) for name, n in paradigms.items()}
    return GroupScores(**scores(sum(paradigms.values())), paradigms=parts)


def named(paradigms: dict[str, int]) -> Items:
    return Items({name: [f"{name}_{i}" for i in range(n)] for name, n in paradigms.items()}, {})


def test_a_score_that_is_not_finite_earns_nothing(tmp_path: Path) -> None:
    rows = [[None, -1.0], [-1.0, None], [-1.0, -1.0], [-1.0, -1.0, -1.0], [-1.0, -2.0]]
    made = read_items(write(tmp_path / "items.jsonl", rows))["t"]
    assert made.credits["p"].tolist() == [0, 0, 0.5, 1 / 3, 1]
    assert made.names == {"p": ["p_0", "p_1", "p_2", "p_3", "p_4"]}


def test_a_text_without_options_is_no_item(tmp_path: Path) -> None:
    assert read_items(write(tmp_path / "items.jsonl", [[-1.0]])) == {}


@pytest.mark.parametrize(
    "line",
    [
        '{"task": "t", "item": "p_1", "scor',
        '{"task": "t", "item": "p_1"}',
        '{"task": "t", "item": "p_1", "scores": []}',
        '{"task": "t", "item": 1, "scores": [-1.0, -2.0]}',
        "[]",
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "items.jsonl", [[-1.0, -2.0]])
    path.write_text(path.read_text() + line)
    with pytest.raises(
        SllamaError, match=r"items\.jsonl: line 2 is cut or malformed; run the evaluate stage again"
    ):
        read_items(path)


def test_as_many_items_as_were_scored_are_required() -> None:
    items = named({"a": 2, "split_3_ops": 1})
    assert require_summed(items, summed({"a": 2, "split/3_ops": 1}), "here") is items


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        ({"a": 1, "b": 1}, "1 items of a, but 2 were scored"),
        ({"a": 2}, "0 items of b, but 1 were scored"),
        ({"a": 2, "b": 1, "c": 4}, "4 items of c, but 0 were scored"),
        ({}, "0 items of a, but 2 were scored"),
    ],
)
def test_other_items_than_were_scored_are_named(found: dict[str, int], complaint: str) -> None:
    with pytest.raises(SllamaError, match=f"^here: {complaint}; run the evaluate stage again$"):
        require_summed(named(found), summed({"a": 2, "b": 1}), "here")
