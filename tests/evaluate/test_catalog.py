"""The descriptions that task files hold."""

import pytest

from pipeline.errors import SllamaError
from pipeline.evaluate.catalog import parse_task


def test_a_key_of_a_task_file_that_occurs_twice_is_named() -> None:
    text = "task: mine\nmetadata: {source: a, folder: a}\nmetadata: {source: b, folder: b}\n"
    with pytest.raises(SllamaError, match=r"^mine\.yaml: .*line 3: key metadata occurs twice"):
        parse_task("mine", text, "mine.yaml")


def test_a_task_that_is_called_otherwise_than_its_file_is_refused() -> None:
    text = "task: blimp_fast\nclass: a.B\nmetadata: {source: a, folder: a}\n"
    with pytest.raises(SllamaError, match=r"^mine\.yaml: task: mine is expected"):
        parse_task("mine", text, "mine.yaml")
