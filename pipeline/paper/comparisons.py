"""Tables 2 to 4: what each part does, the choices, the faults of the released code."""

from pipeline.paper.cells import (
    NONE,
    NOT_RUN,
    bits_change_cell,
    bits_differences,
    choice_cell,
    difference_cells,
    item_difference,
    points,
    seeds_cell,
    size_cells,
    speed_cell,
)
from pipeline.paper.inputs import Inputs, Run
from pipeline.paper.rows import labelled, row_kind
from pipeline.paper.settings import Variant
from pipeline.paper.statistics import spread
from pipeline.report.numbers import count
from pipeline.report.records import GroupScores
from pipeline.report.tables import Row, Table

_COMPONENTS = ("embedding", "head", "matrices", "norms_and_biases")
_INTERVAL = (
    "Difference: in points, credits averaged over the common seeds; its 95% interval is a "
    "bootstrap over items and leaves out what other seeds would give."
)


def parts_table(inputs: Inputs) -> Table:
    """Table 2: each reduction taken from SLlama, each added to a Llama."""
    rows = []
    for label, variant in labelled(inputs, "parts"):
        runs = inputs.runs.get(variant.name, [])
        cells = (
            label,
            size_cells(runs)[0],
            *_components(runs),
            choice_cell(inputs, runs, "pairs"),
            *_difference(inputs, variant, runs),
            choice_cell(inputs, runs, "heldout", "bits_per_byte"),
            _bits_change(inputs, variant, runs),
            speed_cell(runs),
            seeds_cell(runs),
        )
        rows.append(Row(cells, row_kind(inputs, variant, runs)))
    return Table(
        "Table 2. What each part does",
        (
            "Model",
            "Parameters",
            "Embedding",
            "Head",
            "Matrices",
            "Norms, biases",
            f"{inputs.task('pairs')} %",
            "Difference",
            "95% interval",
            "Bits per byte",
            "Change of bits",
            "Tokens a second",
            "Seeds",
        ),
        tuple(rows),
        frozenset({0}),
        (
            "Differences are from SLlama, those of the rows that add a part from the Llama.",
            _INTERVAL,
            "A tensor that several layers share is counted once. Speed is that of the training "
            "loop on the machines listed under Runs, other load included.",
        ),
    )


def choices_table(inputs: Inputs) -> Table:
    """Table 3: the options of the released code, grouped by what they choose."""
    groups: dict[str, list[Row]] = {}
    for label, variant in labelled(inputs, "choices"):
        group, _, choice = label.partition(": ")
        runs = inputs.runs.get(variant.name, [])
        cells = (
            group,
            choice or label,
            size_cells(runs)[0],
            choice_cell(inputs, runs, "pairs"),
            *_difference(inputs, variant, runs),
            choice_cell(inputs, runs, "heldout", "bits_per_byte"),
            _bits_change(inputs, variant, runs),
            seeds_cell(runs),
        )
        groups.setdefault(group, []).append(Row(cells, row_kind(inputs, variant, runs)))
    return Table(
        "Table 3. Choices",
        (
            "Choice",
            "Option",
            "Parameters",
            f"{inputs.task('pairs')} %",
            "Difference",
            "95% interval",
            "Bits per byte",
            "Change of bits",
            "Seeds",
        ),
        tuple(row for rows in groups.values() for row in rows),
        frozenset({0, 1}),
        ("Everything else is SLlama's. Differences are from SLlama.", _INTERVAL),
    )


def audit_table(inputs: Inputs) -> Table:
    """Table 4: each fault of the released code alone, and what a rule for ties does."""
    rows = []
    for label, variant in labelled(inputs, "audit"):
        runs = inputs.runs.get(variant.name, [])
        cells = (
            label,
            choice_cell(inputs, runs, "pairs"),
            *_difference(inputs, variant, runs),
            choice_cell(inputs, runs, "pairs", "accuracy_first_wins"),
            choice_cell(inputs, runs, "pairs", "tie_rate"),
            choice_cell(inputs, runs, "heldout", "bits_per_byte"),
            _bits_change(inputs, variant, runs),
            seeds_cell(runs),
        )
        rows.append(Row(cells, row_kind(inputs, variant, runs)))
    rows += _tie_rule_rows(inputs)
    return Table(
        "Table 4. Audit: the released code's faults, one at a time",
        (
            "Fault",
            f"{inputs.task('pairs')} %",
            "Difference",
            "95% interval",
            "First-wins %",
            "Tie rate %",
            "Bits per byte",
            "Change of bits",
            "Seeds",
        ),
        tuple(rows),
        frozenset({0}),
        (
            "Reloaded: one fresh MLP, N(0, 0.02), in place of the trained one in all layers but "
            "the first, which keeps its gate and down projections but gets the fresh up "
            "projection.",
            "Tie rule: first-wins minus half credit on the very same scores, no model changed.",
            _INTERVAL,
        ),
    )


def _tie_rule_rows(inputs: Inputs) -> list[Row]:
    task, reference = inputs.task("pairs") or "", inputs.settings.reference
    models = [run.choice(task) for run in inputs.runs.get(reference, [])]
    scored = {"corrected recipe": [scores for scores in models if scores is not None]}
    for name, tasks in inputs.nulls.items():
        found = tasks.get(task)
        if isinstance(found, GroupScores):
            scored[f"{name} scorer"] = [found]
    rows = []
    for name, scores in scored.items():
        gains = [score.accuracy_first_wins - score.accuracy for score in scores]
        gain = points(spread(gains).mean) if gains else NOT_RUN
        cells = (f"tie rule alone: {name}", NONE, gain, *(NONE,) * 5, str(len(gains) or NONE))
        rows.append(Row(cells, "null"))
    return rows


def _components(runs: list[Run]) -> tuple[str, ...]:
    if not runs:
        return (NOT_RUN,) * len(_COMPONENTS)
    sizes = runs[0].train.parameters_by_component
    return tuple(count(sizes[name]) for name in _COMPONENTS)


def _difference(inputs: Inputs, variant: Variant, runs: list[Run]) -> tuple[str, str]:
    base = variant.against or inputs.settings.reference
    if variant.name == base:
        return NONE, NONE
    if not runs or not inputs.runs.get(base):
        return NOT_RUN, NOT_RUN
    return difference_cells(item_difference(inputs, runs, inputs.runs[base]))


def _bits_change(inputs: Inputs, variant: Variant, runs: list[Run]) -> str:
    base = variant.against or inputs.settings.reference
    if variant.name == base:
        return NONE
    return bits_change_cell(bits_differences(inputs, runs, inputs.runs.get(base, [])))
