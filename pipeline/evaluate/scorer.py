"""`sllama-fast`: the exact log-probabilities of lm-eval's `hf` model class, many times faster.

Common prefixes are computed once, logits are never kept, and rounding cannot break ties: a token
after a prefix is scored once, whatever sentences it occurs in. The fast path is compared with the
model's own forward pass at load, and again on the first row that is longer than all before; a model
that needs more than causal attention and a linear output layer (or that looks ahead, or whose
attention has a window) is scored row by row instead.
"""

import itertools
import logging
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import numpy as np
import torch
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM
from torch import Tensor

from pipeline.evaluate.bundles import Bundle, pack
from pipeline.evaluate.encoding import Encoded, FastTokenizer, OptionEncoder
from pipeline.evaluate.forward import has_window, require_all_weights, without_cache
from pipeline.evaluate.head import Head
from pipeline.evaluate.parallel import map_batches
from pipeline.evaluate.windows import rolling_windows
from pipeline.progress import Progress

_log = logging.getLogger(__name__)
_CPU_BATCH_TOKENS = 1024
_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
_LOOSE_TOLERANCE = 0.1
_CHECKED_AT_LOAD, _CHECKED_AT_MOST = 12, 1024
_ROW_BY_ROW = "the model does not allow shared prefixes; scoring row by row"


@register_model("sllama-fast")
class FastScorer(HFLM):  # type: ignore[misc]
    """A causal Hugging Face model behind lm-eval's interface.

    `max_batch_tokens` bounds the tokens of a forward pass, and with them the memory. Without
    `is_greedy` the second value of an answer is always False, which saves a tenth of the time.
    SllamaError if the folder's files lack weights.
    """

    _model: Any

    def __init__(
        self,
        pretrained: Any,
        max_batch_tokens: int = 8192,
        is_greedy: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(pretrained, backend="causal", **options)
        self.encoder = OptionEncoder(FastTokenizer(self.tokenizer))
        self.max_batch_tokens = max_batch_tokens
        self.is_greedy = is_greedy
        self.truncated: list[bool] = []
        self.looks_ahead = self._looks_ahead()
        self.shares_prefixes = not self.looks_ahead and self._fast_path_agrees()
        if self.looks_ahead:
            _log.warning(
                "the model looks ahead: what it says of a token depends on the tokens after it; "
                "its scores are no probabilities of a text"
            )
        if not self.shares_prefixes:
            _log.warning(_ROW_BY_ROW)

    def _create_model(self, pretrained: str, **options: Any) -> None:
        super()._create_model(pretrained, output_loading_info=True, **options)
        self._model, found = self._model
        require_all_weights(found)

    def loglikelihood(
        self, requests: list[Any], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """Return (log-probability, is it the greedy continuation) of each request."""
        rows = self.encoder.encode([request.args for request in requests])
        return self.score(rows)

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """Return the log-probability of each text, every token scored once in a long context."""
        texts = self.encoder.encode_documents([request.args[0] for request in requests])
        windows = [rolling_windows(text, self.max_length) for text in texts]
        scores = iter(self.score([window for parts in windows for window in parts]))
        return [sum(next(scores)[0] for _ in parts) for parts in windows]

    def _loglikelihood_tokens(
        self, requests: list[Any], disable_tqdm: bool = False, **unused: Any
    ) -> list[tuple[float, bool]]:
        return self.score(
            [Encoded([*context, *rest], len(context)) for _, context, rest in requests]
        )

    def score(self, rows: Sequence[Encoded]) -> list[tuple[float, bool]]:
        """Return (log-probability, greedy) of each row; too long ones lose tokens on the left.

        Afterwards `truncated` says which rows were too long.
        """
        limit = self.max_length + 1
        self.truncated = [len(row.tokens) > limit for row in rows]
        keys = [_key(_keep_right(row, limit)) for row in rows]
        distinct = sorted(set(keys))
        unique = [Encoded(list(tokens), start) for tokens, start in distinct]
        if self.shares_prefixes and not self._still_agrees(unique):
            self.shares_prefixes = False
            _log.warning(_ROW_BY_ROW)
        scorer = self._score_bundles if self.shares_prefixes else self._score_rows
        scored = scorer(unique)
        if self.shares_prefixes:
            # What is masked is still multiplied: one NaN spoils all rows of its bundle.
            spoilt = [place for place, (score, _) in enumerate(scored) if not isfinite(score)]
            alone = self._score_rows([unique[place] for place in spoilt])
            for place, result in zip(spoilt, alone, strict=True):
                scored[place] = result
        results = dict(zip(distinct, scored, strict=True))
        if not self.is_greedy:
            return [(results[key][0], False) for key in keys]
        return [results[key] for key in keys]

    def _score_bundles(self, rows: list[Encoded]) -> list[tuple[float, bool]]:
        results: list[tuple[float, bool]] = [(0.0, True)] * len(rows)
        bundles = [bundle for bundle in pack(rows) if len(bundle.targets)]
        batches = list(_batches(bundles, lambda bundle: bundle.size, self._batch_tokens()))
        with Progress("scoring", sum(len(bundle.targets) for bundle in bundles), "token") as shown:
            predicted = map_batches(self._predict, batches, self.device)
            for batch, predictions in zip(batches, predicted, strict=True):
                for bundle, (logprobs, greedy) in zip(batch, predictions, strict=True):
                    first, last = bundle.rows
                    lengths = [len(row.scored) for row in rows[first:last]]
                    results[first:last] = _sums(logprobs, greedy, lengths)
                    shown.advance(len(bundle.targets))
        return results

    def _predict(self, batch: list[Bundle]) -> list[tuple[Any, Any]]:
        """Return log-probability and greediness of each bundle's predictions."""
        hidden = self._hidden_of_trees(batch)
        size = batch[0].size
        places = np.concatenate([bundle.nodes + i * size for i, bundle in enumerate(batch)])
        needed, inverse = np.unique(places, return_inverse=True)
        states = hidden[torch.from_numpy(needed).to(hidden.device)]
        back = torch.from_numpy(inverse).to(hidden.device)
        targets = torch.from_numpy(np.concatenate([bundle.targets for bundle in batch]))
        logits = self._head.target_logits(states[back], targets.to(hidden.device))
        normaliser, top = self._head.normalisers(states, self.is_greedy)
        logprobs = (logits - normaliser[back]).double().cpu().numpy()
        greedy = (logits >= top[back]).cpu().numpy()
        edges = np.cumsum([len(bundle.targets) for bundle in batch])[:-1]
        return list(zip(np.split(logprobs, edges), np.split(greedy, edges), strict=True))

    def _hidden_of_trees(self, batch: list[Bundle]) -> Tensor:
        """Return the hidden states of a batch of equal-sized bundles: (bundles * size, width)."""
        tokens, depths, ends = (
            torch.from_numpy(np.stack([getattr(bundle, name) for bundle in batch])).to(self.device)
            for name in ("tokens", "depths", "ends")
        )
        places = torch.arange(tokens.shape[1], device=self.device)
        visible = (places <= places[:, None]) & (places[:, None] < ends[:, None, :])
        mask = torch.zeros(visible.shape, dtype=self.model.dtype, device=self.device)
        mask.masked_fill_(~visible, torch.finfo(mask.dtype).min)
        output = self.model.base_model(
            input_ids=tokens,
            attention_mask=mask[:, None],
            position_ids=depths,
            **without_cache(self.model.base_model),
        )
        hidden: Tensor = output[0]
        return hidden.flatten(0, 1)

    def _score_rows(self, rows: list[Encoded]) -> list[tuple[float, bool]]:
        results: list[tuple[float, bool]] = [(0.0, True)] * len(rows)
        order = [i for i, row in enumerate(rows) if row.scored]
        sized = _batches(order, lambda i: len(rows[i].tokens) - 1, self._batch_tokens())
        batches = [[rows[i] for i in batch] for batch in sized]
        places = [i for batch in sized for i in batch]
        scored = map_batches(self._predict_rows, batches, self.device)
        for place, result in zip(
            places, (result for part in scored for result in part), strict=True
        ):
            results[place] = result
        return results

    def _predict_rows(self, batch: list[Encoded]) -> list[tuple[float, bool]]:
        """Score equally long rows with the model's own logits."""
        tokens = torch.tensor([row.tokens for row in batch], device=self.device)
        logits = self.model(input_ids=tokens[:, :-1], **without_cache(self.model)).logits.float()
        chosen = logits.gather(-1, tokens[:, 1:, None])[..., 0]
        logprobs = (chosen - logits.logsumexp(-1)).double().cpu().numpy()
        greedy = (chosen >= logits.amax(-1)).cpu().numpy()
        return [
            _sums(
                logprobs[place, row.start - 1 :], greedy[place, row.start - 1 :], [len(row.scored)]
            )[0]
            for place, row in enumerate(batch)
        ]

    def _batch_tokens(self) -> int:
        # Small batches stay in a CPU's cache; a GPU wants all it may have.
        on_cpu = self.device.type == "cpu"
        return min(self.max_batch_tokens, _CPU_BATCH_TOKENS) if on_cpu else self.max_batch_tokens

    def _looks_ahead(self) -> bool:
        """Compare what the model says of a row's beginning with and without what follows it."""
        length = min(_CHECKED_AT_LOAD, self.max_length)
        if length < 2:
            return False
        row = torch.tensor(self._random_tokens(1, length), device=self.device)
        with torch.inference_mode():
            whole, alone = (
                self.model(input_ids=tokens, **without_cache(self.model)).logits.float()
                for tokens in (row, row[:, : length * 3 // 5])
            )
        difference = float((whole[:, : alone.shape[1]] - alone).abs().max())
        size = float(alone.abs().max())
        _log.debug("what follows changes logits of %.2g by %.2g", size, difference)
        return difference > self._tolerance() * size

    def _fast_path_agrees(self) -> bool:
        """Compare bundles with the plain forward pass on rows that share prefixes of each depth."""
        length = min(_CHECKED_AT_LOAD, self.max_length)
        trunk, *others = self._random_tokens(6, length + 1)
        rows = [Encoded([*trunk[:cut], *row[cut:]], 1) for cut, row in enumerate(others)]
        rows = [Encoded(list(t), s) for t, s in sorted({_key(row) for row in rows})]
        try:
            if has_window(self.model.config.get_text_config(), self.max_length):
                return False
            self._head = Head(self.model)
            difference, spread = self._compare(rows)
        except Exception as error:  # the model's own code may raise anything
            _log.debug("no shared prefixes: %s", error)
            return False
        self._longest = length + 1
        self._allowed = self._tolerance() * max(1e-6, spread)
        return difference <= self._allowed

    def _still_agrees(self, rows: list[Encoded]) -> bool:
        """Compare the end of the longest row, if it is longer than all before: a window shows."""
        tokens = max((row.tokens for row in rows), key=len, default=[])[-_CHECKED_AT_MOST - 1 :]
        if len(tokens) <= self._longest:
            return True
        self._longest = len(tokens)
        # As many predictions as a row had at load, so that as much is allowed.
        difference, _ = self._compare([Encoded(tokens, max(1, len(tokens) - _CHECKED_AT_LOAD))])
        return difference <= self._allowed

    def _compare(self, rows: list[Encoded]) -> tuple[float, float]:
        """Return by how much the fast path is off at most, and how far the scores spread."""
        fast, plain = self._score_bundles(rows), self._score_rows(rows)
        difference = max(abs(a - b) for (a, _), (b, _) in zip(fast, plain, strict=True))
        spread = float(np.std([score for score, _ in plain]))
        _log.debug("fast path: difference %.2g, spread %.2g", difference, spread)
        return difference, spread

    def _tolerance(self) -> float:
        return _TOLERANCE.get(self.model.dtype, _LOOSE_TOLERANCE)

    def _random_tokens(self, rows: int, length: int) -> list[list[int]]:
        vocabulary = len(self.model.get_input_embeddings().weight)
        tokens: list[list[int]] = (
            np.random.default_rng(0).integers(vocabulary, size=(rows, length)).tolist()
        )
        return tokens


def _key(row: Encoded) -> tuple[tuple[int, ...], int]:
    return tuple(row.tokens), row.start


def _keep_right(row: Encoded, limit: int) -> Encoded:
    cut = len(row.tokens) - limit
    return row if cut <= 0 else Encoded(row.tokens[cut:], max(1, row.start - cut))


def _sums(logprobs: Any, greedy: Any, lengths: list[int]) -> list[tuple[float, bool]]:
    edges = np.cumsum([0, *lengths])
    return [
        (float(logprobs[a:b].sum()), bool(greedy[a:b].all())) for a, b in itertools.pairwise(edges)
    ]


def _batches(items: Sequence[Any], size_of: Callable[[Any], int], tokens: int) -> list[list[Any]]:
    """Return batches of equally long items of at most `tokens` tokens (but at least one item)."""
    by_size: dict[int, list[Any]] = {}
    for item in items:
        by_size.setdefault(size_of(item), []).append(item)
    return [
        same[start : start + max(1, tokens // size)]
        for size, same in sorted(by_size.items())
        for start in range(0, len(same), max(1, tokens // size))
    ]
