"""A tokenizer folder as the encode stage needs it."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from pipeline.encode.vocabulary import Vocabulary
from pipeline.errors import SllamaError
from pipeline.tokenizer.folder import SpecialTokens, add_bos, write_folder


def write_words(folder: Path, entries: int, bos: bool = True) -> Path:
    """A tokenizer of whole words w4, w5, ... that has `entries` entries."""
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2, "<pad>": 3}
    vocabulary |= {f"w{index}": index for index in range(4, entries)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if bos:
        add_bos(tokenizer, "<s>")
    write_folder(tokenizer, SpecialTokens("<s>", "</s>", "<unk>", "<pad>"), folder)
    return folder


@pytest.mark.parametrize(("entries", "dtype"), [(65_536, "uint16"), (65_537, "uint32")])
def test_the_last_id_of_a_vocabulary_fits(tmp_path: Path, entries: int, dtype: str) -> None:
    vocabulary = Vocabulary.load(write_words(tmp_path, entries))
    tokens = vocabulary.encode([f"w4 w{entries - 1}", ""])
    assert [array.dtype.name for array in tokens] == [dtype, dtype]
    np.testing.assert_array_equal(tokens[0], [1, 4, entries - 1, 2])
    np.testing.assert_array_equal(tokens[1], [1, 2])
    described = vocabulary.describe()
    assert (described["vocab_size"], described["dtype"]) == (entries, dtype)


def test_special_tokens_inside_a_text_are_text(tmp_path: Path) -> None:
    folder = write_words(tmp_path, 10)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens(["</s>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    assert tokenizer.encode("w4</s>w5").ids == [1, 4, 2, 5]
    tokens = Vocabulary.load(folder).encode(["w4</s>w5"])
    np.testing.assert_array_equal(tokens[0], [1, 0, 2])


def test_a_tokenizer_without_bos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SllamaError, match="adds BOS and knows EOS"):
        Vocabulary.load(write_words(tmp_path, 10, bos=False))


def test_a_tokenizer_without_a_pad_token_is_refused(tmp_path: Path) -> None:
    path = write_words(tmp_path, 10) / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pad_token": None}))
    with pytest.raises(SllamaError, match="knows EOS and padding"):
        Vocabulary.load(tmp_path)


def test_what_is_no_tokenizer_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SllamaError, match=r"tokenizer_config\.json: no such file"):
        Vocabulary.load(tmp_path)
    (write_words(tmp_path, 10) / "tokenizer.json").write_text("{}")
    with pytest.raises(SllamaError, match=r"not a tokenizer\.json"):
        Vocabulary.load(tmp_path)
