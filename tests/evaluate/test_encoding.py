import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentencepiece import SentencePieceTrainer
from tokenizers import Tokenizer, models
from tokenizers.processors import BertProcessing, TemplateProcessing
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
