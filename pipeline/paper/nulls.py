"""The scorers that know nothing: their files if they are of the plan's corpus, else the ledger."""

import logging
from pathlib import Path

from pipeline.paper.files import checked, provenance_of, read_made
from pipeline.paper.ledger import Ledger
from pipeline.paper.recorded import Facts, corpus_facts, differences, heldout_facts
from pipeline.paper.run import Null, Origin
from pipeline.paper.scores import Results, read_tasks
from pipeline.paper.settings import Settings
from pipeline.report.records import Tokens

_log = logging.getLogger(__name__)


def read_nulls(
    settings: Settings,
    folder: Path,
    tokens: Tokens | None,
    wanted: Facts,
    ledger: Ledger,
    data: str | None,
) -> dict[str, Null]:
    """Return the selected scorers that were run, by name.

    tokens, wanted: what the encode stage and the plan say of the corpus. data: the fingerprint of
    the plan's data. SllamaError where a file is malformed.
    """
    selected, heldout, nulls = settings.selected, settings.profile.tasks["heldout"], {}
    for name in [*selected.nulls, *(f"uniform_{name}" for name in selected.mirrored_tokenizers)]:
        path, own = folder / f"{name}.json", name in selected.nulls
        null = _read(path, heldout, tokens, wanted, own_tokenizer=own)
        if null is None or not null.tasks:  # not run, or without what it needs
            null = ledger.null(name, data) or null
        if null is not None:
            nulls[name] = null
    return nulls


def _read(
    path: Path, heldout: str, tokens: Tokens | None, wanted: Facts, *, own_tokenizer: bool
) -> Null | None:
    if not path.is_file():
        return None
    values = read_made(path)
    if isinstance(values, dict) and values.get("status") == "missing":
        return Null({}, Origin())
    results, corpus = checked(Results, values, str(path)), corpus_facts(tokens)
    found = corpus | heldout_facts(results.tasks, heldout)
    if own_tokenizer:
        found["vocabulary"] = results.tokenizer.vocab_size
    else:
        found.pop("vocabulary", None)
    if unlike := differences(found, corpus | wanted):
        _log.warning("%s counts as not run: it is of another corpus (%s)", path, unlike)
        return None
    return Null(read_tasks(results.tasks, path), Origin.of(provenance_of(path)))
