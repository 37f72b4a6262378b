"""Which commit the code is of, and whether it was changed: as the environment or git says.

Only the standard library is used here, because the launcher of containers asks too.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path

# What a run writes itself says what was made, not what made it; its recipe is in its own record.
_WRITTEN = (
    "**/dvc.lock",
    "params.yaml",
    "paper/params.yaml",
    "paper/metrics.json",
    "paper/runs.csv",
    "paper/speed.json",
)
_CODE = (":(top)", *(f":(top,exclude,glob){path}" for path in _WRITTEN))


def commit_and_changes(
    folder: Path, environment: Mapping[str, str]
) -> tuple[str | None, bool | None]:
    """Return the commit of `folder`, and whether a tracked file differs from it.

    Locks, recipes and the paper's figures, which runs write, do not count.

    SLLAMA_COMMIT and SLLAMA_DIRTY come before what git says. None: not known.
    """
    commit = environment.get("SLLAMA_COMMIT") or _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None, None
    if said := environment.get("SLLAMA_DIRTY"):
        return commit, said == "true"
    status = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", *_CODE)
    return commit, None if status is None else bool(status)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
