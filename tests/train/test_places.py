"""What a run would replace, and the tokenizer it would export, are looked at before it starts."""

from pathlib import Path

import pytest

from pipeline.errors import SllamaError
from tests.train.conftest import Workplace
from tests.train.support import VOCAB_SIZE, params, write_tokenizer


def test_what_is_no_model_is_left_alone(workplace: Workplace, checkpoints: Path) -> None:
    mine = workplace.folder / "run" / "model"
    (mine / "another").mkdir(parents=True)
    (mine / "another" / "model.safetensors").touch()
    with pytest.raises(SllamaError, match=r"holds something else, config\.json is not in it"):
        workplace.train(params(), "run")
    assert (mine / "another" / "model.safetensors").is_file()
    assert not list(checkpoints.rglob("step-*"))


def test_a_model_is_replaced_through_a_link_too(workplace: Workplace) -> None:
    workplace.train(params(), "run")
    first = workplace.outputs("run")
    (workplace.folder / "link").mkdir()
    (workplace.folder / "link" / "model").symlink_to(workplace.folder / "run" / "model")
    workplace.train(params(seed=2), "link")
    assert workplace.outputs("run")["model/model.safetensors"] != first["model/model.safetensors"]


@pytest.mark.parametrize(("prepare", "says"), [
    (lambda folder: write_tokenizer(folder, 50), f"has 50 entries, .* made with {VOCAB_SIZE}"),
    (lambda folder: None, "no tokenizer there"),
])  # fmt: skip
def test_another_tokenizer_is_refused_before_the_first_step(
    prepare: object, says: str, workplace: Workplace, checkpoints: Path
) -> None:
    (workplace.folder / "tokenizer").unlink()
    assert callable(prepare)
    prepare(workplace.folder / "tokenizer")
    with pytest.raises(SllamaError, match=says):
        workplace.train(params(), "run")
    assert not list(checkpoints.rglob("step-*"))
