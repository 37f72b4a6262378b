"""The results of an evaluation as text for a terminal."""

from collections.abc import Iterator
from statistics import fmean
from typing import Any

from pipeline.evaluate.catalog import GLUE

_HEADER = (
    "task",
    "scorer",
    "n",
    "accuracy",
    "first wins",
    "ties wrong",
    "tie rate",
    "95% interval",
)


# Of tasks without right answers; null where it is undefined.
_MEASURES = ("score", "official", "p_value", "eye_tracking", "self_paced", "tie_rate")


def result_table(results: dict[str, Any]) -> str:
    """Return a table of the results, a row for each task and scorer: in percent, but for bits per
    byte, correlations and gains in R2.

    `accuracy` gives a tie half credit, `first wins` full credit (an argmax over [good, bad]).
    Where all tasks of the challenge's GLUE score are there, the last row is their mean.
    """
    rows: list[tuple[str, ...]] = [_HEADER]
    for task, result in results["tasks"].items():
        rows.append(_row(task, results["scorer"], result))
        metric = str(result.get("metric", ""))
        rows.extend(_row(task, name, null, metric) for name, null in result.get("null", {}).items())
    rows.extend(_glue_mean(results))
    columns = range(len(_HEADER))
    widths = [
        max(len(row[column]) for row in rows if len(row) > max(column, 4) or column < 3)
        for column in columns
    ]
    return "\n".join(_aligned(row, widths) for row in rows)


def _glue_mean(results: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    made = [results["tasks"].get(f"glue_{name}", {}) for name in GLUE]
    if all("honest" in result for result in made):
        honest, official = (
            100 * fmean(result[key]["score"] for result in made) for key in ("honest", "official")
        )
        figures = f"mean of {len(made)} {honest:.2f} honest, {official:.2f} official"
        yield ("glue", results["scorer"], "", figures)


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    """Return the cells in their columns: words on the left; what a short row has last runs on."""
    names = [cell.ljust(width) for cell, width in zip(row[:2], widths, strict=False)]
    figures = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=False)]
    if len(row) < len(_HEADER):
        figures = [figures[0], *row[3:]]
    return "  ".join([*names, *figures]).rstrip()


def _row(task: str, scorer: str, result: dict[str, Any], metric: str = "") -> tuple[str, ...]:
    if result.get("status") == "missing":
        return (task, scorer, "missing", result["reason"])
    if "bits_per_byte" in result:
        bits = result["bits_per_byte"]
        return (
            task,
            scorer,
            str(result["tokens"]),
            "bits/byte undefined" if bits is None else f"{bits:.4f} bits/byte",
        )
    if "honest" in result:
        honest, official = (100 * result[key]["score"] for key in ("honest", "official"))
        figures = f"{result['metric']} {honest:.2f} honest, {official:.2f} official"
        return (task, scorer, str(result["n"]), figures)
    if "label" in result:  # one answer to every question of a fine-tuning task
        return (task, scorer, "", f"{metric} {100 * result['score']:.2f}")
    if "accuracy" not in result:
        figures = ", ".join(
            f"{key} {_four_digits(result[key])}" for key in _MEASURES if key in result
        )
        return (task, scorer, str(result["n"]), figures)
    shares = ("accuracy", "accuracy_first_wins", "accuracy_ties_wrong", "tie_rate")
    interval = " to ".join(f"{100 * bound:.2f}" for bound in result["ci95"])
    return (
        task,
        scorer,
        str(result["n"]),
        *(f"{100 * result[key]:.2f}" for key in shares),
        interval,
    )


def _four_digits(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
