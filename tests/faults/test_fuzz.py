"""Recipes, task files, data and configurations that nobody wrote: SllamaError, or it works."""

import copy as copying
import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.config import load_params, parse_params
from pipeline.errors import SllamaError
from pipeline.evaluate.catalog import KINDS, TASKS, parse_task
from pipeline.evaluate.finetune.recipe import recipe_of
from pipeline.evaluate.items import MissingDataError
from pipeline.evaluate.readers import READERS, READING_NUMBERS
from pipeline.evaluate.task_items import read_items
from pipeline.io import read_yaml
from tests.faults.effort import INPUTS
from tests.imports import ROOT

SHIPPED = read_yaml(ROOT / "params.yaml")
SHIPPED_TEXT = (ROOT / "params.yaml").read_text()
PLACES = [(section, key) for section in SHIPPED if section != "seed" for key in SHIPPED[section]]
OPTIONAL = {("train", "on_out_of_memory"), ("train", "trackers")}

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from([0, -1, 1 << 70, "", "none", "auto", "train", [], {}, 1e308]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@INPUTS
@given(
    changes=st.lists(st.tuples(st.sampled_from(PLACES), VALUES), max_size=3),
    dropped=st.lists(st.sampled_from(PLACES), max_size=1),
    added=st.dictionaries(st.text(max_size=10) | st.integers(), VALUES, max_size=1),
)
def test_no_recipe_ends_in_a_traceback(
    changes: list[tuple[tuple[str, str], Any]],
    dropped: list[tuple[str, str]],
    added: dict[Any, Any],
) -> None:
    values = copying.deepcopy(SHIPPED)
    for (section, key), value in changes:
        values[section][key] = value
    for section, key in dropped:
        values[section].pop(key)
    values |= added
    try:
        params = parse_params(values, "params.yaml")
    except SllamaError as error:
        assert "params.yaml: " in str(error)  # noqa: PT017
    else:
        assert not set(dropped) - OPTIONAL
        assert params.train.batch_size % params.train.micro_batch_size == 0


FRAGMENTS = st.sampled_from(
    ["a: 1", "seed: 1", "metadata:", "  source: demo", "  folder: x", "- ", "? ", "{", "}", "[",
     "&a ", "*a", "<<: *a", "!!int x", "!!timestamp x", "!!bool 2", "!!binary x", "2020-99-99",
     "!function a.b", "!!python/object/apply:os.system [id]", "\t", "\n", "'", '"', "|", ">", "#",
     "\x00", "\ud800", "é", "1" * 5000, ": "]
)  # fmt: skip
DOCUMENTS = st.lists(FRAGMENTS | st.text(max_size=6), max_size=10).flatmap(
    lambda parts: st.sampled_from(["".join(parts), "\n".join(parts)])
)


@st.composite
def _edited(draw: st.DrawFn) -> str:
    """The head of the shipped recipe with something put in."""
    lines = SHIPPED_TEXT.splitlines()[:14]
    place = draw(st.integers(0, len(lines)))
    return "\n".join([*lines[:place], draw(DOCUMENTS), *lines[place:]])


@INPUTS
@given(text=DOCUMENTS | _edited())
@example(text="seed: 2020-99-99")
@example(text="seed: !!bool 2")
def test_no_text_of_a_recipe_ends_in_a_traceback(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(SllamaError):
            load_params(path)


TASK_TEXTS = [
    path.read_text().replace(f"task: {path.stem}\n", "task: fuzzed\n")
    for path in sorted(TASKS.glob("*.yaml"))
]


@st.composite
def _edited_task(draw: st.DrawFn) -> str:
    lines = draw(st.sampled_from(TASK_TEXTS)).splitlines()
    place = draw(st.integers(0, len(lines) - 1))
    kept = draw(st.booleans())
    return "\n".join([*lines[:place], draw(DOCUMENTS), *lines[place + (not kept) :]])


METADATA = st.fixed_dictionaries(
    {},
    optional={
        "source": VALUES,
        "folder": VALUES,
        "files": VALUES,
        "kind": st.sampled_from(KINDS) | VALUES,
        "whole_source": VALUES,
        "reader": st.sampled_from(sorted(READERS)) | VALUES,
        "compare": st.just("targets") | VALUES,
        "prefix": VALUES,
        "seeds": VALUES,
    },
)
TASK_VALUES = st.fixed_dictionaries(
    {"task": st.just("fuzzed"), "metadata": METADATA}, optional={"class": st.just("a.B")}
)


@INPUTS
@given(text=DOCUMENTS | _edited_task() | TASK_VALUES.map(json.dumps))
@example(text="task: fuzzed\nclass: a.B\nmetadata: {source: null, reader: minimal_pair}")
@example(text="task: fuzzed\nclass: a.B\nmetadata: {source: null, reader: ewok, folder: x}")
@example(text='{"metadata": {"source": null, "kind": "finetune", "files": ["x"]}}')
def test_no_task_file_ends_in_a_traceback(text: str) -> None:
    try:
        task = parse_task("fuzzed", text, "fuzzed.yaml")
    except SllamaError as error:
        assert str(error).startswith("fuzzed.yaml: ")  # noqa: PT017
        return
    assert task.kind in KINDS
    assert all(isinstance(part, str) for part in task.parts)
    # OSError, which is one line too: a name may be longer than the file system takes.
    with tempfile.TemporaryDirectory() as name, suppress(SllamaError, MissingDataError, OSError):
        if task.kind == "choice":
            read_items("fuzzed", Path(name), task.metadata)
        elif task.kind == "finetune":
            recipe_of("fuzzed", task.metadata)


KEYS = {
    "minimal_pairs": ["sentence_good", "sentence_bad"],
    "ewok": ["Context1", "Context2", "Target1", "Target2"],
    "entity_tracking": ["input_prefix", "options", "numops"],
    "comps": ["property_phrase", "prefix_acceptable", "prefix_unacceptable"],
    "wug": ["sentences", "ratio"],
    "reading": ["item", "word", "prev_item", "prev_word", *READING_NUMBERS],
}
HEADER = ",".join(KEYS["reading"]) + "\n"
SETTINGS = {"folder": "data", "compare": "targets", "drop_nothing": True}
# Half a character, which JSON can hold and UTF-8 cannot.
TEXTS = st.text(min_size=1, max_size=8) | st.sampled_from(["a\tb", "\ud800", "nothing"])


def _rows(reader: str) -> st.SearchStrategy[str]:
    right = {
        "options": st.lists(TEXTS, min_size=2, max_size=3),
        "numops": st.integers(0, 5),
        "ratio": st.floats(0, 1),
    }
    row = st.fixed_dictionaries(
        {}, optional={key: right.get(key, TEXTS) | VALUES for key in KEYS[reader]}
    )
    line = row.map(json.dumps) | VALUES.map(json.dumps) | st.text(max_size=10) | DOCUMENTS
    return st.lists(line, max_size=3).map("\n".join)


@INPUTS
@given(data=st.data())
@pytest.mark.parametrize("reader", sorted(KEYS))
def test_no_data_end_in_a_traceback(reader: str, data: st.DataObject) -> None:
    text = data.draw(_rows(reader))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        folder.mkdir()
        file = "reading_data.csv" if reader == "reading" else "fuzzed.jsonl"
        header = HEADER if reader == "reading" else ""
        (folder / file).write_bytes((header + text).encode("utf-8", "surrogatepass"))
        try:
            items = list(READERS[reader](Path(name), SETTINGS))
        except (SllamaError, MissingDataError):
            return
    for item in items:
        for option in item.options:
            assert all(isinstance(part, str) and part.encode() is not None for part in option)


@pytest.fixture(scope="module")
def fuzzed_model(whole: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a model folder, one for all inputs: transformers keeps the code of each folder."""
    folder = tmp_path_factory.mktemp("fuzzed")
    shutil.copytree(whole.folder / "models/sllama", folder, dirs_exist_ok=True)
    return folder


SIZES = st.integers(-4, 300) | st.sampled_from([1 << 40, 10**30])


@pytest.mark.slow
@INPUTS
@given(data=st.data())
def test_no_configuration_of_a_model_ends_in_a_traceback(
    whole: Any, fuzzed_model: Path, data: st.DataObject
) -> None:
    from pipeline.evaluate.loading import load_model

    config = json.loads((whole.folder / "models/sllama/config.json").read_text())
    changes = data.draw(
        st.dictionaries(st.sampled_from(sorted(config)), SIZES | LEAVES, min_size=1, max_size=3)
    )
    (fuzzed_model / "config.json").write_text(json.dumps(config | changes))
    params = load_params(whole.params)
    try:
        scorer = load_model(fuzzed_model, fuzzed_model, params.evaluate)
    except SllamaError as error:
        assert str(fuzzed_model) in str(error)  # noqa: PT017
    else:
        assert scorer.max_length > 0


WRONG = {
    "minimal_pairs": r'{"sentence_good": "\ud800", "sentence_bad": "b"}',
    "entity_tracking": r'{"input_prefix": "a", "options": [1, 2], "numops": 1}',
    "wug": '{"sentences": "a\\tb", "ratio": 1' + "0" * 400 + "}",
    "comps": r'{"property_phrase": "\udfff", "prefix_acceptable": "a", "prefix_unacceptable": "b"}',
    "ewok": r'{"Context1": null, "Context2": "a", "Target1": "b", "Target2": "c"}',
    "reading": "only one cell",
}


@pytest.mark.parametrize("reader", sorted(KEYS))
def test_values_of_the_wrong_kind_are_named(tmp_path: Path, reader: str) -> None:
    (tmp_path / "data").mkdir()
    if reader == "reading":
        text, file = f"{HEADER}{WRONG[reader]}\n", "reading_data.csv"
    else:
        text, file = WRONG[reader], "fuzzed.jsonl"
    (tmp_path / "data" / file).write_text(text)
    with pytest.raises(SllamaError, match=r"fuzzed|reading_data\.csv, line 2"):
        list(READERS[reader](tmp_path, SETTINGS))
