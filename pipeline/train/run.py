"""The whole of a training run: prepare, resume or begin, train, export."""

import logging
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from pipeline.config import Params
from pipeline.errors import SllamaError
from pipeline.io import disk_errors, put_in_place, write_json
from pipeline.model.export import export_model
from pipeline.train.checkpoint import CheckpointStore, checkpoint_root
from pipeline.train.fingerprint import describe_environment, describe_run, run_name
from pipeline.train.flops import measured_peak_flops
from pipeline.train.loop import Run, fit
from pipeline.train.metrics import training_metrics
from pipeline.train.places import Places
from pipeline.train.prepare import Prepared
from pipeline.train.probe import Probe
from pipeline.train.ready import ready
from pipeline.train.state import TrainingState
from pipeline.train.trackers import Trackers
from pipeline.train.word_count import milestones

_log = logging.getLogger(__name__)

WORD_CHECKPOINTS = "checkpoints"
TRACKERS = "trackers"


@dataclass(frozen=True)
class Trained:
    """A run that is over: figures that are no part of its result, and what removes its checkpoints,
    from which it goes on for as long as they are there.
    """

    figures: dict[str, Any]
    discard_checkpoints: Callable[[], None]


def train(params: Params, places: Places) -> Trained | None:
    """Train the recipe's model.

    Under torchrun several processes train it together; all but the first write nothing and
    return None. A run that was interrupted goes on from its last checkpoint.

    SllamaError: bad input, a place that cannot be written, a checkpoint made by other code, or all
    batches left out.
    KeyboardInterrupt: stopped and saved.
    """
    with ready(params, places) as (prepared, probe):
        ranks = prepared.ranks
        facts = describe_run(params, prepared.facts)
        store = _checkpoint_store(facts, prepared, probe)
        with store.lock() if ranks.first else nullcontext():
            figures = _train(params, facts, prepared, probe, store, places)
            if describe_run(params, prepared.facts)["code"] != facts["code"]:
                _tell_of_changed_code()
            _require_a_step(prepared.state)
            _take_kept_weights(params, prepared.state)
            # Trackers may have taken longer to end than processes wait for one another.
            ranks.wait()
            metrics = training_metrics(params, prepared, probe)
            if ranks.first:
                _export(prepared, store, places)
                prepared.state.history.write(places.history)
                write_json(places.metrics, metrics)
            # Until all are known to be there, a restart goes on from the last checkpoint.
            ranks.wait()
    return Trained(figures, partial(_discard, store)) if ranks.first else None


def _discard(store: CheckpointStore) -> None:
    # Another process may have begun this very run meanwhile: they are its own now.
    with suppress(SllamaError), store.lock():
        store.discard()


def _checkpoint_store(
    facts: dict[str, Any], prepared: Prepared, probe: Probe | None
) -> CheckpointStore:
    if probe is not None:
        facts = facts | {"data.probe_pairs": probe.digest}
    numerics = prepared.numerics
    environment = describe_environment(
        numerics.device, numerics.precision, prepared.compiled, prepared.ranks.size
    )
    return CheckpointStore(checkpoint_root() / run_name(facts), facts, environment)


def _tell_of_changed_code() -> None:
    """Raise SllamaError under DVC, which would write the code as it is now down as the maker."""
    changed = "pipeline/ changed while it trained"
    if os.environ.get("DVC_STAGE"):
        raise SllamaError(
            f"{changed}, and DVC would record the weights as made by the new code: put it back "
            "(git stash) and run again, which goes on from the last checkpoint"
        )
    _log.warning("%s; the weights are of the code that it started with", changed)


def _train(
    params: Params,
    facts: dict[str, Any],
    prepared: Prepared,
    probe: Probe | None,
    store: CheckpointStore,
    places: Places,
) -> dict[str, Any]:
    state, ranks = prepared.state, prepared.ranks
    _take_up(params, prepared, store)
    if state.step > 0:
        _log.info("going on after step %d of %d", state.step, params.train.steps)
    first = state.step, state.tokens
    peak = ranks.size * measured_peak_flops(prepared.numerics)

    def export(name: str) -> None:
        _replace_folder(store.folder / WORD_CHECKPOINTS / name, prepared, places.tokenizer)

    trackers = Trackers(
        params.train.trackers if ranks.first else [],
        # Other code makes another curve of the same recipe and data.
        f"{store.folder.name}-{facts['code']}",
        places.history.parent / TRACKERS,
        facts,
        sent=len(state.history.rows),
    )

    def share_of_peak(tokens: int, seconds: float) -> float:
        return tokens * prepared.flops_per_token / max(seconds, 1e-9) / peak

    run = Run(
        config=params.train,
        objective=prepared.objective,
        gradients=prepared.gradients,
        split=prepared.split,
        ranks=ranks,
        validation=prepared.validation,
        test=prepared.test,
        probe=probe,
        store=store,
        history_path=places.history,
        trackers=trackers,
        export=export,
        share_of_peak=share_of_peak,
    )
    started = time.monotonic()
    with trackers:
        fit(state, run)
    # A run killed after its last step has none left to take.
    seconds = max(time.monotonic() - started, 1e-9)
    return {
        "precision": prepared.numerics.precision,
        "compiled": prepared.compiled,
        "processes": ranks.size,
        "resumed_after_step": first[0],
        "pieces_per_micro_batch": state.pieces,
        "loop_seconds": round(seconds, 3),
        "tokens_per_second": round((state.tokens - first[1]) / seconds),
        "peak_flops": round(peak),
        "model_flops_utilisation": round(share_of_peak(state.tokens - first[1], seconds), 4),
    }


def _take_up(params: Params, prepared: Prepared, store: CheckpointStore) -> None:
    """Bring every process to the state of the newest checkpoint, or to one initial state.

    SllamaError: more batches were left out up to there than the recipe allows, or a word-counted
    checkpoint of the steps before is not there.
    """
    state, ranks = prepared.state, prepared.ranks
    saved = store.load_latest() if ranks.first else None
    if saved is not None:
        state.restore(saved)
        if params.train.word_checkpoints:
            _require_word_checkpoints(store, milestones(0, state.words))
    elif ranks.first:
        for line in store.others():
            _log.warning("%s", line)
    if ranks.size > 1:
        shared = ranks.broadcast(state.snapshot() if ranks.first else None)
        if not ranks.first:
            state.restore(shared)
    allowed = params.train.skip_nonfinite
    if state.skipped > allowed:
        raise SllamaError(
            f"{state.skipped} batches of this run were left out, train.skip_nonfinite allows "
            f"{allowed}; raise it, or remove {store.folder} to start anew"
        )


def _require_word_checkpoints(store: CheckpointStore, names: Sequence[str]) -> None:
    folder = store.folder / WORD_CHECKPOINTS
    missing = [name for name in names if not (folder / name / "config.json").is_file()]
    if missing:
        raise SllamaError(
            f"{folder}: {', '.join(missing)} of this run not there; bring the folder along with "
            f"the step files, or remove {store.folder} to start anew"
        )


def _require_a_step(state: TrainingState) -> None:
    if state.skipped == state.step:
        raise SllamaError(
            f"all {state.step} batches were left out, as their losses or gradients were not "
            "finite: nothing was trained; take a smaller train.learning_rate or train.z_loss"
        )


def _take_kept_weights(params: Params, state: TrainingState) -> None:
    if params.train.keep != "last" and state.best is not None:
        _log.info("keeping the weights of step %d", state.best.step)
        state.load_weights(state.best.weights)


def _export(prepared: Prepared, store: CheckpointStore, places: Places) -> None:
    # A link stays: what it leads to is replaced.
    model_out = places.model.resolve()
    exported = (store.folder / WORD_CHECKPOINTS).glob("chck_*")
    _replace_folder(model_out, prepared, places.tokenizer, sorted(exported))


def _replace_folder(
    folder: Path, prepared: Prepared, tokenizer: Path, checkpoints: Sequence[Path] = ()
) -> None:
    """Export the present weights as `folder`, which is complete as soon as it is there, with its
    word-counted `checkpoints`.
    """
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad(), disk_errors(folder):
        export_model(prepared.state.model, unfinished, tokenizer)
    for checkpoint in checkpoints:
        _copy_folder(checkpoint, unfinished / WORD_CHECKPOINTS / checkpoint.name)
    put_in_place(unfinished, folder)


def _copy_folder(source: Path, target: Path) -> None:
    # shutil.copytree goes on after a failure, and its error does not tell a full disk.
    target.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        shutil.copyfile(path, target / path.name)
