"""lm-eval tasks that read local files: comparisons of options, and held-out text.

They build lm-eval requests from items directly; the templates of lm-eval's own task class take a
quarter of an evaluation's time. `metadata` comes from the task's YAML file plus what the
TaskManager was given: `data` (benchmark folder) or `tokens` (folder of the held-out text).
"""

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.metrics import mean
from lm_eval.api.task import Task
from lm_eval.config.task import TaskConfig
from lm_eval.filters import build_filter_ensemble

from pipeline.errors import SllamaError
from pipeline.evaluate.encoding import OptionEncoder
from pipeline.evaluate.heldout import heldout_documents
from pipeline.evaluate.items import Item
from pipeline.evaluate.results import (
    Scores,
    accuracy_result,
    heldout_result,
    item_line,
    require_finite,
    split_by_item,
)
from pipeline.evaluate.task_items import read_items

_DECIMALS = 9


class LocalTask(Task):  # type: ignore[misc]
    """What the local tasks share: documents in memory, no few-shot examples, no templates."""

    VERSION = 1

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = TaskConfig(
            task=config["task"],
            metadata=config["metadata"],
            output_type=self.OUTPUT_TYPE,
            num_fewshot=0,
        )
        self.metadata: dict[str, Any] = config["metadata"]
        self._filters = [build_filter_ensemble("none", [["take_first", None]])]
        self._instances: list[Instance] = []
        self.documents = self.read()

    @abstractmethod
    def read(self) -> list[Any]:
        """Return the documents; MissingDataError if the data is not there."""

    @abstractmethod
    def scores(self, values: list[Any]) -> Scores:
        """Return the responses to the requests as one row of log-probabilities per document."""

    @abstractmethod
    def identifiers(self) -> list[str]:
        """Return a name for each document that was scored."""

    @abstractmethod
    def summarise(
        self, values: list[Any], encoder: OptionEncoder, samples: int, seed: int
    ) -> dict[str, Any]:
        """Return the task's entry in the results: `values` are the responses to the requests."""

    def responses(
        self, values: list[Any], encoder: OptionEncoder, longest: int | None = None
    ) -> list[Any]:
        """Return a scorer's responses to the requests as the other methods take them.

        longest: how many tokens of one text it scores at most.
        """
        return values

    def require_finite(self, values: list[Any]) -> None:
        """Raise SllamaError if a score is NaN or infinite."""
        require_finite(self.task_name, self.identifiers(), self.scores(values))

    def lines(self, values: list[Any]) -> list[str]:
        """Return the lines of the per-item file."""
        return [
            item_line(self.task_name, name, row)
            for name, row in zip(self.identifiers(), self.scores(values), strict=True)
        ]

    def has_training_docs(self) -> bool:
        """There is nothing to train on."""
        return False

    def has_validation_docs(self) -> bool:
        """There is no validation split."""
        return False

    def has_test_docs(self) -> bool:
        """All documents are test documents."""
        return True

    def test_docs(self) -> list[Any]:
        """Return all documents."""
        return self.documents

    def doc_to_text(self, doc: Any) -> str:
        """Return the empty prompt: contexts are part of the requests."""
        return ""

    def doc_to_target(self, doc: Any) -> str:
        """Return the empty target: what is right is part of the item."""
        return ""

    def build_all_requests(self, *, limit: int | None = None, **unused: Any) -> None:
        """Make the requests of all documents, or of the first `limit`."""
        self._instances = [
            request
            for number, document in enumerate(self.documents[:limit])
            for request in self.construct_requests(document, "", number=number)
        ]

    def request(self, arguments: tuple[str, ...], document: Any, number: int, index: int) -> Any:
        """Return one lm-eval request."""
        place = (self.task_name, number, 1)
        return Instance(self.OUTPUT_TYPE, document, arguments, index, place)

    def aggregation(self) -> dict[str, Callable[[list[Any]], float]]:
        """Return how lm-eval's own table averages the metrics; the audit has the real numbers."""
        return dict.fromkeys(self.higher_is_better(), mean)


class ItemTask(LocalTask):
    """Options compared with one another by log-probability: minimal pairs and their kin."""

    OUTPUT_TYPE = "loglikelihood"

    def read(self) -> list[Item]:
        """Return the items of the benchmark that the metadata names."""
        if not self.metadata.get("data"):
            raise SllamaError(f"{self.task_name}: name the folder of benchmark data (--data)")
        return read_items(self.task_name, Path(self.metadata["data"]), self.metadata)

    def construct_requests(self, doc: Item, ctx: str, **place: Any) -> list[Instance]:
        """Return one request per option."""
        return [
            self.request(option, doc, place["number"], index)
            for index, option in enumerate(doc.options)
        ]

    def scores(self, values: list[tuple[float, bool]]) -> Scores:
        """Return one row per item, one log-probability per option."""
        return split_by_item(self.documents, [score for score, _ in values])

    def identifiers(self) -> list[str]:
        """Return the items' identifiers."""
        return [item.identifier for item in self.documents]

    def summarise(
        self, values: list[Any], encoder: OptionEncoder, samples: int, seed: int
    ) -> dict[str, Any]:
        """Return the audited accuracy."""
        return accuracy_result(self.documents, self.scores(values), samples, seed)

    def process_results(self, doc: Item, results: list[tuple[float, bool]]) -> dict[str, float]:
        """Return lm-eval's metric: is the right option the first of the best?"""
        scores = [score for score, _ in results]
        return {"acc": float(scores.index(max(scores)) == doc.answer)}

    def higher_is_better(self) -> dict[str, bool]:
        """Return the direction of the metric."""
        return {"acc": True}


class PerTokenTask(ItemTask):
    """Options compared by their mean log-probability per token, so that a long one may win."""

    def responses(
        self,
        values: list[tuple[float, bool]],
        encoder: OptionEncoder,
        longest: int | None = None,
    ) -> list[tuple[float, bool]]:
        """Return each score divided by the number of tokens that were scored."""
        options = [option for item in self.documents for option in item.options]
        lengths = [len(row.scored) for row in encoder.encode(options)]
        scored = [length if longest is None else min(length, longest) for length in lengths]
        # Rounded, so that scores which are equal but for the last bits of the division are ties.
        return [
            (round(score / max(1, count), _DECIMALS), greedy)
            for (score, greedy), count in zip(values, scored, strict=True)
        ]


class HeldoutTask(LocalTask):
    """Held-out documents of the run's own corpus, each scored whole."""

    OUTPUT_TYPE = "loglikelihood_rolling"

    def read(self) -> list[str]:
        """Return the texts of the test split."""
        tokens = self.metadata.get("tokens")
        return [document.text for document in heldout_documents(tokens and Path(tokens))]

    def construct_requests(self, doc: str, ctx: str, **place: Any) -> list[Instance]:
        """Return one request for the whole text."""
        return [self.request((doc,), doc, place["number"], 0)]

    def scores(self, values: list[float]) -> Scores:
        """Return one log-probability per document."""
        return [[value] for value in values]

    def identifiers(self) -> list[str]:
        """Return the documents' numbers."""
        return [f"document_{number}" for number in range(len(self.documents))]

    def summarise(
        self, values: list[Any], encoder: OptionEncoder, samples: int, seed: int
    ) -> dict[str, Any]:
        """Return bits per byte and perplexity, and `unread_bytes`, if there are any."""
        encoded = encoder.encode_documents(self.documents)
        tokens = [len(row.scored) for row in encoded]
        result = heldout_result(self.documents, tokens, values, samples, seed)
        unread = encoder.tokenizer.unread_bytes(self.documents)
        return result | ({"unread_bytes": unread} if unread else {})

    def process_results(self, doc: str, results: list[float]) -> dict[str, float]:
        """Return the log-probability of the text."""
        return {"loglikelihood": results[0]}

    def higher_is_better(self) -> dict[str, bool]:
        """Return the direction of the metric."""
        return {"loglikelihood": True}
