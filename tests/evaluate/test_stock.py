"""The scorer against the model class of lm-eval on real pairs: a random and a trained model."""

import json
import math
import os
import tarfile
from pathlib import Path

import pytest
from lm_eval.models.huggingface import HFLM

from pipeline.data.demo.pairs import draw_pairs
from pipeline.data.demo.paradigms import PARADIGMS
from pipeline.evaluate.scorer import FastScorer
from tests.evaluate.test_scorer import instances
from tests.evaluate.toys import make_model, train_model

Pairs = list[tuple[str, str]]
BLIMP = "babylm_eval/fast_eval/blimp_fast"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    random, trained = (make_model(folder / name, context=128) for name in ("random", "trained"))
    texts = [good for paradigm in PARADIGMS for good, _ in draw_pairs(paradigm)[-20:]]
    assert train_model(trained, texts) < math.log(300) / 2
    return {"random": random, "trained": trained}


def margins(scorer: HFLM, pairs: Pairs) -> tuple[list[float], list[float]]:
    """Return all scores, and by how much each pair's first is the better one."""
    answers = scorer.loglikelihood(
        instances([("", sentence) for pair in pairs for sentence in pair]), disable_tqdm=True
    )
    scores = [score for score, _ in answers]
    return scores, [a - b for a, b in zip(scores[::2], scores[1::2], strict=True)]


def require_the_same(model: Path, pairs: Pairs) -> None:
    fast = FastScorer(str(model), device="cpu", dtype="float32")
    assert fast.shares_prefixes
    stock = HFLM(str(model), device="cpu", dtype="float32", batch_size=16)
    (scores, decided), (expected, as_expected) = margins(fast, pairs), margins(stock, pairs)
    assert fast.shares_prefixes
    assert scores == pytest.approx(expected, rel=0, abs=1e-3)
    assert [margin > 0 for margin in decided] == [margin > 0 for margin in as_expected]


@pytest.mark.parametrize("kind", ["random", "trained"])
def test_demo_pairs_score_as_in_stock_lm_eval(models: dict[str, Path], kind: str) -> None:
    pairs = [pair for paradigm in PARADIGMS for pair in draw_pairs(paradigm)[:9]]
    assert len(pairs) == 252
    require_the_same(models[kind], pairs)


@pytest.mark.mirror
@pytest.mark.parametrize("kind", ["random", "trained"])
def test_blimp_pairs_score_as_in_stock_lm_eval(models: dict[str, Path], kind: str) -> None:
    mirror = os.environ.get("SLLAMA_DATA_MIRROR")
    if not mirror:
        pytest.skip("SLLAMA_DATA_MIRROR is not set")
    pairs = []
    with tarfile.open(Path(mirror) / "babylm_eval" / "babylm_eval.tar.xz") as archive:
        for member in archive:
            if BLIMP in member.name and member.isfile():
                stream = archive.extractfile(member)
                assert stream is not None
                rows = [json.loads(line) for line in stream.readlines()[:6]]
                pairs += [(row["sentence_good"], row["sentence_bad"]) for row in rows]
    assert len(pairs) == 67 * 6
    require_the_same(models[kind], pairs)
