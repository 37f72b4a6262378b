"""results/train/metrics.json: what a run came to. Nothing that differs between equal runs."""

from dataclasses import asdict
from typing import Any

from torch import nn

from pipeline.config import Params
from pipeline.train.optimizer import parameter_groups
from pipeline.train.prepare import Prepared
from pipeline.train.probe import Probe
from pipeline.train.word_count import MAX_PASSES, milestones


def training_metrics(params: Params, prepared: Prepared, probe: Probe | None) -> dict[str, Any]:
    """Return the metrics of a finished run.

    `validation` is of the weights that were kept, and so is `probe`, which is there if one ran.
    """
    state, config = prepared.state, params.train
    kept_step = state.step if state.best is None else state.best.step
    components = parameters_by_component(state.model)
    metrics = {
        "parameters": sum(components.values()),
        "parameters_by_component": components,
        "steps": state.step,
        "kept": config.keep,
        "kept_step": kept_step,
        "tokens_seen": state.tokens,
        "words_seen": round(state.words),
        "passes": round(prepared.passes, 4),
        "passes_allowed": MAX_PASSES,
        "within_passes_allowed": prepared.passes <= MAX_PASSES,
        "word_checkpoints": milestones(0, state.words) if config.word_checkpoints else [],
        "skipped_batches": state.skipped,
        "train_loss": state.history.recent_loss,
        "validation": asdict(prepared.validation.measure(state.model, prepared.objective)),
        "precision": prepared.numerics.precision,
        "compiled": prepared.compiled,
    }
    if probe is not None:
        metrics["probe"] = asdict(probe.measure(state.model))
    return metrics


def parameters_by_component(model: nn.Module) -> dict[str, int]:
    """Return the elements of embedding, head (0 if tied), matrices, norms and biases."""
    matrices, tables, vectors = parameter_groups(model)
    sizes = {"embedding": 0, "head": 0}
    for name, parameter in tables:
        sizes["head" if name.startswith("lm_head") else "embedding"] += parameter.numel()
    sizes["matrices"] = sum(parameter.numel() for _, parameter in matrices)
    sizes["norms_and_biases"] = sum(parameter.numel() for _, parameter in vectors)
    return sizes
