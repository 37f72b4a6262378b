"""The model card: README.md with YAML front matter, from the records of a run."""

from collections.abc import Iterator
from typing import Any

import yaml

from pipeline.publish.origin import origin_table
from pipeline.publish.records import RunRecord
from pipeline.report.document import Document, compose
from pipeline.report.inputs import Inputs
from pipeline.report.markdown import escape, render_table
from pipeline.report.numbers import count, percent, short_count
from pipeline.report.records import ChoiceTask
from pipeline.report.tables import Table

_TOY_WORDS = 1_000_000
_LICENCE = "apache-2.0"
_CITATION = """\
@inproceedings{omolaoye2025sllama,
  title     = {SLlama: Parameter-Efficient Language Model Architecture for Enhanced Linguistic
               Competence Under Strict Data Constraints},
  author    = {Omolaoye and Owoyele and de Melo},
  booktitle = {Proceedings of EMNLP 2025},
  note      = {2025.emnlp-main.1198},
  doi       = {10.18653/v1/2025.emnlp-main.1198}
}"""


def model_card(run: RunRecord, name: str, address: str, checkpoints: list[str]) -> str:
    """Return the card of revision `main`.

    name: the model's, its heading. address: what `from_pretrained` is given. checkpoints: names of
    the revisions beside main.
    """
    document = compose(run.inputs, figures={})
    parts = [_front_matter(run), f"# {escape(name)}", escape(document.summary)]
    if document.warning:
        parts.append(f"> **{escape(document.warning)}**")
    parts += [f"> {escape(caution)}" for caution in document.cautions]
    parts += ["## Load it", *_loading(address, checkpoints)]
    parts += ["## Scores", *_tables(document, "Scores")]
    parts += ["## Limits", "\n".join(f"- {escape(limit)}" for limit in limits(run.inputs))]
    parts += ["## Data", *_data(run), *_tables(document, "Data")]
    parts += ["## Recipe", *_tables(document, "Training"), *_tables_and_code(document, "Recipe")]
    parts += ["## Parameters", *_tables(document, "Parameters")]
    parts += ["## How it was made", render_table(origin_table(run))]
    parts += ["## Licence", *_licence(run)]
    parts += ["## Citation", f"```bibtex\n{_CITATION}\n```"]
    return "\n\n".join(parts) + "\n"


def checkpoint_card(run: RunRecord, name: str, revision: str) -> str:
    """Return the card of a checkpoint: what it is, and where the rest stands."""
    words = revision.removeprefix("chck_").removesuffix("M")
    warning = compose(run.inputs, figures={}).warning
    parts = [
        _dump(_description(run)),
        f"# {escape(name)}, {escape(revision)}",
        f"The weights after {words} million words of training text, repetitions counted. This "
        "state was not scored. Revision `main` is the finished model; its card says what it was "
        "trained on, how, and what it cannot do.",
    ]
    if warning:
        parts.insert(2, f"> **{escape(warning)}**")
    return "\n\n".join(parts) + "\n"


def limits(inputs: Inputs) -> Iterator[str]:
    """Yield what the model cannot do, and what its scores cannot say."""
    train, params = inputs.train, inputs.params
    words = inputs.tokens.splits["train"].words if "train" in inputs.tokens.splits else 0
    if params.data.source == "demo" or words < _TOY_WORDS:
        yield (
            f"Toy size: {count(words)} words of training text. A run this small shows that the "
            "pipeline works; its scores say nothing of the architecture on real text."
        )
    for name, task in inputs.choice_tasks.items():
        if beaten := _not_better_than(task):
            yield f"{name}: no better than {beaten}, which knows nothing of syntax."
    yield (
        f"A language model of {short_count(train.parameters)} parameters that continues text and "
        "scores sentences. It follows no instructions, holds no conversation and knows few facts; "
        "what it writes is not to be relied on."
    )
    yield (
        f"It sees at most {count(params.model.max_position_embeddings)} tokens, and knows no other "
        "text than the corpus named below, with the views and the language of that corpus."
    )
    yield (
        "Minimal pairs measure which of two sentences is found likelier, under the rule for ties "
        "that stands below the table; one run with one seed says nothing of the spread."
    )
    for name in inputs.missing_tasks:
        yield f"{name}: not measured; the reason stands in the table of what is missing."


def _not_better_than(task: ChoiceTask) -> str | None:
    rivals = {
        name: scores.accuracy
        for name, scores in task.null.items()
        if scores.accuracy >= task.ci95[0]
    }
    return max(rivals, key=lambda name: rivals[name]) if rivals else None


def _description(run: RunRecord) -> dict[str, Any]:
    tags = ["sllama", "babylm", "custom_code"]
    described: dict[str, Any] = {"license": _LICENCE, "library_name": "transformers"}
    if run.inputs.params.data.source != "local":
        described["language"] = ["en"]
    if run.corpus.hub is not None:
        described["datasets"] = [run.corpus.hub.repository]
    if run.inputs.tokens.stand_in:
        tags.append("stand-in-data")
    return described | {"pipeline_tag": "text-generation", "tags": tags}


def _front_matter(run: RunRecord) -> str:
    results = [
        {
            "task": {"type": "text-generation", "name": "forced choice"},
            "dataset": {"type": name, "name": name},
            "metrics": [
                {
                    "type": "accuracy",
                    "name": "accuracy %, a tie of n options worth 1/n",
                    "value": float(percent(task.accuracy)),
                },
                {
                    "type": "tie_rate",
                    "name": "ties %",
                    "value": float(percent(task.tie_rate)),
                },
                *(
                    {
                        "type": "accuracy",
                        "name": f"accuracy % of the {null} scorer, which knows nothing",
                        "value": float(percent(scores.accuracy)),
                    }
                    for null, scores in task.null.items()
                ),
            ],
        }
        for name, task in run.inputs.choice_tasks.items()
    ]
    described = _description(run)
    if results:
        described["model-index"] = [{"name": run.inputs.params.report.title, "results": results}]
    return _dump(described)


def _dump(values: dict[str, Any]) -> str:
    return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---"


def _loading(address: str, checkpoints: list[str]) -> Iterator[str]:
    yield (
        "The code that builds the model lies beside the weights; read it, then let transformers "
        "(4.51 or newer) run it:"
    )
    yield (
        "```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        f"address = {address!r}\n"
        "tokenizer = AutoTokenizer.from_pretrained(address, trust_remote_code=True)\n"
        "model = AutoModelForCausalLM.from_pretrained(address, trust_remote_code=True)\n```"
    )
    if checkpoints:
        yield (
            "Checkpoints by millions of words seen, repetitions counted, are revisions (in a "
            f"folder: folders beside main): {', '.join(f'`{name}`' for name in checkpoints)}."
        )


def _data(run: RunRecord) -> Iterator[str]:
    corpus = run.corpus
    yield escape(f"{run.inputs.params.data.source}: {corpus.description}.")
    if corpus.hub is not None:
        yield escape(f"{corpus.hub.repository} at revision {corpus.hub.revision}.")
    if corpus.note:
        yield escape(corpus.note)


def _licence(run: RunRecord) -> Iterator[str]:
    yield "Code and weights: Apache-2.0."
    yield escape(f"The corpus is not part of this repository; its licence: {run.corpus.licence}.")


def _tables(document: Document, heading: str) -> list[str]:
    return [
        render_table(block)
        for section in document.sections
        if section.heading == heading
        for block in (*section.blocks, *section.folded)
        if isinstance(block, Table)
    ]


def _tables_and_code(document: Document, heading: str) -> list[str]:
    sections = [section for section in document.sections if section.heading == heading]
    tables = _tables(document, heading)
    return [*tables, *(f"```yaml\n{section.code.rstrip()}\n```" for section in sections)]
