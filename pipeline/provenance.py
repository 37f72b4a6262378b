"""Where an output came from: commit, versions, hardware, time.

The record lies beside the output and is hashed by nobody, so that running the same recipe again
leaves every tracked file as it was.
"""

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.git import commit_and_changes
from pipeline.io import write_json

_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "datasets",
    "lm_eval",
    "dvc",
    "safetensors",
    "numpy",
    "sentencepiece",
    "scipy",
    "statsmodels",
)
_ENVIRONMENT = (
    "SLLAMA_RUNTIME", "SLLAMA_IMAGE", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "CUDA_VISIBLE_DEVICES",
    "DVC_EXP_NAME",
)  # fmt: skip


def provenance_path(output: Path) -> Path:
    """Return the path of the record that lies beside `output`."""
    place = output.absolute()  # `.` has no name
    return place.with_name(f"{place.name}.provenance.json")


def write_provenance(
    output: Path, section: dict[str, Any], code: dict[str, Any], **extra: Any
) -> None:
    """Record how `output` was made: the resolved `section` of the recipe and what ran it.

    code: from describe_code, asked before the work: it may be committed to meanwhile.
    """
    write_json(
        provenance_path(output),
        {
            "output": output.absolute().name,
            "section": section,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": sys.argv,
            **code,
            **describe_machine(),
            **extra,
        },
    )


def describe_code() -> dict[str, Any]:
    """Return the commit, whether the code differs from it (null: not known), and versions.

    In a container, which may lack git, the launcher has said both.
    """
    commit, changed = commit_and_changes(Path(), os.environ)
    return {"commit": commit, "dirty": changed, "versions": versions()}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape results."""
    return {"python": platform.python_version(), **package_versions(_PACKAGES)}


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those of the packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def describe_machine() -> dict[str, Any]:
    """Return processor, GPU (if torch is loaded and sees one), threads and runtime settings."""
    return {
        "machine": {
            "system": platform.platform(),
            "processor": _processor_name(),
            "cores": os.cpu_count(),
            **_describe_torch(),
        },
        "environment": {key: os.environ[key] for key in _ENVIRONMENT if key in os.environ},
    }


def _describe_torch() -> dict[str, Any]:
    # A stage without torch must not pay for importing it here.
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    described: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cuda": torch.version.cuda,
    }
    if torch.cuda.is_available():
        described["gpu"] = torch.cuda.get_device_name()
    return described


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
