"""Scorers by name: a checkpoint behind `sllama-fast`, or a null scorer."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.config import EvaluateConfig
from pipeline.errors import SllamaError
from pipeline.evaluate.encoding import FastTokenizer, OptionEncoder, Tokenizer, load_tokenizer
from pipeline.evaluate.heldout import heldout_documents
from pipeline.evaluate.null import BigramScorer, NullScorer, UniformScorer, UnigramScorer
from pipeline.io import fingerprint_of, model_fingerprint, read_json

_VOCABULARY_FILES = ("vocab.*", "merges.txt", "*.model")


def load_model(folder: Path, tokenizer: Path, config: EvaluateConfig) -> Any:
    """Return the FastScorer of a Hugging Face folder; SllamaError if it does not load."""
    if not (folder / "config.json").is_file():
        raise SllamaError(f"{folder}: no config.json there; name the folder of a checkpoint")
    import torch
    import transformers

    from pipeline.evaluate.scorer import FastScorer

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    loaded = load_tokenizer(tokenizer)
    if not isinstance(loaded, FastTokenizer):
        raise SllamaError(f"{tokenizer}: a model needs a Hugging Face tokenizer, not a .model file")
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise SllamaError("evaluate.device: cuda, but torch sees no GPU; use auto or cpu")
    special = (
        loaded.tokenizer.pad_token_id,
        loaded.tokenizer.unk_token,
        loaded.tokenizer.eos_token,
    )
    if special == (None, None, None):
        # lm-eval would add an entry to pad with.
        loaded.tokenizer.pad_token_id = loaded.prefix_token
    try:
        scorer = FastScorer(
            str(folder),
            tokenizer=loaded.tokenizer,
            device=device,
            dtype=config.dtype,
            trust_remote_code=True,
            max_batch_tokens=config.max_batch_tokens,
            is_greedy=False,
        )
    except Exception as error:  # configuration and code of the folder may raise anything
        raise SllamaError(f"{folder}: the model does not load ({error})") from error
    if scorer.max_length < 1:
        raise SllamaError(f"{folder}: its context, {scorer.max_length} tokens, holds no text")
    largest = len(scorer.model.get_input_embeddings().weight)
    entries = max(loaded.vocab_size, 1 + max(loaded.tokenizer.get_vocab().values()))
    if entries > largest:
        raise SllamaError(
            f"{tokenizer} has {entries} entries, the model's embedding {largest}: "
            "they do not belong together"
        )
    return scorer


def load_null(name: str, encoder: OptionEncoder, tokens: Path | None) -> NullScorer:
    """Return a null scorer; those with counts read the training tokens in the folder `tokens`.

    Raises SllamaError if the tokens are missing or come from another tokenizer.
    """
    if name == "uniform":
        return UniformScorer(encoder)
    counted = {"unigram": UnigramScorer, "bigram": BigramScorer}
    if name not in counted:
        raise SllamaError(f"no scorer {name}; there are uniform, {', '.join(counted)}")
    return counted[name](encoder, _training_tokens(name, encoder, tokens))


def _training_tokens(
    name: str, encoder: OptionEncoder, folder: Path | None
) -> npt.NDArray[np.unsignedinteger[Any]]:
    if folder is None or not (folder / "train.safetensors").is_file():
        raise SllamaError(
            f"{name} needs the training tokens (--tokens, a folder of the encode stage)"
        )
    described = read_json(folder / "tokens.json")
    entries = described.get("vocab_size") if isinstance(described, dict) else None
    if entries != encoder.tokenizer.vocab_size:
        raise SllamaError(
            f"{folder} was encoded with {entries} entries, the tokenizer has "
            f"{encoder.tokenizer.vocab_size}: they do not belong together"
        )
    path = folder / "train.safetensors"
    tokens = _read_split(path, "tokens")
    if tokens.ndim != 1 or tokens.size == 0 or int(tokens.max()) >= encoder.tokenizer.vocab_size:
        raise SllamaError(f"{path}: tokens beyond the vocabulary; run the encode stage again")
    _require_its_tokenizer(encoder.tokenizer, folder)
    return tokens


def _require_its_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Raise SllamaError if the first held-out document has other tokens by this tokenizer."""
    path = folder / "test.safetensors"
    if not path.is_file():
        return
    first, last = _read_split(path, "document_starts")[:2]
    held_out = _read_split(path, "tokens")[first + 1 : last - 1]  # without BOS and EOS
    if tokenizer.encode_plain([heldout_documents(folder)[0].text])[0] != held_out.tolist():
        raise SllamaError(
            f"{folder} was encoded by another tokenizer: name the tokens of the model's own corpus"
        )


def _read_split(path: Path, name: str) -> npt.NDArray[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as stored:
            values: npt.NDArray[Any] = stored.get_tensor(name)
    except SafetensorError as error:
        raise SllamaError(
            f"{path}: not a split of tokens ({error}); run the encode stage"
        ) from error
    return values


def describe_model(scorer: Any, folder: Path | None) -> dict[str, Any] | None:
    """Return fingerprint (SHA-256 of configuration and weights) and parameters of a model.

    And `looks_ahead`, of a model that does.
    """
    if folder is None:
        return None
    described: dict[str, Any] = {
        "fingerprint": model_fingerprint(folder),
        "parameters": sum(parameter.numel() for parameter in scorer.model.parameters()),
        "context": scorer.max_length,
    }
    if scorer.looks_ahead:
        described["looks_ahead"] = True
    return described


def describe_tokenizer(encoder: OptionEncoder, path: Path) -> dict[str, Any]:
    """Return fingerprint (SHA-256 of its files) and size of a tokenizer."""
    return {
        "fingerprint": fingerprint_of(_tokenizer_files(path)),
        "vocab_size": encoder.tokenizer.vocab_size,
    }


def _tokenizer_files(path: Path) -> list[Path]:
    """Return the file that says all, or those with the vocabulary, or else what the folder has."""
    for file in (path, path / "tokenizer.json"):
        if file.is_file():
            return [file]
    vocabulary = {file for pattern in _VOCABULARY_FILES for file in path.glob(pattern)}
    return sorted(vocabulary or (file for file in path.iterdir() if file.is_file()))
