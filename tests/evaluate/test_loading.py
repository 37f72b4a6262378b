import hashlib
import json
from pathlib import Path

import pytest

from pipeline.errors import SllamaError
from pipeline.evaluate.encoding import OptionEncoder, load_tokenizer
from pipeline.evaluate.loading import describe_tokenizer, load_model
from pipeline.io import fingerprint_of, sha256_file
from tests.evaluate.toys import make_config, make_model, remove_weights

NOTHING = hashlib.sha256().hexdigest()


@pytest.fixture
def encoder(tokenizer_folder: Path) -> OptionEncoder:
    return OptionEncoder(load_tokenizer(tokenizer_folder))


def fingerprint(encoder: OptionEncoder, path: Path) -> str:
    return str(describe_tokenizer(encoder, path)["fingerprint"])


def test_the_fingerprint_of_a_tokenizer_is_that_of_its_one_file(
    encoder: OptionEncoder, tokenizer_folder: Path
) -> None:
    expected = sha256_file(tokenizer_folder / "tokenizer.json")
    assert fingerprint(encoder, tokenizer_folder) == expected
    assert fingerprint(encoder, tokenizer_folder / "tokenizer.json") == expected


@pytest.mark.parametrize(
    "names",
    [("merges.txt", "vocab.json"), ("vocab.txt",), ("tokenizer.model",), ("other.tiktoken",)],
)
def test_without_tokenizer_json_it_is_that_of_the_vocabulary(
    names: tuple[str, ...], encoder: OptionEncoder, tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).write_text(name)
    expected = fingerprint_of([tmp_path / name for name in names])
    assert fingerprint(encoder, tmp_path) == expected != NOTHING
    for name in names:
        (tmp_path / name).write_text(f"another {name}")
        assert fingerprint(encoder, tmp_path) != expected
        (tmp_path / name).write_text(name)


def test_settings_beside_the_vocabulary_do_not_count(
    encoder: OptionEncoder, tmp_path: Path
) -> None:
    (tmp_path / "tokenizer.model").write_text("vocabulary")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    assert fingerprint(encoder, tmp_path) == sha256_file(tmp_path / "tokenizer.model")


def test_a_model_without_some_of_its_weights_is_refused(tmp_path: Path) -> None:
    """transformers draws them at random: another score at each load."""
    folder = make_model(tmp_path / "model")
    remove_weights(folder, "lm_head.weight", "model.norm.weight")
    says = "does not load .its files lack the weights lm_head.weight and 1 more"
    with pytest.raises(SllamaError, match=says):
        load_model(folder, folder, make_config())


def test_a_tokenizer_with_bos_alone_gets_no_entry_more(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    for name in ("eos_token", "pad_token", "unk_token"):
        settings.pop(name)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    entries = load_tokenizer(folder).vocab_size
    assert load_model(folder, folder, make_config()).encoder.tokenizer.vocab_size == entries


def test_the_largest_id_of_a_tokenizer_counts_not_how_many_it_has(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model")
    stored = json.loads((folder / "tokenizer.json").read_text())
    last = max(stored["model"]["vocab"], key=stored["model"]["vocab"].get)
    stored["model"]["vocab"][last] = 400
    (folder / "tokenizer.json").write_text(json.dumps(stored))
    with pytest.raises(SllamaError, match="has 401 entries, the model's embedding 300"):
        load_model(folder, folder, make_config())
