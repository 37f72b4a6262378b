"""A classifier on a pretrained body: the head of the BabyLM pipelines on the last token."""

import inspect
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import SllamaError
from pipeline.evaluate.finetune.recipe import DROPOUT, LAYER_NORM_EPS
from pipeline.evaluate.forward import require_all_weights, without_cache


class ClassifierHead(nn.Sequential):
    """LayerNorm, Linear, GELU, LayerNorm, Dropout, Linear; the norms have no weights."""

    def __init__(self, width: int, labels: int) -> None:
        super().__init__(
            nn.LayerNorm(width, LAYER_NORM_EPS, elementwise_affine=False),
            nn.Linear(width, width),
            nn.GELU(),
            nn.LayerNorm(width, LAYER_NORM_EPS, elementwise_affine=False),
            nn.Dropout(DROPOUT),
            nn.Linear(width, labels),
        )


class Classifier(nn.Module):
    """Left-padded tokens to logits, by way of the last token's hidden state.

    body: any model with `last_hidden_state` (B, T, width); its first token sees nothing of a
    causal model's text, so only the last will do.
    """

    def __init__(self, body: nn.Module, width: int, labels: int) -> None:
        super().__init__()
        self.body = body
        self.head = ClassifierHead(width, labels)
        self._options = without_cache(body)
        self._takes_positions = "position_ids" in inspect.signature(body.forward).parameters

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return logits: two of (B, T), padded on the left -> (B, labels)."""
        options: dict[str, Any] = {**self._options}
        if self._takes_positions:
            # Some models count absolute positions from the padding otherwise.
            options["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
        output = self.body(input_ids=tokens, attention_mask=mask, **options)
        logits: Tensor = self.head(output.last_hidden_state[:, -1])
        return logits


def load_classifier(folder: Path, labels: int, device: torch.device) -> Classifier:
    """Return a classifier in float32 on the body in a Hugging Face folder, its head random.

    SllamaError if the folder has no model that AutoModel loads whole and that makes hidden states.
    """
    from transformers import AutoModel

    try:
        auto: Any = AutoModel
        body, found = auto.from_pretrained(
            folder, trust_remote_code=True, local_files_only=True, output_loading_info=True
        )
        require_all_weights(found)
        body.float()
        # Not hidden_size: some bodies end with a projection to the width of their embedding.
        with torch.no_grad():
            token = torch.zeros((1, 1), dtype=torch.long)
            width = body(input_ids=token, **without_cache(body)).last_hidden_state.shape[-1]
    except Exception as error:  # configuration and code of the folder may raise anything
        raise SllamaError(f"{folder}: no body to fine-tune ({error})") from error
    return Classifier(body, width, labels).to(device)
