"""The tokenizer stage, end to end: the folder it writes is loaded by transformers."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from pipeline import tokenizer
from pipeline.config import TokenizerConfig
from pipeline.data.corpus import iter_documents, split_of
from pipeline.errors import SllamaError
from tests.tokenizer.corpora import ENCODE, write_corpus

TRAIN = TokenizerConfig(source="train", vocab_size=500, name=None)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("raw"))


@pytest.fixture(scope="module")
def folder(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tokenizer")
    tokenizer.build(TRAIN, ENCODE, raw, out)
    return out


def pretrained(name: Path) -> TokenizerConfig:
    return TokenizerConfig(source="pretrained", vocab_size=None, name=str(name))


def test_auto_tokenizer_loads_the_folder_as_a_fast_tokenizer(folder: Path) -> None:
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(folder)
    assert loaded.is_fast
    assert len(loaded) == 500
    specials = (loaded.unk_token_id, loaded.bos_token_id, loaded.eos_token_id, loaded.pad_token_id)
    assert specials == (0, 1, 2, 3)
    text = "Bada dee .\n  low bada ! "
    own = Tokenizer.from_file(str(folder / "tokenizer.json"))
    encoded = loaded(text, return_offsets_mapping=True)
    assert encoded["input_ids"] == own.encode(text).ids
    assert set(encoded) == {"input_ids", "attention_mask", "offset_mapping"}
    assert loaded.decode(encoded["input_ids"], skip_special_tokens=True) == text
    assert loaded(["bada", "bada dee low"], padding=True)["input_ids"][0][-1] == 3


def test_saving_by_transformers_keeps_the_ids(folder: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(folder)
    loaded.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again("Bada dee.").input_ids == loaded("Bada dee.").input_ids


def test_the_class_is_one_that_both_versions_of_transformers_know(folder: Path) -> None:
    config = (folder / "tokenizer_config.json").read_text()
    assert '"tokenizer_class": "PreTrainedTokenizerFast"' in config


def test_the_same_corpus_gives_the_same_bytes(raw: Path, folder: Path, tmp_path: Path) -> None:
    tokenizer.build(TRAIN, ENCODE, raw, tmp_path)
    for path in sorted(folder.iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_held_out_text_does_not_shape_the_vocabulary(
    raw: Path, folder: Path, tmp_path: Path
) -> None:
    for source in ("books", "speech"):
        kept = [
            text
            for name, text in iter_documents(raw, ENCODE.max_document_words)
            if name == source and split_of(text, ENCODE) == "train"
        ]
        (tmp_path / f"{source}.txt").write_text("\n\n".join(kept), encoding="utf-8")
    tokenizer.build(TRAIN, ENCODE, tmp_path, tmp_path / "out")
    assert (tmp_path / "out/tokenizer.json").read_bytes() == (
        folder / "tokenizer.json"
    ).read_bytes()


def test_a_vocabulary_larger_than_the_text_allows_is_refused(raw: Path, tmp_path: Path) -> None:
    config = TokenizerConfig(source="train", vocab_size=60_000, name=None)
    with pytest.raises(SllamaError, match="larger than the text allows"):
        tokenizer.build(config, ENCODE, raw, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_text_without_a_space_that_takes_long_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = write_corpus(tmp_path / "raw")
    tokenizer.build(TRAIN, ENCODE, raw, tmp_path / "out")
    assert "without a space" not in caplog.text
    monkeypatch.setattr("pipeline.tokenizer.builder._LONG_WORD", 5)
    tokenizer.build(TRAIN, ENCODE, raw, tmp_path / "out")
    (said,) = [message for message in caplog.messages if "without a space" in message]
    assert "characters without a space between them" in said


@pytest.mark.parametrize("name", ["", "tokenizer.json"])
def test_a_built_tokenizer_can_be_taken_as_a_pretrained_one(
    raw: Path, folder: Path, tmp_path: Path, name: str
) -> None:
    tokenizer.build(pretrained(folder / name), ENCODE, raw, tmp_path)
    for path in sorted(folder.iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
