"""An exported SLlama under the calls of the BabyLM 2025 pipeline, against our scorer.

The calls are those of its `sentence_zero_shot`, causal backend: AutoProcessor with padding on the
right, offsets that leave the BOS out, inputs and targets shifted by one and padded.
"""

from pathlib import Path

import pytest
import torch
from lm_eval.api.instance import Instance
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, AutoProcessor

from pipeline.evaluate.scorer import FastScorer
from pipeline.model import SLlamaConfig, SLlamaForCausalLM
from pipeline.model.export import export_model
from tests.evaluate.toys import PAIRS

SENTENCES = [sentence for pair in PAIRS for sentence in pair]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, tokenizer_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "sllama"
    torch.manual_seed(0)
    # Weights large enough for scores that tell sentences apart.
    config = SLlamaConfig(vocab_size=300, initializer_range=0.3)
    export_model(SLlamaForCausalLM(config), folder, tokenizer_folder)
    return folder


def padded(rows: list[list[int]], value: int) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)


def test_it_computes_the_scores_of_our_scorer(exported: Path) -> None:
    processor = AutoProcessor.from_pretrained(
        exported, padding_side="right", trust_remote_code=True
    )
    model = AutoModelForCausalLM.from_pretrained(exported, trust_remote_code=True).eval()
    encoded = [processor(text=text, return_offsets_mapping=True) for text in SENTENCES]
    assert len({len(one["input_ids"]) for one in encoded}) > 1
    targets = padded([one["input_ids"][1:] for one in encoded], processor.pad_token_id)
    scored = padded([[end > 0 for _, end in one["offset_mapping"][1:]] for one in encoded], 0)
    with torch.no_grad():
        logits = model(
            input_ids=padded([one["input_ids"][:-1] for one in encoded], processor.pad_token_id),
            attention_mask=padded([one["attention_mask"][:-1] for one in encoded], 0),
        )["logits"]
    logprobs = logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0]
    theirs = (logprobs * scored).sum(1).tolist()

    scorer = FastScorer(str(exported), device="cpu", dtype="float32", trust_remote_code=True)
    requests = [Instance("loglikelihood", {}, ("", text), i) for i, text in enumerate(SENTENCES)]
    ours = [score for score, _ in scorer.loglikelihood(requests)]
    assert ours == pytest.approx(theirs, abs=1e-3)
    assert max(ours) - min(ours) > 1
