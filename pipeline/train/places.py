"""What a run reads and writes: checked before its first step."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from tokenizers import Tokenizer

from pipeline.data.tokens import tokens_fingerprint
from pipeline.errors import SllamaError
from pipeline.io import read_json, replaceable_folder, sha256_file

_TOKENIZER = "tokenizer.json"
_CONFIG = "config.json"
_MODEL_TYPE = "sllama"


@dataclass(frozen=True)
class Places:
    """Where a run's things are.

    tokens, tokenizer: folders of the encode and tokenizer stages. model: a complete model folder,
    with word-counted checkpoints below `checkpoints/` if the recipe asks for them. metrics (JSON)
    and history (TSV): files that depend on recipe, data and machine type alone.
    """

    tokens: Path
    tokenizer: Path
    model: Path
    metrics: Path
    history: Path


def require_outputs(places: Places) -> None:
    """SllamaError unless all that a run writes can be written, and each at a place of its own.

    A model that lies at `model` may be replaced, anything else not. Nothing is written here.
    """
    outputs = {
        "model": _model_to_replace(places.model),
        "metrics": _file_to_replace(places.metrics),
        "history": _file_to_replace(places.history),
    }
    for path in outputs.values():
        _require_writable(path)
    for (one, path), (other, above) in permutations(outputs.items(), 2):
        if path.is_relative_to(above):
            raise SllamaError(
                f"--{one} {path} and --{other} {above}: one would take the place of the other; "
                "name another"
            )


def require_tokenizer_of(facts: Mapping[str, Any], tokenizer: Path) -> None:
    """SllamaError unless the folder has the tokenizer that made the tokens; facts: tokens.json.

    A model would be exported with it, and scored with it, whatever it makes of a text.
    """
    path = tokenizer / _TOKENIZER
    try:
        entries = max(Tokenizer.from_file(str(path)).get_vocab().values()) + 1
    except Exception as error:  # tokenizers raises nothing more specific
        raise SllamaError(
            f"{path}: no tokenizer there ({error}); see --tokenizer, or run the tokenizer stage"
        ) from error
    # Both count up to the largest id: there may be gaps below it.
    if entries != facts["vocab_size"]:
        raise SllamaError(
            f"{path} has {entries} entries, the tokens were made with {facts['vocab_size']}: "
            "they do not belong together; see --tokenizer, or run the encode stage again"
        )
    if tokens_fingerprint(facts["splits"], sha256_file(path)) != facts["fingerprint"]:
        raise SllamaError(
            f"{path} is not the tokenizer that made the tokens; see --tokenizer, or run the encode "
            "stage again"
        )


def _model_to_replace(folder: Path) -> Path:
    whole = replaceable_folder(folder, _CONFIG)
    if (whole / _CONFIG).exists() and not _is_of_a_model(whole / _CONFIG):
        raise SllamaError(
            f"{folder}: holds something else, its {_CONFIG} is not that of an SLlama model; "
            "name another"
        )
    return whole


def _file_to_replace(file: Path) -> Path:
    if file.is_dir():
        raise SllamaError(f"{file}: in the way; the output is a file")
    # Unlike a model's, a link is itself what gets replaced.
    return file.parent.resolve() / file.name


def _is_of_a_model(config: Path) -> bool:
    try:
        described = read_json(config)
    except SllamaError:
        return False
    return isinstance(described, dict) and described.get("model_type") == _MODEL_TYPE


def _require_writable(path: Path) -> None:
    """SllamaError unless `path`, and what is missing of the folders above it, can be made."""
    try:
        nearest = next(folder for folder in path.parents if folder.exists())
        # Neither its owner nor its mode tells: root may do all, but not on a read-only file system.
        with TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise SllamaError(f"{path}: cannot be written ({error.strerror}); name another") from error
