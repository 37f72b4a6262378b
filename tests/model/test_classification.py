from typing import Any

import pytest
import torch
import torch.nn.functional as F

from pipeline.model import SLlamaConfig, SLlamaForSequenceClassification
from tests.model.variants import COVERING, SMALL, randomise, tokens

covering = pytest.mark.parametrize("variant", COVERING.values(), ids=COVERING.keys())


def classifier(**changes: Any) -> SLlamaForSequenceClassification:
    torch.manual_seed(0)
    config = SLlamaConfig(**{**SMALL, "num_labels": 3, **changes})
    return randomise(SLlamaForSequenceClassification(config))


def padded(texts: list[torch.Tensor], side: str) -> torch.Tensor:
    longest = max(len(text) for text in texts)
    gaps = [longest - len(text) for text in texts]
    sides = [(gap, 0) if side == "left" else (0, gap) for gap in gaps]
    return torch.stack([F.pad(text, gap) for text, gap in zip(texts, sides, strict=True)])


@covering
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("with_mask", [True, False])
def test_the_last_real_token_decides(variant: dict[str, Any], side: str, with_mask: bool) -> None:
    model = classifier(**variant)
    texts = [tokens(1, length, seed=length)[0] for length in (3, 8, 5)]
    batch = padded(texts, side)
    mask = (batch > 0).long() if with_mask else None
    together = model(batch, attention_mask=mask).logits
    alone = torch.cat([model(text[None]).logits for text in texts])
    assert together.shape == (3, 3)
    assert (together - alone).abs().max() < 1e-4


def test_it_is_the_last_token_not_another() -> None:
    model, text = classifier(), tokens(1, 6)
    hidden = model.model(text).last_hidden_state
    assert torch.allclose(model(text).logits, model.score(hidden[:, -1]), atol=1e-6)


def test_without_a_padding_token_every_token_is_real() -> None:
    model, text = classifier(pad_token_id=None), tokens(2, 6)
    text[0, -1] = 0
    hidden = model.model(text).last_hidden_state
    assert torch.allclose(model(text).logits, model.score(hidden[:, -1]), atol=1e-6)


def test_losses_by_kind_of_problem() -> None:
    texts = tokens(4, 6)
    classes = torch.tensor([0, 2, 1, 1])
    model = classifier()
    output = model(texts, labels=classes)
    assert output.loss.item() == pytest.approx(F.cross_entropy(output.logits, classes).item())
    many = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
    output = classifier()(texts, labels=many)
    expected = F.binary_cross_entropy_with_logits(output.logits, many)
    assert output.loss.item() == pytest.approx(expected.item())
    score = torch.tensor([0.5, 1.0, -2.0, 3.0])
    output = classifier(num_labels=1)(texts, labels=score)
    assert output.loss.item() == pytest.approx(F.mse_loss(output.logits[:, 0], score).item())
    for model in (classifier(), classifier(num_labels=1)):
        model(texts, labels=score if model.config.num_labels == 1 else classes).loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())


def test_as_a_tuple() -> None:
    loss, logits = classifier()(tokens(), labels=torch.tensor([0, 1]), return_dict=False)[:2]
    assert loss.ndim == 0
    assert logits.shape == (2, 3)
