"""What the forward pass of a model takes, beside tokens."""

import inspect
from typing import Any


def without_cache(model: Any) -> dict[str, bool]:
    """Return the option that keeps a forward pass from making a cache, if the model knows it."""
    return {"use_cache": False} if takes(model, "use_cache") else {}


def takes(model: Any, name: str) -> bool:
    """Return whether the model's forward pass has a parameter `name`, or takes any."""
    parameters = inspect.signature(model.forward).parameters
    return name in parameters or any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
    )
