"""All that is looked at before the first step, whether a run or a dry run comes after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.config import Params
from pipeline.train.device import choose_numerics, deterministic_kernels
from pipeline.train.places import Places, require_outputs, require_tokenizer_of
from pipeline.train.prepare import Prepared, prepare
from pipeline.train.probe import Probe, load_probe
from pipeline.train.process_group import joined
from pipeline.train.trackers import require_packages


@contextmanager
def ready(params: Params, places: Places) -> Iterator[tuple[Prepared, Probe | None]]:
    """Join the processes and yield a run that has not begun, and its probe if it has one.

    Kernels inside the block are as deterministic as the recipe says. Nothing is written.
    SllamaError: recipe, machine, inputs and outputs do not go together.
    """
    require_packages(params.train.trackers)
    with joined(params.train) as ranks:
        numerics = choose_numerics(params.train)
        with deterministic_kernels(params.train, numerics.device):
            if ranks.first:
                require_outputs(places)
            prepared = prepare(params, places.tokens, numerics, ranks)
            require_tokenizer_of(prepared.facts, places.tokenizer)
            yield prepared, _probe(params, prepared, places.tokenizer)


def _probe(params: Params, prepared: Prepared, tokenizer: Path) -> Probe | None:
    if params.train.probe_every == 0:
        return None
    context = params.model.max_position_embeddings
    pairs = Path(params.train.probe_pairs)
    return load_probe(pairs, tokenizer, prepared.facts, context, prepared.ranks)
