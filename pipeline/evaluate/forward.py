"""A model of the transformers library: its weights, what it takes, and how far it sees."""

import inspect
from collections.abc import Mapping
from typing import Any

from pipeline.errors import SllamaError

_SEES_ALL = {"full_attention", "attention", "global"}
_SEES_WINDOW = {"sliding_attention", "local"}


def require_all_weights(found: Mapping[str, Any]) -> None:
    """Raise SllamaError if weights were not in the files: they are random, other at each load.

    found: what `from_pretrained` says with `output_loading_info`. A pooler's may be absent: no
    score depends on it.
    """
    absent = sorted(name for name in found["missing_keys"] if not name.startswith("pooler."))
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise SllamaError(f"its files lack the weights {absent[0]}{more}; save the whole model")


def without_cache(model: Any) -> dict[str, bool]:
    """Return the option that keeps a forward pass from making a cache, if the model knows it."""
    parameters = inspect.signature(model.forward).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return {"use_cache": False} if "use_cache" in parameters or takes_any else {}


def has_window(config: Any, context: int) -> bool:
    """Return whether the config says that a layer sees less than all that precedes a token.

    GPT-Neo has names of its own for the window and the kinds of its layers.
    """
    window = getattr(config, "sliding_window", None) or getattr(config, "window_size", None)
    named = getattr(config, "layer_types", None) or getattr(config, "attention_layers", None)
    kinds = set(named or ()) - _SEES_ALL
    if window is None:
        return bool(kinds)
    if window >= context:
        return bool(kinds - _SEES_WINDOW)
    return bool(kinds) or getattr(config, "use_sliding_window", True) is not False
