"""What the tokenizer stage does: from the recipe to a folder that AutoTokenizer loads."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.config import EncodeConfig, TokenizerConfig
from pipeline.data.corpus import Document, iter_documents, split_of
from pipeline.errors import SllamaError
from pipeline.progress import track
from pipeline.tokenizer.bpe import SPECIAL_TOKENS, train_bpe
from pipeline.tokenizer.folder import write_folder
from pipeline.tokenizer.pretrained import load_pretrained

_LONG_WORD = 20_000
_log = logging.getLogger(__name__)


def build(config: TokenizerConfig, encode: EncodeConfig, raw: Path, out: Path) -> None:
    """Write the tokenizer that `config` asks for into the folder `out`.

    Only the training split of the corpus in `raw` is used: to train on, or to check that a
    converted SentencePiece tokenizer gives SentencePiece's ids. The same text gives the same bytes.
    SllamaError if the text allows no vocabulary of that size, or there is no such tokenizer.
    """
    documents = _training_documents(encode, raw)
    if config.source == "pretrained" and config.name is not None:
        tokenizer, special = load_pretrained(config.name, documents)
    elif config.vocab_size is not None:
        documents = track(documents, description="read", unit="doc")
        tokenizer, special = train_bpe(_texts(documents), config.vocab_size), SPECIAL_TOKENS
    else:
        raise SllamaError("tokenizer: vocab_size or name is missing")
    write_folder(tokenizer, special, out)
    _log.info("%s entries in %s", f"{tokenizer.get_vocab_size():,}", out)


def _texts(documents: Iterable[Document]) -> Iterator[str]:
    """Yield the documents' texts; the first that will take long is warned of."""
    warned = False
    for document in documents:
        longest = max(map(len, document.text.split()), default=0)
        if longest > _LONG_WORD and not warned:
            warned = True
            _log.warning(
                "%s: %s characters without a space between them; the trainer's time grows with the "
                "square of that: break such text into lines, or take tokenizer.source: pretrained",
                document.source,
                f"{longest:,}",
            )
        yield document.text


def _training_documents(encode: EncodeConfig, raw: Path) -> Iterator[Document]:
    for document in iter_documents(raw, encode.max_document_words):
        if split_of(document.text, encode) == "train":
            yield document
