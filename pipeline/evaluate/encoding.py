"""Text to tokens for scoring: contexts and continuations, whatever the tokenizer."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from unicodedata import combining

from pipeline.errors import SllamaError
from pipeline.evaluate.items import Option

_NO_PREFIX = "the tokenizer has neither BOS nor EOS; add one to it"


@dataclass(frozen=True)
class Encoded:
    """Token ids: `tokens[start:]` are scored, each given all tokens before it; start >= 1."""

    tokens: list[int]
    start: int

    @property
    def scored(self) -> list[int]:
        """The tokens that are scored."""
        return self.tokens[self.start :]


class Tokenizer(Protocol):
    """What scoring needs of a tokenizer."""

    vocab_size: int
    prefix_token: int
    """Stands before a text that has no context: BOS, or EOS where there is no BOS."""

    def encode(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        """Return the token ids of each text; `special`: after what the tokenizer puts before it.

        What it puts behind a text (EOS, SEP) would be scored, or hide a continuation's first token,
        so it is left out.
        """

    def encode_plain(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, in which the name of a special token is text."""

    def unread_bytes(self, texts: Sequence[str]) -> int:
        """Return the UTF-8 bytes of characters that no token stands for, or only an unknown one.

        They cost nothing, or all of them the same.
        """


class FastTokenizer:
    """A Hugging Face tokenizer of the fast kind (with a `tokenizers` backend)."""

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise SllamaError("the tokenizer is not a fast one; save it as tokenizer.json")
        self.tokenizer = tokenizer
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self.vocab_size = len(tokenizer)
        prefix = tokenizer.bos_token_id
        self.prefix_token = tokenizer.eos_token_id if prefix is None else prefix
        if self.prefix_token is None:
            raise SllamaError(_NO_PREFIX)

    def encode(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        """Return the token ids of each text."""
        encoded = self._backend.encode_batch_fast(list(texts), add_special_tokens=special)
        behind = _tokens_behind(encoded) if special else 0
        return [row.ids[: len(row.ids) - behind] if behind else row.ids for row in encoded]

    def encode_plain(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, as the encode stage makes them of a document."""
        before, self._backend.encode_special_tokens = self._backend.encode_special_tokens, True
        try:
            return self.encode(texts, special=False)
        finally:
            self._backend.encode_special_tokens = before

    def unread_bytes(self, texts: Sequence[str]) -> int:
        """Return the UTF-8 bytes of characters that no token stands for, or only an unknown one."""
        backend = self._backend
        before = backend.post_processor, backend.encode_special_tokens
        # A post-processor may take off a token's place what the token stands for: spaces.
        backend.post_processor, backend.encode_special_tokens = None, True
        try:
            encoded = backend.encode_batch(list(texts), add_special_tokens=False)
        finally:
            backend.post_processor, backend.encode_special_tokens = before
        unknown = self.tokenizer.unk_token_id
        return sum(_unread_bytes(*pair, unknown) for pair in zip(texts, encoded, strict=True))


def _unread_bytes(text: str, encoded: Any, unknown: int | None) -> int:
    # A mark may be in the token of the letter before it, whose place is the letter's alone.
    read = bytearray(combining(character) > 0 for character in text)
    for token, (first, last) in zip(encoded.ids, encoded.offsets, strict=True):
        read[first:last] = bytes([token != unknown]) * (last - first)
    return len("".join(c for c, seen in zip(text, read, strict=True) if not seen).encode())


def _tokens_behind(encoded: Sequence[Any]) -> int:
    """Return how many special tokens stand behind each text, as the first with other tokens has."""
    backwards = (row.special_tokens_mask[::-1] for row in encoded)
    return next((special.index(0) for special in backwards if 0 in special), 0)


class SentencePieceTokenizer:
    """A SentencePiece model file, read by SentencePiece itself."""

    def __init__(self, path: Path) -> None:
        import sentencepiece

        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            raise SllamaError(f"{path}: not a SentencePiece model ({error})") from error
        self.vocab_size = int(self._processor.vocab_size())
        # One that the model has not is -1.
        bos, eos = int(self._processor.bos_id()), int(self._processor.eos_id())
        self._has_bos = bos >= 0
        self.prefix_token = bos if self._has_bos else eos
        if self.prefix_token < 0:
            raise SllamaError(f"{path}: {_NO_PREFIX}")

    def encode(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        """Return the token ids of each text, BOS, if there is one, first if `special`."""
        add_bos = special and self._has_bos
        ids: list[list[int]] = self._processor.encode(list(texts), add_bos=add_bos)
        return ids

    def encode_plain(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text; SentencePiece knows no names of special tokens."""
        return self.encode(texts, special=False)

    def unread_bytes(self, texts: Sequence[str]) -> int:
        """Return the UTF-8 bytes of characters that only an unknown token stands for."""
        unknown = self._processor.unk_id()
        encoded = self._processor.encode(list(texts), return_type="proto")
        pieces = (piece for row in encoded for piece in row.pieces if piece.id == unknown)
        return sum(len(piece.surface.encode()) for piece in pieces)


def load_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer in a folder, or of a tokenizer.json or SentencePiece .model file.

    Raises SllamaError if there is none.
    """
    if not path.exists():
        raise SllamaError(
            f"{path}: no such tokenizer; name a folder, tokenizer.json or .model file"
        )
    if path.suffix == ".model":
        return SentencePieceTokenizer(path)
    import transformers
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    transformers.utils.logging.set_verbosity(logging.ERROR)
    try:
        if path.is_file():
            return FastTokenizer(_with_named_specials(PreTrainedTokenizerFast, path))
        # A folder that the user named; without consent transformers would stop and ask.
        return FastTokenizer(
            AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=True)
        )
    except SllamaError:
        raise
    except Exception as error:  # tokenizers raises nothing more specific
        raise SllamaError(f"{path}: not a tokenizer ({error})") from error


def _with_named_specials(tokenizer_class: Any, path: Path) -> Any:
    tokenizer = tokenizer_class(tokenizer_file=str(path))
    vocabulary = tokenizer.get_vocab()
    for attribute, names in {
        "bos_token": ("<s>", "<|endoftext|>", "[CLS]"),
        "eos_token": ("</s>", "<|endoftext|>", "[SEP]"),
    }.items():
        name = next((name for name in names if name in vocabulary), None)
        if getattr(tokenizer, attribute) is None and name is not None:
            setattr(tokenizer, attribute, name)
    return tokenizer


class OptionEncoder:
    """Encodes (context, continuation) pairs as lm-eval does, in a few batches.

    Without a context the prefix token stands before the continuation. With one, its trailing
    spaces go to the continuation, the whole text is encoded, and the continuation's tokens are
    those beyond the context's own. The last answer is kept, since a model and the null scorers
    beside it ask for the same pairs.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._last: tuple[list[Option], list[Encoded]] = ([], [])

    def encode(self, options: Sequence[Option]) -> list[Encoded]:
        """Return the encoded options, in order.

        SllamaError: a continuation has no token of its own.
        """
        asked = list(options)
        if asked != self._last[0]:
            self._last = (asked, _encode_options(self.tokenizer, asked))
        return self._last[1]

    def encode_documents(self, texts: Sequence[str]) -> list[Encoded]:
        """Return each text, whole and as plain text, after the prefix token."""
        prefix = self.tokenizer.prefix_token
        return [Encoded([prefix, *row], 1) for row in self.tokenizer.encode_plain(texts)]


def _encode_options(tokenizer: Tokenizer, options: list[Option]) -> list[Encoded]:
    unique = list(dict.fromkeys(options))
    free = [option for option in unique if not option[0]]
    bound = [option for option in unique if option[0]]
    encoded = dict(zip(free, _encode_free(tokenizer, free), strict=True))
    moved = [_move_spaces(option) for option in bound]
    encoded.update(zip(bound, _encode_bound(tokenizer, moved), strict=True))
    return [encoded[option] for option in options]


def _encode_free(tokenizer: Tokenizer, options: list[Option]) -> list[Encoded]:
    ids = tokenizer.encode([continuation for _, continuation in options], special=False)
    prefix = tokenizer.prefix_token
    encoded = [Encoded(row if row[:1] == [prefix] else [prefix, *row], 1) for row in ids]
    _require_tokens(encoded, "they are empty, or of characters that this tokenizer does not know")
    return encoded


def _encode_bound(tokenizer: Tokenizer, options: list[Option]) -> list[Encoded]:
    contexts = list(dict.fromkeys(context for context, _ in options))
    wholes = [context + rest for context, rest in options]
    # At once: an empty context does not tell how many special tokens stand behind it.
    ids = tokenizer.encode([*contexts, *wholes], special=True)
    lengths = {context: len(row) for context, row in zip(contexts, ids, strict=False)}
    encoded = [
        Encoded(row, max(1, lengths[context]))
        for row, (context, _) in zip(ids[len(contexts) :], options, strict=True)
    ]
    _require_tokens(
        encoded,
        "they are empty, or this tokenizer joins them to their context; begin them with a space",
    )
    return encoded


def _require_tokens(encoded: list[Encoded], why: str) -> None:
    # The sum over no tokens, zero, would win over every other text.
    if unscored := sum(not row.scored for row in encoded):
        raise SllamaError(
            f"{unscored} of {len(encoded)} continuations have no token of their own: {why}"
        )


def _move_spaces(option: Option) -> Option:
    context, continuation = option
    kept = context.rstrip()
    return kept, context[len(kept) :] + continuation
