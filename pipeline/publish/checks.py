"""What has to hold before anything is published: no pickle, no secret, and it reloads."""

import ast
import importlib.util
import json
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.errors import SllamaError
from pipeline.progress import secrets_in
from pipeline.publish.plan import CARD, PublishedFile, Revision

_log = logging.getLogger(__name__)

_REQUIRED = ("config.json", "tokenizer.json", CARD)
_HEADER_LENGTH_BYTES = 8
_LARGEST_HEADER = 100_000_000
_PROBE_TOKENS = 16


def check_files(revision: Revision) -> None:
    """Raise SllamaError unless each file is of a kind that is safe to load, and without secrets.

    Kinds: JSON, Python source, Markdown, safetensors. Every other file is refused, pickles among
    them, and so is a file that only has the name of its kind.
    """
    names = {file.path for file in revision.files}
    missing = [name for name in _REQUIRED if name not in names]
    if not any(name.endswith(".safetensors") for name in names):
        missing.append("model.safetensors")
    if missing:
        raise SllamaError(f"{revision.folder}: lacks {', '.join(missing)}; not a model folder")
    for file in revision.files:
        check = _KINDS.get(Path(file.path).suffix)
        if check is None:
            raise SllamaError(
                f"{file.source}: not JSON, Python, Markdown or safetensors (pickles are never "
                "published); take it away"
            )
        check(file)


def check_reload(revision: Revision) -> None:
    """Raise SllamaError unless the files, copied elsewhere, load to the very same logits.

    Every weight has to come from the files, none from an initialiser. Without torch and
    transformers this is left out, with a warning.
    """
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
        _log.warning("%s: not reloaded, torch and transformers are not here", revision.name)
        return
    with tempfile.TemporaryDirectory(prefix="sllama-publish-") as name:
        # A folder's name becomes part of a module's: letters only.
        copy = Path(name) / "published"
        copy.mkdir()
        for file in revision.files:
            shutil.copyfile(file.source, copy / file.path)
        here, there = _logits(revision.folder), _logits(copy)
    if here != there:
        raise SllamaError(
            f"{revision.folder}: two loads of {revision.name} give different logits; its weights "
            "are not all in its files"
        )


def _logits(folder: Path) -> list[Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=True, local_files_only=True
        )
        auto: Any = AutoModelForCausalLM
        loaded = auto.from_pretrained(
            folder, trust_remote_code=True, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError) as error:
        raise SllamaError(f"{folder}: does not load ({' '.join(str(error).split())})") from error
    model, found = loaded
    kinds = ("missing_keys", "unexpected_keys", "mismatched_keys")
    if wrong := sorted(str(key) for kind in kinds for key in found[kind]):
        raise SllamaError(f"{folder}: weights and configuration disagree on {wrong[0]}")
    length = min(_PROBE_TOKENS, len(tokenizer), model.config.max_position_embeddings)
    # Spread over the whole vocabulary, so that a random row of a table cannot hide.
    ids = torch.linspace(0, len(tokenizer) - 1, length).long().unsqueeze(0)
    with torch.no_grad():
        logits: list[Any] = model.eval()(ids).logits.tolist()
    return logits


def _check_json(file: PublishedFile) -> None:
    text = _text(file)
    try:
        json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise SllamaError(f"{file.source}: not valid JSON ({error})") from error


def _check_python(file: PublishedFile) -> None:
    text = _text(file)
    try:
        ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise SllamaError(f"{file.source}: not Python source ({error})") from error


def _check_safetensors(file: PublishedFile) -> None:
    with file.source.open("rb") as stream:
        length = int.from_bytes(stream.read(_HEADER_LENGTH_BYTES), "little")
        header = stream.read(length) if length <= _LARGEST_HEADER else b""
    try:
        described = json.loads(header)
        ends = [
            entry["data_offsets"][1] for key, entry in described.items() if key != "__metadata__"
        ]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise SllamaError(f"{file.source}: not safetensors; export the model again") from error
    if _HEADER_LENGTH_BYTES + length + max(ends, default=0) != file.size:
        raise SllamaError(f"{file.source}: cut short or longer than its header says")
    _refuse_secrets(file, json.dumps(described.get("__metadata__", {})))


def _text(file: PublishedFile) -> str:
    try:
        text = file.source.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SllamaError(f"{file.source}: not UTF-8 text") from error
    _refuse_secrets(file, text)
    return text


def _refuse_secrets(file: PublishedFile, text: str) -> None:
    if secrets_in(text):
        raise SllamaError(
            f"{file.source}: holds what looks like a token or the value of a secret variable; "
            "take it out"
        )


_KINDS: dict[str, Callable[[PublishedFile], object]] = {
    ".json": _check_json,
    ".py": _check_python,
    ".md": _text,
    ".safetensors": _check_safetensors,
}
