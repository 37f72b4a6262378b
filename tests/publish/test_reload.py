"""Real models: what is published loads elsewhere to the same logits, and scores the same."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.errors import SllamaError
from pipeline.evaluate.loading import describe_model
from pipeline.io import model_fingerprint, write_text
from pipeline.model.export import export_model
from pipeline.publish.checks import check_files, check_reload
from pipeline.publish.folder import publish_to_folder
from pipeline.publish.plan import MAIN, Revision, plan_revisions
from tests.evaluate.toys import PAIRS, make_tokenizer
from tests.imports import ROOT
from tests.model.variants import COVERING, small_model

CHECK = """
import sys
from pathlib import Path
from pipeline.publish.checks import check_reload
from pipeline.publish.plan import plan_revisions
plan = plan_revisions(Path(sys.argv[1]), {"main": Path(sys.argv[2])})
check_reload(plan.revisions[-1])
"""
VARIANT = COVERING["repeat-pwa-share-spmlp"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported SLlama in which attention, MLP and both of its projections are shared."""
    folder = tmp_path_factory.mktemp("models") / "sllama"
    torch.manual_seed(0)
    tokenizer = make_tokenizer(folder.parent / "tokenizer")
    export_model(small_model(**VARIANT, vocab_size=300), folder, tokenizer)
    return folder


@pytest.fixture
def model(source: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    folder = tmp_path / "models" / "sllama"
    folder.mkdir(parents=True)
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def revision(model: Path, card: Path) -> Revision:
    write_text(card, "# card\n")
    return plan_revisions(model, {MAIN: card}).revisions[-1]


def test_a_model_as_exported_passes(model: Path, tmp_path: Path) -> None:
    planned = revision(model, tmp_path / "README.md")
    check_files(planned)
    check_reload(planned)


def test_a_weight_that_is_not_in_the_files_is_named(model: Path, tmp_path: Path) -> None:
    weights = load_file(model / "model.safetensors")
    lost = next(name for name in sorted(weights) if "norm" in name)
    del weights[lost]
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SllamaError, match="weights and configuration disagree on") as caught:
        check_reload(revision(model, tmp_path / "README.md"))
    assert lost in str(caught.value)


def test_weights_of_another_shape_are_refused(model: Path, tmp_path: Path) -> None:
    config = (model / "config.json").read_text()
    assert '"intermediate_size": 24' in config
    (model / "config.json").write_text(
        config.replace('"intermediate_size": 24', '"intermediate_size": 28')
    )
    with pytest.raises(SllamaError, match=r"does not load|disagree"):
        check_reload(revision(model, tmp_path / "README.md"))


def test_a_model_that_loads_at_random_is_refused(model: Path, tmp_path: Path) -> None:
    """As the released checkpoint does: two loads of one file disagree."""
    code = model / "modeling_sllama.py"
    end = "return as_asked(CausalLMOutputWithPast, outputs, loss, logits, return_dict)"
    text = code.read_text()
    assert text.count(end) == 1
    code.write_text(text.replace(end, end.replace("logits", "logits + torch.rand(1)")))
    write_text(tmp_path / "README.md", "# card\n")
    # In a process of its own, as the stage does it: here the project's classes are loaded already.
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(model), str(tmp_path / "README.md")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert "two loads of main give different logits" in done.stderr


def test_the_fingerprint_is_the_one_of_the_scores(model: Path) -> None:
    class Scorer:
        model = torch.nn.Linear(1, 1)
        max_length = 1
        looks_ahead = False

    described = describe_model(Scorer(), model)
    assert described is not None
    assert described["fingerprint"] == model_fingerprint(model)


@pytest.mark.slow
def test_what_was_published_scores_in_stock_lm_eval_as_here(model: Path, tmp_path: Path) -> None:
    """tests/evaluate/test_scorer.py has the comparison in full; this is the published folder."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    from pipeline.evaluate.scorer import FastScorer

    planned = revision(model, tmp_path / "README.md")
    plan = plan_revisions(model, {MAIN: tmp_path / "README.md"})
    assert plan.revisions == (planned,)
    publish_to_folder(plan, tmp_path / "published")
    folder = str(tmp_path / "published" / "main")
    requests = [
        Instance("loglikelihood", {}, ("", sentence), number)
        for number, sentence in enumerate(sentence for pair in PAIRS for sentence in pair)
    ]
    options = {"device": "cpu", "dtype": "float32", "trust_remote_code": True}
    theirs = HFLM(folder, batch_size=4, **options).loglikelihood(requests, disable_tqdm=True)
    ours = FastScorer(str(model), max_batch_tokens=512, **options).loglikelihood(requests)
    assert [score for score, _ in ours] == pytest.approx([s for s, _ in theirs], abs=1e-3)
