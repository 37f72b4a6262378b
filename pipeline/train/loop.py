"""The training loop."""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import TrainConfig
from pipeline.data.tokens import TokenSplit
from pipeline.errors import SllamaError
from pipeline.progress import Progress
from pipeline.train.checkpoint import CheckpointStore
from pipeline.train.distributed import Ranks
from pipeline.train.gradients import Gradients
from pipeline.train.interrupt import Interrupts
from pipeline.train.objective import Objective
from pipeline.train.probe import Probe
from pipeline.train.state import TrainingState
from pipeline.train.step import StepRecord, require_finite, take_step
from pipeline.train.trackers import Trackers
from pipeline.train.validation import HeldOutLoss, HeldOutText, NonFiniteLossError
from pipeline.train.word_count import milestones

_log = logging.getLogger(__name__)

# Steps between looks at the losses. Each look makes the host wait for the device.
_STEPS_BETWEEN_LOOKS = {"cpu": 1, "cuda": 50}


@dataclass(frozen=True)
class Run:
    """What stays the same while training: recipe, data, and where things go.

    `test` is only there when the released selection on the test split is asked for, `probe` when
    minimal pairs are.
    `export` writes the present weights under a checkpoint's name. `share_of_peak` says of tokens
    and seconds what fraction of the hardware's rate that is.
    """

    config: TrainConfig
    objective: Objective
    gradients: Gradients
    split: TokenSplit
    ranks: Ranks
    validation: HeldOutText
    test: HeldOutText | None
    probe: Probe | None
    store: CheckpointStore
    history_path: Path
    trackers: Trackers
    export: Callable[[str], None]
    share_of_peak: Callable[[int, float], float]


def fit(state: TrainingState, run: Run) -> None:
    """Train `state` to its last step: bit for bit the same whether or not it was interrupted.

    KeyboardInterrupt: SIGTERM or Ctrl-C came; the step in progress was finished and saved.
    SllamaError: a loss or gradient was not finite, memory or disk space ran out, or another process
    is gone.
    """
    config = run.config
    look_every = _STEPS_BETWEEN_LOOKS[run.objective.numerics.device.type]
    fields: dict[str, str] = {}
    waiting: list[StepRecord] = []
    state.model.train()
    with Interrupts() as interrupts, _progress(state, run) as progress:
        if state.step == 0:
            fields["bits/byte"] = f"{_validate(state, run).bits_per_byte:.3f}"
            fields |= _probe(state, run)
        started, tokens_at_start = time.monotonic(), state.tokens
        while state.step < config.steps:
            words_before, tokens_before = state.words, state.tokens
            waiting.append(take_step(state, config, run.gradients, run.split, run.ranks))

            last = state.step == config.steps
            # Whichever process was told to stop: all do, after the same step.
            stop = run.ranks.any(interrupts.requested) and not last
            checkpoint = last or stop or state.step % config.checkpoint_every == 0
            validate = last or state.step % config.validate_every == 0
            probe = last or (config.probe_every > 0 and state.step % config.probe_every == 0)
            names = milestones(words_before, state.words) if config.word_checkpoints else []
            if len(waiting) == look_every or checkpoint or validate or probe or names:
                fields["loss"] = f"{_look(waiting, state, run):.3f}"
                seconds = time.monotonic() - started
                share = run.share_of_peak(state.tokens - tokens_at_start, seconds)
                fields["MFU"] = f"{share:.1%}"
            if validate:
                fields["bits/byte"] = f"{_validate(state, run).bits_per_byte:.3f}"
            if probe:
                fields |= _probe(state, run)
            _send(state, run)
            if checkpoint or names:
                _write(state, run, names, checkpoint)
            if progress is not None:
                progress.advance(state.tokens - tokens_before, **fields)
            if stop:
                _log.warning("stopped after step %d; run again to go on", state.step)
                raise KeyboardInterrupt


def _progress(state: TrainingState, run: Run) -> Progress | nullcontext[None]:
    config = run.config
    total = config.steps * config.batch_size * config.sequence_length
    return Progress("training", total, "token", state.tokens) if run.ranks.first else nullcontext()


def _send(state: TrainingState, run: Run) -> None:
    """Send the history's new rows to who watches."""
    if run.trackers.log(state.history.rows) and run.config.trackers:
        # A tracker may take longer than processes wait for one another within a step.
        run.ranks.wait_for_first()


def _write(state: TrainingState, run: Run, names: list[str], checkpoint: bool) -> None:
    """Export the present weights under `names`, and save the state if it is time to."""
    # Memory may have run out in one process only. What is saved is the state of the first, so all
    # go on from here as they would after a resume.
    state.pieces = run.ranks.largest(state.pieces)
    run.ranks.require_equal(state.digest() if run.ranks.size > 1 else "")
    if run.ranks.first:
        for name in names:
            run.export(name)
        if checkpoint:
            run.store.save(state.step, state.snapshot())
            state.history.write(run.history_path)
    run.ranks.wait_for_first()


def _look(waiting: list[StepRecord], state: TrainingState, run: Run) -> float:
    """Move the waiting steps' losses into the history; return the last one."""
    require_finite(
        waiting,
        run.split,
        f"{_last_checkpoint(run)}; with a larger train.skip_nonfinite training goes on and leaves "
        "the batch out, with another train.learning_rate it starts anew",
    )
    loss = float(waiting[-1].loss)
    for record in waiting:
        if not record.skipped:
            state.history.add_step(float(record.loss), float(record.gradient_norm), record.place)
    waiting.clear()
    return loss


def _last_checkpoint(run: Run) -> str:
    saved = run.store.paths()
    return f"last good checkpoint: {saved[-1] if saved else 'none'}"


def _measure(text: HeldOutText, state: TrainingState, run: Run) -> HeldOutLoss:
    try:
        return text.measure(state.model, run.objective)
    except NonFiniteLossError as error:
        raise SllamaError(f"step {state.step}: {error}; {_last_checkpoint(run)}") from error


def _validate(state: TrainingState, run: Run) -> HeldOutLoss:
    measured = _measure(run.validation, state, run)
    losses = {"validation_loss": measured.loss, "bits_per_byte": measured.bits_per_byte}
    selecting = measured
    if run.test is not None:
        selecting = _measure(run.test, state, run)
        losses["test_loss"] = selecting.loss
    state.history.add_held_out(_place(state), **losses)
    if run.config.keep != "last" and state.step > 0:
        state.keep_if_best(selecting.loss)
    return measured


def _probe(state: TrainingState, run: Run) -> dict[str, str]:
    """Score the minimal pairs, if there are any; return what to show of them."""
    if run.probe is None:
        return {}
    measured = run.probe.measure(state.model)
    state.history.add_held_out(
        _place(state), probe_accuracy=measured.accuracy, probe_tie_rate=measured.tie_rate
    )
    return {"pairs": f"{measured.accuracy:.1%}", "ties": f"{measured.tie_rate:.1%}"}


def _place(state: TrainingState) -> dict[str, float]:
    return {"step": state.step, "tokens": state.tokens, "words": round(state.words)}
