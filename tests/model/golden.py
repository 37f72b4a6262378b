"""The golden cases: what the released code computes on weights that a formula gives."""

import json
import math
import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.model import SLlamaConfig, SLlamaForCausalLM
from pipeline.model.convert import released_layout
from tests.imports import ROOT

CASES: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "tests/golden/parity").glob("*.json"))
}


def formula_tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    """0.2 sin(j + 0.013 j^2 + crc32(name) % 1000) for element j; norms: one more."""
    j = np.arange(math.prod(shape), dtype=np.float64)
    values = 0.2 * np.sin(j + 0.013 * j * j + zlib.crc32(name.encode()) % 1000)
    values = values + 1 if "norm" in name else values
    return torch.from_numpy(values.astype(np.float32)).reshape(shape)


def released_shapes(config: SLlamaConfig) -> dict[str, tuple[int, ...]]:
    """Every name of the released layout with its tensor's shape."""
    state = SLlamaForCausalLM(config).state_dict()
    shapes: dict[str, tuple[int, ...]] = {}
    for name, parts in released_layout(config).items():
        whole = [tuple(state[name].shape)]
        sizes = whole if len(parts) == 1 else [(width,) for width in config.projection_widths]
        for aliases, size in zip(parts, sizes, strict=True):
            shapes.update(dict.fromkeys(aliases, size))
    return shapes


def golden_tensors(case: dict[str, Any], aliases: bool = True) -> dict[str, Tensor]:
    """The case's tensors in the released layout; without `aliases`, each shared one once."""
    shapes = released_shapes(SLlamaConfig(**case["config"]))
    tensors = {name: formula_tensor(name, shapes[name]) for name in case["canonical"]}
    if aliases:
        tensors |= {alias: tensors[name] for alias, name in case["aliases"].items()}
    return tensors


def golden_ids(case: dict[str, Any]) -> Tensor:
    """The case's input: (2, 40)."""
    size = case["config"]["vocab_size"]
    rows = [[(7 * i * i + 3 * i + 11 * b + 1) % size for i in range(40)] for b in range(2)]
    return torch.tensor(rows)
