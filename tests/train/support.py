"""A recipe and a corpus small enough to train on within a test."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

from pipeline.config import Params, parse_params
from pipeline.data.tokens import TokenSplit, token_dtype, tokens_fingerprint
from pipeline.io import read_yaml, sha256_file
from tests.imports import ROOT

VOCAB_SIZE = 61
BOS, EOS = 1, 2

MODEL = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 16,
}
TRAIN = {
    "steps": 12,
    "batch_size": 8,
    "micro_batch_size": 4,
    "sequence_length": 16,
    "warmup_steps": 2,
    "learning_rate": 0.01,
    "min_learning_rate": 0.001,
    "precision": "float32",
    "device": "cpu",
    "validate_every": 6,
    "checkpoint_every": 4,
}


def params(*, seed: int = 1, model: dict[str, Any] | None = None, **train: Any) -> Params:
    """The shipped recipe, made small; keyword arguments change its train section."""
    values = read_yaml(ROOT / "params.yaml")
    values["seed"] = seed
    values["model"] |= MODEL | (model or {})
    values["train"] |= TRAIN | train
    return parse_params(values, "test")


def follower(token: int, vocab_size: int = VOCAB_SIZE) -> int:
    """The token that mostly comes after `token`."""
    return 4 + (token * 7 + 3) % (vocab_size - 4)


def split(documents: int, seed: int, vocab_size: int = VOCAB_SIZE) -> TokenSplit:
    """Documents in which most tokens follow from the one before, so that there is much to learn."""
    random = np.random.default_rng(seed)
    pieces, words = [], []
    for _ in range(documents):
        length = int(random.integers(5, 40))
        inside = [int(random.integers(4, vocab_size))]
        for _ in range(length - 1):
            chained = follower(inside[-1], vocab_size)
            fresh = int(random.integers(4, vocab_size))
            inside.append(chained if random.random() < 0.8 else fresh)
        pieces.append([BOS, *inside, EOS])
        words.append(length)
    starts = np.cumsum([0] + [len(piece) for piece in pieces])
    return TokenSplit(
        np.concatenate(pieces).astype(token_dtype(vocab_size)),
        starts.astype(np.int64),
        np.array(words, dtype=np.int32),
        np.array(words, dtype=np.int32) * 5,
        np.zeros(documents, dtype=np.uint8),
    )


def write_tokens(folder: Path, documents: int = 200, vocab_size: int = VOCAB_SIZE) -> Path:
    """Write what the encode stage writes, as far as training reads it; its tokenizer: below."""
    folder.mkdir(parents=True)
    splits = {}
    for seed, (name, share) in enumerate({"train": 1.0, "validation": 0.1, "test": 0.1}.items()):
        made = split(max(2, int(documents * share)), seed, vocab_size)
        path = folder / f"{name}.safetensors"
        made.save(path)
        splits[name] = {"tokens": len(made.tokens), "sha256": sha256_file(path)}
    tokenizer = hashlib.sha256(_tokenizer(vocab_size).encode()).hexdigest()
    facts = {
        "fingerprint": tokens_fingerprint(splits, tokenizer),
        "vocab_size": vocab_size,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "pad_token_id": 0,
        "splits": splits,
    }
    (folder / "tokens.json").write_text(json.dumps(facts))
    return folder


def write_tokenizer(folder: Path, vocab_size: int = VOCAB_SIZE) -> Path:
    """Write a tokenizer whose entries are words."""
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(_tokenizer(vocab_size))
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "special_tokens_map.json").write_text(json.dumps(names))
    return folder


def _tokenizer(vocab_size: int) -> str:
    vocabulary = {"<pad>": 0, "<s>": BOS, "</s>": EOS, "<unk>": 3}
    vocabulary |= {f"w{i}": i for i in range(4, vocab_size)}
    words = models.WordLevel(vocabulary, unk_token="<unk>")  # noqa: S106
    tokenizer = Tokenizer(words)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer.to_str(pretty=True)
