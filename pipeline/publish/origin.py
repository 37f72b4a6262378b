"""Seed, commit, machine and versions of a run, as a table of the card."""

from collections.abc import Iterator
from typing import Any

from pipeline.publish.records import RunRecord
from pipeline.report.numbers import count, fixed
from pipeline.report.tables import Row, Table

_UNKNOWN = "not recorded: no provenance lay beside the model"


def origin_table(run: RunRecord) -> Table:
    """What made the model: from its provenance, with what is unknown said to be so."""
    rows = [Row(("seed", str(run.inputs.params.seed)))]
    rows += [Row(cells) for cells in _rows(run.provenance)]
    return Table("Origin", ("What", "Value"), tuple(rows), frozenset({0, 1}))


def _rows(provenance: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    if provenance is None:
        yield "commit, machine, versions", _UNKNOWN
        return
    changed = ", with changes that were not committed" if provenance.get("dirty") else ""
    yield "commit", f"{provenance.get('commit') or 'outside git'}{changed}"
    machine = provenance.get("machine", {})
    yield "processor", f"{machine.get('processor', '?')}, {machine.get('cores', '?')} cores"
    yield "GPU", str(machine.get("gpu", "none"))
    if "threads" in machine:
        yield "threads", str(machine["threads"])
    for key in ("precision", "processes"):
        if key in provenance:
            yield key, str(provenance[key])
    # Time and speed are those of the last start.
    if provenance.get("resumed_after_step"):
        yield "resumed", f"after step {count(provenance['resumed_after_step'])}"
    else:
        if "loop_seconds" in provenance:
            yield "training time", f"{fixed(provenance['loop_seconds'], 1)} s"
        if "tokens_per_second" in provenance:
            yield "tokens a second", count(provenance["tokens_per_second"])
    yield "finished", str(provenance.get("finished", "?"))
    for name, version in sorted(provenance.get("versions", {}).items()):
        yield name, str(version)
