import pytest
import torch
from torch import nn

from pipeline.evaluate.head import Head
from pipeline.model import SLlamaConfig, SLlamaForCausalLM


class Model:
    """A model that is nothing but its head."""

    def __init__(self, layer: nn.Linear) -> None:
        self.layer = layer

    def get_output_embeddings(self) -> nn.Linear:
        return self.layer


@pytest.mark.parametrize("scale", [0.0, 0.1, 5.0, 100.0])
@pytest.mark.parametrize("bias", [False, True])
def test_tiles_give_the_log_sum_exp_of_all_logits(scale: float, bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(16, 1100, bias=bias)
    with torch.no_grad():
        layer.weight.mul_(scale)
    hidden = torch.randn(600, 16) * 4
    targets = torch.randint(0, 1100, (600,))
    head = Head(Model(layer))
    with torch.no_grad():
        logits = layer(hidden)
        normaliser, top = head.normalisers(hidden)
        torch.testing.assert_close(normaliser, logits.logsumexp(1), rtol=1e-6, atol=2e-5)
        torch.testing.assert_close(top, logits.amax(1), rtol=1e-6, atol=2e-5)
        alone, _ = head.normalisers(hidden, maximum=False)
        torch.testing.assert_close(alone, normaliser, rtol=0, atol=0)
        expected = logits.gather(1, targets[:, None])[:, 0]
        torch.testing.assert_close(
            head.target_logits(hidden, targets), expected, rtol=1e-4, atol=1e-4
        )


def test_a_hidden_state_that_is_not_finite_gives_a_score_that_is_not_finite() -> None:
    head = Head(Model(nn.Linear(4, 10, bias=False)))
    hidden = torch.tensor([[float("nan"), 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    with torch.no_grad():
        normaliser, _ = head.normalisers(hidden)
    assert not normaliser[0].isfinite()
    assert normaliser[1].isfinite()


@pytest.mark.parametrize("tied", [False, True])
def test_sllamas_head_own_or_made_from_the_embedding(tied: bool) -> None:
    torch.manual_seed(0)
    config = SLlamaConfig(vocab_size=300, num_hidden_layers=2, tie_word_embeddings=tied)
    model = SLlamaForCausalLM(config).eval()
    ids = torch.arange(1, 9)[None]
    with torch.no_grad():
        hidden = model.model(ids).last_hidden_state[0]
        logits = model(ids).logits[0]
        normaliser, _ = Head(model).normalisers(hidden)
    torch.testing.assert_close(normaliser, logits.logsumexp(1))
