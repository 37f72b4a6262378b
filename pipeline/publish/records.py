"""What is known of the model that is to be published, checked to be of one and the same run."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import Params
from pipeline.data.catalog import Source, load_catalog
from pipeline.errors import SllamaError
from pipeline.io import model_fingerprint, read_json, sha256_file
from pipeline.provenance import provenance_path
from pipeline.report.inputs import Inputs, read_inputs

_log = logging.getLogger(__name__)

_SHAPES_NOTHING = {"checkpoint_every"}


@dataclass(frozen=True)
class RunRecord:
    """Scores and curves, the corpus by the catalog, and how the model was made.

    provenance: the record beside the model; None where it did not come along.
    """

    inputs: Inputs
    corpus: Source
    provenance: dict[str, Any] | None


def read_run(params: Params, model: Path, results: Path, tokens: Path) -> RunRecord:
    """Read what the stages left in `results` and beside `model`.

    tokens: tokens.json of the encoding. SllamaError: anything missing, malformed, or of another
    model than the one in the folder `model`. Which tokens that was trained on only its record
    tells; without that there is a warning.
    """
    if not (model / "config.json").is_file():
        raise SllamaError(f"{model}: no config.json there; name the folder of a trained model")
    inputs = read_inputs(
        params,
        train_metrics=results / "train" / "metrics.json",
        history=results / "train" / "history.tsv",
        evaluate_dir=results / "evaluate",
        tokens=tokens,
    )
    _require_scored(model, results, inputs)
    path = provenance_path(model)
    provenance = read_json(path) if path.is_file() else None
    if provenance is not None:
        _require_its_record(model, provenance, path)
        _require_recipe(params, provenance, path)
    _require_its_tokens(model, inputs, tokens, (provenance or {}).get("tokens"))
    return RunRecord(inputs, load_catalog().corpus(params.data.source), provenance)


def _require_scored(model: Path, results: Path, inputs: Inputs) -> None:
    scored = inputs.evaluation
    again = f"the scores in {results / 'evaluate'} are of another; run the evaluate stage again"
    if scored.model.fingerprint != model_fingerprint(model):
        raise SllamaError(f"{model}: not the model that was scored: {again}")
    tokenizer = model / "tokenizer.json"
    if not tokenizer.is_file() or scored.tokenizer.fingerprint != sha256_file(tokenizer):
        raise SllamaError(f"{tokenizer}: not the tokenizer that was scored with: {again}")


def _require_its_record(model: Path, provenance: dict[str, Any], path: Path) -> None:
    """Raise SllamaError if the record is of other weights: DVC restores a model without one."""
    fingerprint = model_fingerprint(model)
    if provenance.get("fingerprint", fingerprint) != fingerprint:
        raise SllamaError(
            f"{path}: the record of another run than the model beside it; remove the record, or "
            "train again"
        )


def _require_its_tokens(model: Path, inputs: Inputs, path: Path, recorded: str | None) -> None:
    """Raise SllamaError if the tokens were made anew since; recorded: the record's fingerprint."""
    again = "run dvc repro, or name the tokens of this run (--tokens)"
    entries = read_json(model / "config.json").get("vocab_size")
    if entries not in (None, inputs.tokens.vocab_size):
        raise SllamaError(
            f"{path}: a vocabulary of {inputs.tokens.vocab_size}, the model has {entries}; {again}"
        )
    if recorded is None:
        _log.warning(
            "%s: taken on trust, no record beside the model names the tokens it was trained on; "
            "train again (dvc repro -s -f train) to have them checked",
            path,
        )
    elif recorded != inputs.tokens.fingerprint:
        raise SllamaError(f"{path}: not the tokens that the model was trained on; {again}")


def _require_recipe(params: Params, provenance: dict[str, Any], path: Path) -> None:
    recorded = provenance.get("section", {})
    current = params.model_dump(mode="json")
    changed = [
        f"{section}.{key}: {value} -> {current[section][key]}"
        for section in ("tokenizer", "encode", "model", "train")
        for key, value in recorded.get(section, {}).items()
        if key not in _SHAPES_NOTHING and current[section].get(key, value) != value
    ]
    if recorded.get("seed", params.seed) != params.seed:
        changed.append(f"seed: {recorded['seed']} -> {params.seed}")
    if changed:
        raise SllamaError(
            f"{path}: trained by another recipe than --params ({'; '.join(changed[:3])}); "
            "name the recipe of this run"
        )
