"""What a container of this image does: `entrypoint.py data|eval|train [word ...]`.

Words that name stages run those as dvc.yaml has them; anything else that is a command is run as it
is. Without words, sllama-train trains; `docker run sllama-train demo` runs the chain by a recipe.
"""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

CODE = Path(__file__).resolve().parent.parent
WORKSPACE = Path("/workspace")
# Not `.demo`, which is a clone where `make demo` has run.
CHAIN_FOLDER = ".demo-image"
sys.path[:1] = [str(CODE), str(CODE / "docker")]

import runs  # noqa: E402

from pipeline.errors import SllamaError  # noqa: E402
from pipeline.io import read_yaml  # noqa: E402

USAGE = {
    "data": "sllama-data [download | benchmarks | tokenizer | encode | report | COMMAND] ...",
    "eval": "sllama-eval --model FOLDER [--tasks a,b] [--out FOLDER] | evaluate | COMMAND ...",
    "train": "sllama-train [--recipe NAME] | RECIPE | [train | evaluate | ...] | COMMAND ...",
}


def main(role: str, words: list[str]) -> int:
    """Do what `words` ask of the image `role` and return the exit code."""
    if words in (["--help"], ["-h"]):
        print(
            f"docker run [--gpus all] [--user $(id -u):$(id -g) -v $PWD:/workspace] {USAGE[role]}"
        )
        return 0
    # Inside, a stage runs in this very container, whatever the host's setting says.
    os.environ["SLLAMA_RUNTIME"] = "native"
    work = _choose(role, words)
    os.chdir(WORKSPACE)
    if role == "eval" and words[0].startswith("--"):
        return work()
    runs.prepare_workspace(CODE, WORKSPACE)
    runs.name_commit(CODE, WORKSPACE)
    # In a folder that every checkout ignores, so that an interrupted training goes on.
    os.environ.setdefault("SLLAMA_CHECKPOINTS", str(WORKSPACE / ".dvc/tmp/checkpoints"))
    return work()


def _choose(role: str, words: list[str]) -> Callable[[], int]:
    if role == "train" and (not words or words[0] == "--recipe"):
        if words and len(words) != 2:
            raise SllamaError(f"usage: {USAGE[role]}")
        recipe = words[1] if words else None
        return lambda: runs.train(recipe, WORKSPACE)
    if role == "train" and len(words) == 1 and (CODE / f"recipes/{words[0]}.yaml").is_file():
        return lambda: runs.whole_chain(words[0], CODE, WORKSPACE / CHAIN_FOLDER)
    if role == "eval" and words and words[0].startswith("--"):
        return lambda: runs.evaluate_model(words, CODE)
    if role == "data" and not words:
        words = ["download", "tokenizer", "encode"]
    if words and set(words) <= set(read_yaml(CODE / "dvc.yaml")["stages"]):
        return lambda: runs.stages(words)
    if words and shutil.which(words[0]):
        return lambda: runs.execute(words)
    raise SllamaError(f"usage: {USAGE[role]}")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1], sys.argv[2:]))
    except (SllamaError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
