"""Numbers that the real benchmark data and the Llama-2 tokenizer have to give."""

import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pipeline.evaluate.catalog import describe
from pipeline.evaluate.finetune.data import read_examples
from pipeline.evaluate.finetune.recipe import recipe_of
from pipeline.evaluate.items import MissingDataError
from pipeline.evaluate.readers import READERS
from pipeline.evaluate.run import EvaluationRequest, run_evaluation
from tests.evaluate.toys import make_config

pytestmark = pytest.mark.mirror


# Python 3.11.4 and newer.
SAFELY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


@pytest.fixture(scope="module")
def mirror() -> Path:
    folder = os.environ.get("SLLAMA_DATA_MIRROR")
    if not folder:
        pytest.skip("SLLAMA_DATA_MIRROR is not set")
    return Path(folder)


@pytest.fixture(scope="module")
def data(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks")
    for name in ("babylm_eval/babylm_eval", "blimp/blimp"):
        with tarfile.open(mirror / f"{name}.tar.xz") as archive:
            archive.extractall(folder, **SAFELY)  # noqa: S202
    (folder / "ewok").symlink_to(mirror / "ewok")
    return folder


@pytest.mark.parametrize(
    ("task", "first_wins", "half_credit"),
    [
        ("blimp_filtered", 91.94, 51.41),
        ("blimp_stock", 91.94, 51.41),
        ("blimp", 91.75, 51.33),
        ("supplement_filtered", 77.61, 47.45),
    ],
)
def test_a_scorer_that_knows_nothing_gets_the_headline(
    mirror: Path, data: Path, tmp_path: Path, task: str, first_wins: float, half_credit: float
) -> None:
    request = EvaluationRequest(
        tasks=[task],
        out=tmp_path / "out.json",
        config=make_config(tasks=[task], null_scorers=[]),
        scorer="uniform",
        tokenizer=mirror / "tokenizers" / "llama" / "tokenizer.model",
        data=data,
    )
    result: dict[str, Any] = run_evaluation(request)["tasks"][task]
    assert round(100 * result["accuracy_first_wins"], 2) == first_wins
    assert round(100 * result["accuracy"], 2) == half_credit
    if task == "blimp_filtered":
        assert round(100 * result["accuracy_ties_wrong"], 2) == 10.88
        assert round(100 * result["tie_rate"], 2) == 81.07


@pytest.mark.parametrize(
    ("task", "items", "groups"),
    [
        ("blimp_filtered", 59875, 67),
        ("blimp_fast", 13400, 67),
        ("blimp", 67000, 67),
        ("supplement_filtered", 5218, 5),
        ("supplement_fast", 250, 5),
        ("entity_tracking", 9483, 18),
        ("entity_tracking_filtered", 6780, 18),
        ("entity_tracking_fast", 3152, 6),
        ("entity_tracking_fast_2026", 2238, 6),
        ("ewok_fast", 1100, 11),
        ("ewok_fast_2026", 1100, 11),
        ("wug_adj", 200, 1),
        ("reading", 1726, 1),
    ],
)
def test_counts_are_those_of_the_challenge(data: Path, task: str, items: int, groups: int) -> None:
    metadata = describe(task).metadata
    read = list(READERS[metadata["reader"]](data, metadata))
    assert len(read) == items
    assert len({item.group for item in read}) == groups
    assert len({item.identifier for item in read}) == items


def test_as_many_words_have_a_word_before_as_in_the_official_pipeline(data: Path) -> None:
    read = list(READERS["reading"](data, describe("reading").metadata))
    assert sum(len(item.options) == 2 for item in read) == 1520


@pytest.mark.parametrize(
    ("task", "train", "valid"),
    [
        ("mnli", 10000, 4908),
        ("mrpc", 3668, 204),
        ("qqp", 10000, 20215),
        ("rte", 2490, 139),
        ("wsc", 554, 52),
    ],
)
def test_glue_is_as_large_as_the_challenge_says(
    data: Path, task: str, train: int, valid: int
) -> None:
    recipe = recipe_of(task, describe(f"glue_{task}").metadata)
    assert len(read_examples(data, recipe.train, recipe)) == train
    assert len(read_examples(data, recipe.valid, recipe)) == valid


@pytest.mark.parametrize("task", ["boolq", "multirc"])
def test_two_glue_tasks_lack_their_training_data(data: Path, task: str) -> None:
    recipe = recipe_of(task, describe(f"glue_{task}").metadata)
    assert read_examples(data, recipe.valid, recipe)
    with pytest.raises(MissingDataError, match=rf"{task}\.train\.jsonl"):
        read_examples(data, recipe.train, recipe)
