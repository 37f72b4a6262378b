import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentencepiece import SentencePieceTrainer
from tokenizers import Tokenizer, models
from tokenizers.normalizers import NFC
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import BertProcessing, ByteLevel, TemplateProcessing
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from pipeline.encode.vocabulary import Vocabulary
from pipeline.errors import SllamaError
from pipeline.evaluate.encoding import FastTokenizer, OptionEncoder, SentencePieceTokenizer
from pipeline.evaluate.null import UnigramScorer

OPTIONS = [
    ("The cats", " annoy Tim."),
    ("The cats ", "annoys Tim."),
    ("Naïve café — 你好", " 🙂."),
    (" ", "A dog."),
    ("", "These dogs are loud."),
]
BEGIN, END = ("<s>", 0), ("</s>", 1)
TEMPLATES = {
    "bos": TemplateProcessing(single="<s> $A", special_tokens=[BEGIN]),
    "bos_eos": TemplateProcessing(single="<s> $A </s>", special_tokens=[BEGIN, END]),
    "bos_eos_eos": TemplateProcessing(single="<s> $A </s> </s>", special_tokens=[BEGIN, END]),
    "cls_sep": BertProcessing(END, BEGIN),
}


def sentencepiece_model(folder: Path, **special: int) -> Path:
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(["the dog sees the cat", "a cat runs"] * 20),
        model_writer=model,
        model_type="bpe",
        vocab_size=40,
        minloglevel=2,
        **special,
    )
    path = folder / "tokenizer.model"
    path.write_bytes(model.getvalue())
    return path


def tokenizer_with(folder: Path, template: str) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.post_processor = TEMPLATES[template]
    return tokenizer


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_is_scored_is_what_the_challenge_scores(template: str, tokenizer_folder: Path) -> None:
    """The tokens whose text ends behind the context; a special token has no text."""
    tokenizer = tokenizer_with(tokenizer_folder, template)
    rows = OptionEncoder(FastTokenizer(tokenizer)).encode(OPTIONS)
    for (context, continuation), row in zip(OPTIONS, rows, strict=True):
        whole = tokenizer(context + continuation, return_offsets_mapping=True)
        pieces = zip(whole["input_ids"], whole["offset_mapping"], strict=True)
        ids = [token for token, (_, end) in pieces if end > len(context.rstrip())]
        assert row.scored == ids
        assert row.tokens == whole["input_ids"][: len(row.tokens)]


@pytest.mark.parametrize(("special", "prefix"), [({"bos_id": 1}, 1), ({"bos_id": -1}, 2)])
def test_a_sentencepiece_model_without_bos_begins_with_eos(
    special: dict[str, int], prefix: int, tmp_path: Path
) -> None:
    path = sentencepiece_model(tmp_path, eos_id=2, **special)
    tokenizer = SentencePieceTokenizer(path)
    assert tokenizer.prefix_token == prefix
    (row,) = OptionEncoder(tokenizer).encode([("", "the dog sees")])
    assert row.tokens == [prefix, *row.scored]
    assert "".join(tokenizer._processor.id_to_piece(row.scored)) == "▁the▁dog▁sees"


def test_a_sentencepiece_model_without_bos_and_eos_is_refused(tmp_path: Path) -> None:
    path = sentencepiece_model(tmp_path, bos_id=-1, eos_id=-1)
    with pytest.raises(SllamaError, match=r"tokenizer\.model: .* neither BOS nor EOS"):
        SentencePieceTokenizer(path)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_context_of_spaces_alone_hides_no_token(template: str, tokenizer_folder: Path) -> None:
    encoder = OptionEncoder(FastTokenizer(tokenizer_with(tokenizer_folder, template)))
    (alone,) = encoder.encode([(" ", "A dog.")])
    (bare,) = encoder.encode([("", " A dog.")])
    assert alone == bare


def test_what_stands_behind_a_text_changes_no_null_score(tokenizer_folder: Path) -> None:
    scores = {}
    for template in TEMPLATES:
        encoder = OptionEncoder(FastTokenizer(tokenizer_with(tokenizer_folder, template)))
        scorer = UnigramScorer(encoder, np.arange(4, 300, dtype=np.uint16))
        scores[template] = scorer.score_encoded(encoder.encode(OPTIONS))
    assert len({tuple(row) for row in scores.values()}) == 1


@pytest.mark.parametrize(("context", "continuation"), [("The cat", "s"), ("The cats", "")])
def test_a_continuation_without_a_token_of_its_own_is_refused(
    context: str, continuation: str, tokenizer_folder: Path
) -> None:
    encoder = OptionEncoder(FastTokenizer(AutoTokenizer.from_pretrained(tokenizer_folder)))
    (whole,) = encoder.encode([("", "The cats")])
    assert len(whole.scored) == 2
    with pytest.raises(SllamaError, match="1 of 2 continuations have no token of their own"):
        encoder.encode([(context, " annoy Tim."), (context, continuation)])


def test_a_text_of_unknown_characters_alone_is_refused() -> None:
    """Without an entry for what it does not know, BPE drops it: no token, a score of 0."""
    begin = "<s>"
    letters = Tokenizer(models.BPE(vocab={begin: 0, "a": 1, "b": 2}, merges=[]))
    encoder = OptionEncoder(
        FastTokenizer(PreTrainedTokenizerFast(tokenizer_object=letters, bos_token=begin))
    )
    assert [row.scored for row in encoder.encode([("", "ab"), ("", "aя")])] == [[1, 2], [1]]
    with pytest.raises(SllamaError, match=r"1 of 2 continuations .* does not know"):
        encoder.encode([("", "ab"), ("", "яя")])


@pytest.mark.parametrize("text", ["<s>A dog</s> likes <unk>.", "A <pad> dog.", "A dog."])
def test_a_document_has_the_tokens_of_the_encode_stage(text: str, tokenizer_folder: Path) -> None:
    """The name of a special token in a text is text, in training and in scoring."""
    encoder = OptionEncoder(FastTokenizer(AutoTokenizer.from_pretrained(tokenizer_folder)))
    (row,) = encoder.encode_documents([text])
    (trained,) = Vocabulary.load(tokenizer_folder).encode([text])
    assert row.tokens == trained[:-1].tolist()
    (benchmark,) = encoder.encode([("", "A dog</s>")])
    assert benchmark.tokens[-1] == 1  # as lm-eval reads it


LETTERS = {"<s>": 0, "a": 1, "b": 2, "<unk>": 3}


def letters(unk: str | None, **parts: Any) -> FastTokenizer:
    """A tokenizer that knows two letters; `unk`: what it makes of others, None: nothing."""
    backend = Tokenizer(models.BPE(vocab=LETTERS, merges=[], unk_token=unk))
    for name, part in parts.items():
        setattr(backend, name, part)
    named = {"bos_token": "<s>", "unk_token": "<unk>"}
    return FastTokenizer(PreTrainedTokenizerFast(tokenizer_object=backend, **named))


@pytest.mark.parametrize("unk", [None, "<unk>"])
def test_bytes_of_characters_that_a_tokenizer_drops_or_does_not_know_are_counted(
    unk: str | None,
) -> None:
    assert letters(unk).unread_bytes(["aя", "", "ab", "c a<s>"]) == 2 + 2 + 3
    # A mark that is dropped is not told from one in the token of its letter.
    assert letters(unk, normalizer=NFC()).unread_bytes(["ab\u0301"]) == (2 if unk else 0)
    spaces = letters(unk, pre_tokenizer=Whitespace())
    assert spaces.unread_bytes(["a b  a"]) == 3


def test_a_tokenizer_of_bytes_reads_every_character(tokenizer_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    # As RoBERTa's: the place of a token is told without the space before it.
    tokenizer.backend_tokenizer.post_processor = ByteLevel(
        add_prefix_space=False, trim_offsets=True
    )
    reader = FastTokenizer(tokenizer)
    texts = ["Naïve  cafés —\n\n 你好 🙂. ", "A dog</s>"]
    assert reader.unread_bytes(texts) == 0
    (row,) = tokenizer.backend_tokenizer.encode_batch([" dog"])
    assert row.offsets[0][0] == 1


def test_bytes_that_sentencepiece_does_not_know_are_counted(tmp_path: Path) -> None:
    tokenizer = SentencePieceTokenizer(sentencepiece_model(tmp_path))
    assert tokenizer.unread_bytes(["the dog", "a cat я🙂 runs"]) == 2 + 4
