"""An existing tokenizer: a Hub name, a folder, a tokenizer.json or a SentencePiece model."""

import itertools
import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from pipeline.config import MIRROR_VARIABLE
from pipeline.data.corpus import Document
from pipeline.errors import SllamaError
from pipeline.hub import hub_errors
from pipeline.io import read_json
from pipeline.tokenizer.folder import SpecialTokens, add_bos

_HUB_NAME = re.compile(r"(?P<name>[\w.-]+(/[\w.-]+)?)(@(?P<revision>[\w.-]+))?")
_FILES = ["tokenizer.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
# Documents of each source on which a converted tokenizer is compared with SentencePiece.
_CHECKED_DOCUMENTS = 100
_log = logging.getLogger(__name__)


def load_pretrained(name: str, documents: Iterable[Document]) -> tuple[Tokenizer, SpecialTokens]:
    """Return a fast tokenizer that adds BOS, cuts nothing off and pads nothing, and its specials.

    `name` is a path, a path inside the folder SLLAMA_DATA_MIRROR, or a Hub name with or without
    `@revision`. A SentencePiece model is preferred to a tokenizer.json beside it, because converted
    files disagree about the leading space; it is checked on `documents`. A missing pad token is
    mapped onto the unknown token, or else EOS: the vocabulary never grows.

    SllamaError: no such tokenizer, one without BOS or EOS, or ids other than SentencePiece's.
    """
    path = _find(name)
    if path.suffix == ".model":
        # Only here: sentencepiece is not needed by any other tokenizer.
        from pipeline.tokenizer import spm

        tokenizer, special = spm.convert(path)
        spm.require_same_ids(tokenizer, path, _sample(documents))
    else:
        tokenizer = _read_fast(path)
        special = _special_tokens(path, tokenizer)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if not _adds_only_bos(tokenizer, special.bos):
        add_bos(tokenizer, special.bos)
    _log.info("%s, pad token %s", path, special.pad)
    return tokenizer, special


def _find(name: str) -> Path:
    mirror = os.environ.get(MIRROR_VARIABLE)
    places = [Path(name), *([Path(mirror) / name] if mirror else [])]
    for place in places:
        if place.is_dir():
            return _tokenizer_file(place)
        if place.is_file():
            return place
    hub_name = _HUB_NAME.fullmatch(name)
    if hub_name is None or name.endswith((".model", ".json")):
        raise SllamaError(
            f"tokenizer.name {name}: no such file or folder"
            + (f", nor in {mirror}" if mirror else f"; {MIRROR_VARIABLE} names no mirror folder")
        )
    return _tokenizer_file(_download(hub_name["name"], hub_name["revision"]))


def _tokenizer_file(folder: Path) -> Path:
    for name in _FILES[:2]:
        if (folder / name).is_file():
            return folder / name
    raise SllamaError(f"{folder}: neither tokenizer.model nor tokenizer.json in this folder")


def _download(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    expected: tuple[type[Exception], ...] = (*hub_errors(), ValueError)
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_FILES))
    except expected as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise SllamaError(
            f"tokenizer.name {name}: no such path, and the Hub did not give it ({reason}); "
            f"put its files into a mirror ({MIRROR_VARIABLE})"
        ) from error


def _read_fast(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more specific
        raise SllamaError(f"{path}: not a tokenizer.json ({error})") from error


def _special_tokens(path: Path, tokenizer: Tokenizer) -> SpecialTokens:
    """Return what the files beside tokenizer.json declare; BOS and EOS stand in for each other."""
    declared: dict[str, str] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (path.parent / name).is_file():
            values = read_json(path.parent / name)
            for key, value in values.items() if isinstance(values, dict) else ():
                token = value.get("content") if isinstance(value, dict) else value
                if key.endswith("_token") and isinstance(token, str):
                    declared[key.removesuffix("_token")] = token
    known = {
        key: token for key, token in declared.items() if tokenizer.token_to_id(token) is not None
    }
    bos = known.get("bos") or known.get("eos") or known.get("cls")
    eos = known.get("eos") or known.get("bos") or known.get("sep")
    if bos is None or eos is None:
        raise SllamaError(
            f"{path}: no BOS or EOS token is declared in a tokenizer_config.json beside it; add one"
        )
    unk = known.get("unk")
    return SpecialTokens(bos, eos, unk, known.get("pad") or unk or eos)


def _adds_only_bos(tokenizer: Tokenizer, bos: str) -> bool:
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    return bool(tokenizer.encode("a").ids == [tokenizer.token_to_id(bos), *plain])


def _sample(documents: Iterable[Document]) -> Iterable[str]:
    by_source: Any = itertools.groupby(documents, key=lambda document: document.source)
    for _, group in by_source:
        for document in itertools.islice(group, _CHECKED_DOCUMENTS):
            yield document.text
