"""The speed column of Table 2: only what was timed by the present plans."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SllamaError
from pipeline.paper.inputs import Folders
from pipeline.paper.speed import read_speed, speed_note
from tests.paper.made_up import write_runs


def change(folders: Folders, edit: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads(folders.speed.read_text())
    edit(values)
    folders.speed.write_text(json.dumps(values))


def test_ratios_are_within_a_turn(tmp_path: Path) -> None:
    folders = write_runs(tmp_path)
    speed = read_speed(folders.speed, folders.plan)
    assert speed.ratios("peer", "ours") == [1.5, 2.0, 4.0]
    assert speed.ratios("ours", "ours") == [1.0, 1.0, 1.0]
    assert speed.ratios("later", "ours") is None


def test_what_was_timed_by_another_recipe_does_not_count(tmp_path: Path) -> None:
    folders = write_runs(tmp_path)
    (folders.plan / "peer-1.yaml").write_text("another")
    speed = read_speed(folders.speed, folders.plan)
    assert set(speed.rows) == {"ours"}
    (folders.plan / "ours-1.yaml").unlink()
    speed = read_speed(folders.speed, folders.plan)
    assert not speed.rows
    assert speed_note(speed, "ours", "SLlama") == (
        "Speed: not timed with these recipes (stage paper_speed)."
    )


def test_nothing_timed_is_no_error(tmp_path: Path) -> None:
    assert not read_speed(tmp_path / "absent.json", tmp_path).rows


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda v: v["rows"]["peer"].update(seconds=[0.1, 0.2]), "have not as many seconds each"),
        (lambda v: v["rows"]["peer"].update(seconds=[0.1, 0.2, 0.0]), "rows.peer.seconds.2"),
        (lambda v: v.pop("machine"), "machine: Field required"),
    ],
)
def test_a_malformed_file_is_one_line(
    tmp_path: Path, edit: Callable[[dict[str, Any]], object], reason: str
) -> None:
    folders = write_runs(tmp_path)
    change(folders, edit)
    with pytest.raises(SllamaError, match=rf"speed\.json.*{reason}.*run that stage again"):
        read_speed(folders.speed, folders.plan)
