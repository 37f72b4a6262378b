"""Reading times: how much surprisal adds to a regression, as in the BabyLM pipelines."""

import math
from typing import Any

import numpy as np

from pipeline.evaluate.encoding import OptionEncoder
from pipeline.evaluate.readers import EYE_TRACKING, READING_NUMBERS, SELF_PACED
from pipeline.evaluate.results import finite_or_none
from pipeline.evaluate.task import ItemTask

_WORD = ("Subtlex_log10", "length", "context_length")
_SPILLOVER = ("prev_length", "prev_pred")


class ReadingTask(ItemTask):
    """Surprisal of a word and of the word before it, against human reading times."""

    def summarise(
        self, values: list[Any], encoder: OptionEncoder, samples: int, seed: int
    ) -> dict[str, Any]:
        """Return the gains in R2 of both regressions and their mean, the task's score.

        A gain is (R2 with surprisal - R2 without) / (1 - R2 without). All are null where a score is
        not finite: without its word they would be of other data than `n` says.
        """
        eye = self_paced = math.nan
        nonfinite = sum(not np.isfinite(row).all() for row in self.scores(values))
        if not nonfinite:
            table = self.table(values)
            eye = float(np.mean([gain(table, measure, _WORD) for measure in EYE_TRACKING]))
            self_paced = gain(table, SELF_PACED, _WORD + _SPILLOVER)
        return {
            "n": len(self.documents),
            "metric": "r2_gain",
            "score": finite_or_none((eye + self_paced) / 2),
            "eye_tracking": finite_or_none(eye),
            "self_paced": finite_or_none(self_paced),
            "nonfinite": nonfinite,
        }

    def table(self, values: list[Any]) -> Any:
        """Return the data frame: the released columns, `pred` and `prev_pred` (nats)."""
        import pandas as pd

        frame = pd.DataFrame([item.extra for item in self.documents])
        columns = list(READING_NUMBERS)
        frame[columns] = frame[columns].apply(pd.to_numeric, errors="coerce")
        scores = self.scores(values)
        frame["pred"] = [-row[0] for row in scores]
        frame["prev_pred"] = [-row[1] if len(row) > 1 else float("nan") for row in scores]
        return frame


def gain(table: Any, measure: str, predictors: tuple[str, ...]) -> float:
    """Return the gain in R2 from `pred` over the predictors and their pairwise products.

    NaN if there are no rows, or if the predictors alone explain everything.
    """
    import statsmodels.formula.api as smf

    rows = table[[measure, "pred", *predictors]].replace([np.inf, -np.inf], np.nan).dropna()
    if not len(rows):
        return float("nan")
    baseline = f"{measure} ~ ({' + '.join(predictors)}) ** 2"
    without = float(smf.ols(baseline, data=rows).fit().rsquared)
    if math.isclose(without, 1):
        return float("nan")
    with_surprisal = float(smf.ols(f"{baseline} + pred", data=rows).fit().rsquared)
    return (with_surprisal - without) / (1 - without)
