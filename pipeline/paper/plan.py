"""From profile and variants to one resolved recipe a run.

A run's training depends on its own file alone, so one more variant costs only itself.
"""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from pipeline.config import PARAMS_FILE, ModelConfig, Params, TrainConfig, parse_params
from pipeline.errors import SllamaError
from pipeline.io import read_yaml, sha256_file, write_text
from pipeline.paper.settings import Settings, Variant
from pipeline.recipes import RECIPES, apply_overrides, load_recipe

CountParameters = Callable[[ModelConfig, int], int]
"""Parameters of an architecture with a vocabulary of that many entries."""

# Training reads neither section; the same in every plan, so that a change there retrains nothing.
_UNREAD_IN_TRAINING: dict[str, Any] = {
    "evaluate": {
        "tasks": ["heldout"],
        "null_scorers": [],
        "dtype": "float32",
        "device": "auto",
        "max_batch_tokens": 1,
        "bootstrap_samples": 1,
        "allow_nonfinite": False,
        "allow_missing": True,
    },
    "report": {"title": "unused", "formats": ["markdown"]},
}
_LARGEST_HIDDEN_SIZE = 4096
_HIDDEN_SIZE_STEP = 4
_FITTED = ("hidden_size", "intermediate_size")


def write_plan(
    settings: Settings,
    out: Path,
    count: CountParameters,
    params: Path = PARAMS_FILE,
    recipes: Path = RECIPES,
) -> list[str]:
    """Write data.yaml, evaluate-<seed>.yaml and <variant>-<seed>.yaml into `out`, and timed.yaml:
    which of those Table 2 times, by their SHA-256.

    Returns a line on the size of each run.
    SllamaError: an override that is no key of the recipe, or values that do not go together.
    """
    base = _base(settings, params, recipes)
    files = {"data": _dump(parse_params(base, f"profile {settings.selected.profile}"))}
    # Where the files of the data were found changes no run.
    base["data"]["mirror"] = None
    lines = []
    for seed in settings.selected.seeds:
        files[f"evaluate-{seed}"] = _dump(parse_params({**base, "seed": seed}, "evaluation"))
        for name in settings.selected.trained:
            run = resolve(settings, settings.variant(name), base, seed, count)
            files[f"{name}-{seed}"] = _dump_run(run)
            lines.append(_describe(name, run, count))
    for name, values in files.items():
        write_text(out / f"{name}.yaml", yaml.safe_dump(values, sort_keys=False))
    seed = settings.selected.seeds[0]
    timed = {
        name: {"seed": seed, "recipe": sha256_file(out / f"{name}-{seed}.yaml")}
        for name in settings.selected.trained
        if "parts" in settings.variant(name).tables
    }
    write_text(out / "timed.yaml", yaml.safe_dump(timed, sort_keys=False))
    return lines


def require_current(
    settings: Settings, plan: Path, params: Path = PARAMS_FILE, recipes: Path = RECIPES
) -> None:
    """Raise SllamaError if a run's file in the folder `plan` is not what the settings say now.

    Sizes that are fitted to another variant's parameter count are taken as they are.
    """
    base = _base(settings, params, recipes)
    base["data"]["mirror"] = None
    for seed in settings.selected.seeds:
        for name in settings.selected.trained:
            path, variant = plan / f"{name}-{seed}.yaml", settings.variant(name)
            if not path.is_file():
                continue
            unfitted = variant.model_copy(update={"parameters_of": None})
            wanted = _dump_run(resolve(settings, unfitted, base, seed, _not_counted))
            found = read_yaml(path)
            sizes = found.get("model") if isinstance(found, dict) else None
            if variant.parameters_of is not None and isinstance(sizes, dict):
                wanted["model"] |= {key: sizes.get(key) for key in _FITTED}
            if found != wanted:
                raise SllamaError(
                    f"{path} is not what paper/params.yaml, {params} and the recipe say now: run "
                    "dvc repro -s -f paper/dvc.yaml:paper_plan, or select its profile "
                    "(python -m pipeline.paper PROFILE)"
                )


def resolve(
    settings: Settings, variant: Variant, base: dict[str, Any], seed: int, count: CountParameters
) -> Params:
    """Return the training recipe of one run: the base, the variant's overrides, the seed."""
    values = copy.deepcopy(base)
    _require_known(variant, base)
    apply_overrides(values, copy.deepcopy(variant.set))
    values["seed"] = seed
    if variant.decay_multiple is not None:
        values["train"]["decay_steps"] = round(variant.decay_multiple * values["train"]["steps"])
    if "curves" in variant.tables and settings.profile.curves:
        values["train"]["word_checkpoints"] = True
    values |= copy.deepcopy(_UNREAD_IN_TRAINING)
    resolved = parse_params(values, f"variant {variant.name}")
    if variant.parameters_of is None:
        return resolved
    model = resolve(settings, settings.variant(variant.parameters_of), base, seed, count).model
    vocabulary = _vocabulary(resolved)
    fitted = fit_sizes(resolved.model, count(model, vocabulary), vocabulary, count)
    return resolved.model_copy(update={"model": fitted})


def fit_sizes(
    model: ModelConfig, target: int, vocabulary: int, count: CountParameters
) -> ModelConfig:
    """Return `model` with the sizes that come nearest to `target` parameters, not above it.

    hidden_size becomes the largest multiple of 4 and of twice the heads that fits with an MLP of
    the same proportions, intermediate_size takes what is left. SllamaError if even the smallest
    does not fit.
    """
    proportion = model.intermediate_size / model.hidden_size

    def sized(hidden: int, intermediate: int) -> ModelConfig:
        return model.model_copy(
            update={"hidden_size": hidden, "intermediate_size": max(1, intermediate)}
        )

    fitting = None
    step = math.lcm(_HIDDEN_SIZE_STEP, 2 * model.num_attention_heads)
    for hidden in range(step, _LARGEST_HIDDEN_SIZE, step):
        candidate = sized(hidden, round(proportion * hidden))
        if count(candidate, vocabulary) > target:
            break
        fitting = candidate
    if fitting is None:
        raise SllamaError(f"no such model has as few as {target:,} parameters")
    hidden, inner = fitting.hidden_size, fitting.intermediate_size
    row = count(sized(hidden, inner + 1), vocabulary) - count(fitting, vocabulary)
    return sized(hidden, inner + (target - count(fitting, vocabulary)) // row)


def _base(settings: Settings, params: Path, recipes: Path) -> dict[str, Any]:
    """The profile's recipe, before any variant."""
    size = settings.profile
    base: dict[str, Any] = read_yaml(params)
    if size.recipe is not None:
        apply_overrides(base, load_recipe(size.recipe, recipes))
    apply_overrides(base, copy.deepcopy(size.set))
    base["evaluate"]["tasks"] = list(size.tasks.values())
    # The scorers that know nothing are run once, not once a model.
    base["evaluate"]["null_scorers"] = []
    base["train"]["probe_every"] = 0
    return base


def _not_counted(model: ModelConfig, vocabulary: int) -> int:
    return 0


def _dump_run(run: Params) -> dict[str, Any]:
    values = _dump(run)
    values["train"] |= _unshown(run.train)
    return values


def _dump(params: Params) -> dict[str, Any]:
    return params.model_dump(mode="json")


def _unshown(train: TrainConfig) -> dict[str, Any]:
    """What no dump shows, for it shapes no result: where it is not what it is by default.

    So the plan of a run that sets none of it, by whose bytes the ledger knows it, stays as it is.
    """
    return {
        name: getattr(train, name)
        for name, field in TrainConfig.model_fields.items()
        if field.exclude and getattr(train, name) != field.get_default(call_default_factory=True)
    }


def _require_known(variant: Variant, base: dict[str, Any]) -> None:
    for section, keys in variant.set.items():
        for key in keys:
            if key not in base[section]:
                known = ", ".join(base[section])
                raise SllamaError(f"variant {variant.name}: no key {section}.{key} (of {known})")


def _vocabulary(params: Params) -> int:
    if params.tokenizer.vocab_size is None:
        raise SllamaError("the paper's profiles train their tokenizer: set tokenizer.vocab_size")
    return params.tokenizer.vocab_size


def _describe(name: str, run: Params, count: CountParameters) -> str:
    train = run.train
    tokens = train.steps * train.batch_size * train.sequence_length
    parameters = count(run.model, _vocabulary(run))
    return (
        f"{name} seed {run.seed}: {parameters:,} parameters, {train.steps:,} steps, "
        f"{tokens:,} tokens"
    )
