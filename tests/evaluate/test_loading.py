import hashlib
from pathlib import Path

import pytest

from pipeline.evaluate.encoding import OptionEncoder, load_tokenizer
from pipeline.evaluate.loading import describe_tokenizer
from pipeline.io import fingerprint_of, sha256_file

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
