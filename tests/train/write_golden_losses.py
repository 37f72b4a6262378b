"""Write tests/golden/losses/*.json anew: `python -m tests.train.write_golden_losses`.

For changes that are meant to change the numbers; any other change has to reproduce them. With --add
the recipes stay, and this kind of machine gets a run of its own beside those of the others.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from pipeline.config import Params, parse_params
from pipeline.io import read_json, read_yaml, write_json
from pipeline.provenance import describe_machine
from pipeline.recipes import apply_overrides, load_recipe
from pipeline.train.device import choose_numerics, deterministic_kernels
from pipeline.train.distributed import Ranks
from pipeline.train.prepare import prepare
from pipeline.train.step import take_step
from tests.imports import ROOT
from tests.train.support import write_tokens

GOLDEN = ROOT / "tests" / "golden" / "losses"
STEPS = 20
SECTIONS = ("seed", "model", "train")
# The recipes' own vocabularies, windows, orders of the data and decays, in batches small enough for
# a test.
BATCH_SIZES = {"released": 2, "demo": 4}
SHORT = {
    "steps": STEPS,
    "warmup_steps": 10,
    "micro_batch_size": 2,
    "precision": "float32",
    "device": "cpu",
    "keep": "last",
}


def recipe(name: str) -> dict[str, Any]:
    """The shipped recipe `name`, made short, as values of params.yaml."""
    values: dict[str, Any] = read_yaml(ROOT / "params.yaml")
    apply_overrides(values, load_recipe(name, ROOT / "recipes"))
    apply_overrides(values, {"train": SHORT | {"batch_size": BATCH_SIZES[name]}})
    return values


def losses(params: Params, vocab_size: int, folder: Path) -> list[float]:
    """The training loss of each step, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    numerics = choose_numerics(params.train)
    with deterministic_kernels(params.train, numerics.device):
        tokens = write_tokens(folder / "tokens", 400, vocab_size)
        run = prepare(params, tokens, numerics, Ranks())
        parts = (run.gradients, run.split, run.ranks)
        found = [float(take_step(run.state, params.train, *parts).loss) for _ in range(STEPS)]
    torch.set_num_threads(threads)
    return found


def machine_type() -> dict[str, Any]:
    """What has to be equal for equal bits."""
    described = describe_machine()["machine"]
    return {
        "processor": described["processor"],
        "cpu_capability": described["cpu_capability"],
        "torch": torch.__version__,
    }


def stored(name: str) -> dict[str, Any]:
    """The golden file `name`: its recipe, and the runs of other kinds of machine."""
    golden: dict[str, Any] = read_json(GOLDEN / f"{name}.json")
    golden["runs"] = [run for run in golden["runs"] if run["machine"] != machine_type()]
    return golden


def anew(name: str) -> dict[str, Any]:
    """A golden file of the shipped recipe, without runs."""
    values = recipe(name)
    sections = {section: values[section] for section in SECTIONS}
    # Also of the released recipe: the tokenizer that it takes has as many entries.
    return {"vocab_size": values["tokenizer"]["vocab_size"], "recipe": sections, "runs": []}


def main() -> None:
    for name in BATCH_SIZES:
        golden = stored(name) if "--add" in sys.argv else anew(name)
        params = parse_params(read_yaml(ROOT / "params.yaml") | golden["recipe"], name)
        with TemporaryDirectory() as folder:
            found = losses(params, golden["vocab_size"], Path(folder))
        golden["runs"].append({"machine": machine_type(), "losses": found})
        write_json(GOLDEN / f"{name}.json", golden)


if __name__ == "__main__":
    main()
