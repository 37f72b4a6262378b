"""The SLlama architecture, its conversion from and to the released layout, its export."""

from pipeline.model.configuration_sllama import SLlamaConfig
from pipeline.model.modeling_sllama import (
    SLlamaForCausalLM,
    SLlamaForSequenceClassification,
    SLlamaModel,
)

__all__ = [
    "SLlamaConfig",
    "SLlamaForCausalLM",
    "SLlamaForSequenceClassification",
    "SLlamaModel",
]
