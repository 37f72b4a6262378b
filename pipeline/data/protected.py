"""Where readable copies of protected sources lie: outside all that gets published."""

import os
from pathlib import Path

PROTECTED_VARIABLE = "SLLAMA_PROTECTED_DATA"


def protected_folder() -> Path:
    """Return the folder that SLLAMA_PROTECTED_DATA names, else ~/.cache/sllama/protected."""
    named = os.environ.get(PROTECTED_VARIABLE)
    return Path(named) if named else Path.home() / ".cache" / "sllama" / "protected"
