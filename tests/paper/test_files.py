from pathlib import Path

import pytest

from pipeline.errors import SllamaError
from pipeline.paper.files import checked, read_made, read_record
from pipeline.report.records import Missing


def test_what_a_stage_made_is_read(tmp_path: Path) -> None:
    path = tmp_path / "null.json"
    path.write_text('{"status": "missing", "reason": "it is gated"}')
    assert read_made(path) == {"status": "missing", "reason": "it is gated"}
    assert read_record(Missing, path).reason == "it is gated"


def test_a_file_that_was_cut_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "null.json"
    path.write_text('{"status":')
    with pytest.raises(SllamaError, match=r"null\.json: not valid JSON.*; run that stage again$"):
        read_record(Missing, path)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({}, "made.json: status: Field required; run that stage again"),
        ([], "made.json: Input should be a valid dictionary.*; run that stage again"),
    ],
)
def test_a_record_without_a_key_is_named(values: object, complaint: str) -> None:
    with pytest.raises(SllamaError, match=f"^{complaint}$"):
        checked(Missing, values, "made.json")
