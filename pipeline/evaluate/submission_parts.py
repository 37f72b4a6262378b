"""What a submission is made of: its keys, their tasks, and how many predictions each expects."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import SllamaError
from pipeline.evaluate.items import Item
from pipeline.io import read_yaml

Rules = Literal["2025", "2026"]
SIZES = Path(__file__).resolve().parent / "submission_sizes.yaml"
STRICT_SMALL = tuple(f"chck_{n}M" for n in (*range(1, 10), *range(10, 101, 10)))
"""The checkpoints of the track strict-small."""
STRICT = (*STRICT_SMALL, *(f"chck_{n}M" for n in range(200, 1001, 100)))
"""Those of the track strict."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """A key of the submission: its task, its task in fast evaluations, and the text of a `pred`.

    `each_alone`: each item is a subtask of its own.
    """

    task: str
    fast_task: str | None
    text: Callable[[Item, int], str]
    each_alone: bool = False


def _continuation(item: Item, chosen: int) -> str:
    return item.options[chosen][1]


def _whole(item: Item, chosen: int) -> str:
    return "".join(item.options[chosen])


_COMMON = {
    "blimp": Part("blimp_filtered", "blimp_fast", _continuation),
    "blimp_supplement": Part("supplement_filtered", "supplement_fast", _continuation),
    "comps": Part("comps", None, _whole),
    "reading": Part("reading", "reading", _continuation),
}
PARTS: dict[Rules, dict[str, Part]] = {
    "2025": _COMMON
    | {
        "ewok": Part("ewok", "ewok_fast", _continuation),
        "entity_tracking": Part("entity_tracking", "entity_tracking_fast", _continuation),
        "wug_adj": Part("wug_adj", "wug_adj", _continuation),
        "wug_past": Part("wug_past", "wug_past", _continuation),
    },
    "2026": _COMMON
    | {
        "ewok": Part("ewok_2026", "ewok_fast_2026", _whole),
        "entity_tracking_filtered": Part(
            "entity_tracking_filtered", "entity_tracking_fast_2026", _continuation
        ),
        **{
            name: Part(name, name, _continuation, each_alone=True)
            for name in ("global_piqa_parallel", "global_piqa_nonparallel")
        },
    },
}
SURPRISALS: dict[Rules, tuple[str, str]] = {
    "2025": ("aoa", "aoa"),
    "2026": ("aoa_surprisals", "aoa_2026"),
}
"""The key of the words' surprisals, and the task they come from."""


def sizes_of(rules: Rules, key: str) -> dict[str, int]:
    """Return how many predictions each subtask of a key expects."""
    sizes: dict[str, int] = read_yaml(SIZES)[rules][key]
    return sizes


def fast_sizes(rules: Rules) -> dict[str, dict[str, int]]:
    """Return for each key how many items its subtasks have in fast evaluations."""
    sizes = read_yaml(SIZES)
    full = sizes[rules]
    return {
        key: listed if isinstance(listed, dict) else dict.fromkeys(full[key], listed)
        for key, listed in sizes["fast"].items()
        if key in full
    }


def check_surprisals(rules: Rules, steps: Sequence[str]) -> None:
    """Raise SllamaError unless each checkpoint has as many surprisals as the challenge's words.

    steps: the checkpoint of each. Other checkpoints than those of a track bring a warning.
    """
    found = Counter(steps)
    each = read_yaml(SIZES)["surprisals"][rules]
    require_sizes("aoa", found, dict.fromkeys((step.lower() for step in found), each))
    warn_of_checkpoints("aoa", set(found))


def warn_of_checkpoints(what: str, found: set[str]) -> None:
    """Warn unless what was `found` are the checkpoints of a track; `what` begins the line."""
    if found not in (set(STRICT_SMALL), set(STRICT)):
        _log.warning(
            "%s: %d checkpoints, not those of a track; strict-small has %d, %s to %s, strict %d, "
            "to %s",
            what,
            len(found),
            len(STRICT_SMALL),
            STRICT_SMALL[0],
            STRICT_SMALL[-1],
            len(STRICT),
            STRICT[-1],
        )


def require_sizes(what: str, found: Mapping[str, int], expected: dict[str, int]) -> None:
    """Raise SllamaError unless each subtask, in any case, has the expected number of predictions.

    what: names the predictions in the message.
    """
    made = {name.lower(): size for name, size in found.items()}
    if made != expected:
        wrong = sorted(
            name for name in made.keys() | expected.keys() if made.get(name) != expected.get(name)
        )
        raise SllamaError(
            f"{what}: expects other numbers of predictions for {', '.join(wrong[:5])}; "
            "check the benchmark data"
        )
