"""The byte-level BPE that the tokenizer stage trains."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from pipeline.errors import SllamaError
from pipeline.tokenizer.bpe import train_bpe
from tests.tokenizer.corpora import sentences

TEXTS = ["\n".join(sentences(4, seed)) for seed in range(200)]
TOKENIZER = train_bpe(TEXTS, 600)
LINES = st.lists(st.text(max_size=20), max_size=5).map("\n".join)
TEXT = st.one_of(st.text(max_size=60), LINES, st.text(" \n\ta<s>/", max_size=30))


def literal() -> Tokenizer:
    """The tokenizer as the encode stage uses it: "</s>" inside a text is text."""
    tokenizer = Tokenizer.from_str(TOKENIZER.to_str())
    tokenizer.encode_special_tokens = True
    return tokenizer


@given(TEXT)
def test_any_text_encodes_and_decodes_back(text: str) -> None:
    ids = literal().encode(text).ids
    assert ids[0] == 1
    assert not set(ids[1:]) & {0, 1, 2, 3}
    assert literal().decode(ids) == text


@given(TEXT)
def test_a_batch_gives_what_single_texts_give(text: str) -> None:
    batch = literal().encode_batch_fast([text, "Bada.", text])
    assert batch[0].ids == batch[2].ids == literal().encode(text).ids


def test_vocabulary_and_special_tokens() -> None:
    assert TOKENIZER.get_vocab_size() == 600
    assert sorted(TOKENIZER.get_vocab().values()) == list(range(600))
    assert [TOKENIZER.id_to_token(index) for index in range(4)] == ["<unk>", "<s>", "</s>", "<pad>"]


def test_bos_is_added_by_the_tokenizer_itself() -> None:
    assert TOKENIZER.encode("").ids == [1]
    plain = TOKENIZER.encode("Bada.", add_special_tokens=False).ids
    assert TOKENIZER.encode("Bada.").ids == [1, *plain]
    assert TOKENIZER.encode("Bada.", "Bada.").ids == [1, *plain, 1, *plain]


def test_a_word_is_the_same_token_wherever_it_stands() -> None:
    def ids(text: str) -> list[int]:
        return TOKENIZER.encode(text, add_special_tokens=False).ids

    word = ids("bada")
    assert ids("bada bada") == word + word
    assert ids("bada\nbada") == [*word, TOKENIZER.token_to_id("Ċ"), *word]


def test_offsets_point_into_the_text_as_given() -> None:
    text = "Bada dee\nlow tweed"
    encoding = TOKENIZER.encode(text, add_special_tokens=False)
    spans = [text[start:end].strip() for start, end in encoding.offsets]
    assert spans == [TOKENIZER.decode([index]).strip() for index in encoding.ids]
    assert encoding.offsets[0][0] == 0
    assert encoding.offsets[-1][1] == len(text)


def test_the_same_text_gives_the_same_tokenizer() -> None:
    assert train_bpe(iter(TEXTS), 600).to_str() == TOKENIZER.to_str()


def test_a_vocabulary_larger_than_the_text_allows_is_refused_with_the_number_it_allows() -> None:
    text = ["bada bada bada"]
    with pytest.raises(SllamaError, match=r"5,000 is larger than the text allows.* gives 264 ent"):
        train_bpe(text, 5_000)
    assert train_bpe(text, 264).get_vocab_size() == 264


def test_a_vocabulary_without_room_for_the_bytes_is_refused() -> None:
    with pytest.raises(SllamaError, match="259 is too small: 260 entries"):
        train_bpe(TEXTS, 259)
    assert train_bpe(TEXTS, 260).get_vocab_size() == 260


def test_an_empty_training_split_allows_only_the_bytes() -> None:
    with pytest.raises(SllamaError, match="gives 260 entries"):
        train_bpe([], 300)
