# mypy: allow-untyped-calls
"""The architecture of an SLlama model as a Hugging Face configuration.

Self-contained: this file and `modeling_sllama.py` travel inside every checkpoint and need only
torch and transformers, 4.51 or newer.
"""

from itertools import permutations
from typing import Any

from transformers import PretrainedConfig

EMBEDDINGS = (None, "repeat", "linear", "attn", "attn_causal")
ATTENTIONS = ("mha", "skqa", "pwa", "rra")
SHARINGS = (None, "share", "reuse")
INITIALIZERS = ("released", "scaled")
# Reduced embeddings and RRA are this many times narrower than the vectors they stand for.
REDUCTION = 4
PWA_ROWS = 6  # rows of the table that PWA's matrices are made of
PWA_PICKS = 4  # rows in each of the permutations that order them
# Above these a size is a slip or a damaged file. Lists as long as some of them are made before any
# tensor shows that it does not fit.
LARGEST = {
    "vocab_size": 1 << 24,
    "hidden_size": 1 << 17,
    "intermediate_size": 1 << 20,
    "num_hidden_layers": 1 << 12,
}

AUTO_MAP = {
    "AutoConfig": "configuration_sllama.SLlamaConfig",
    "AutoModel": "modeling_sllama.SLlamaModel",
    "AutoModelForCausalLM": "modeling_sllama.SLlamaForCausalLM",
    "AutoModelForSequenceClassification": "modeling_sllama.SLlamaForSequenceClassification",
}
# Options of the Llama configuration that SLlama has no use for, and the one value each may have.
FIXED = {
    "hidden_act": "silu",
    "rope_scaling": None,
    "attention_bias": False,
    "mlp_bias": False,
    "pretraining_tp": 1,
}


class SLlamaConfig(PretrainedConfig):
    """Configuration of every SLlama variant and of the plain Llama baselines.

    The fields carry the names of the released config.json, which is accepted as it is; the
    defaults are the released architecture. With every reduction off (`emb_reduction_type=None`,
    `layer_reduction_type=None`, `attn_reduction_type="mha"`, `mlp_reduction=False`) the model is
    a Llama.

    Args:
        vocab_size: entries of the vocabulary.
        hidden_size: width of the residual stream.
        intermediate_size: width inside the MLP.
        num_hidden_layers: applications of a decoder layer.
        num_attention_heads, num_key_value_heads: query heads; key and value heads (None: as many).
        max_position_embeddings: context, tokens; a statement, not a limit of the code.
        n_group: groups of `layer_reduction_type="share"` (0 or None: one per layer).
        emb_reduction_type: None; from a table of width hidden_size / 4: "repeat" (RRHP: four
            copies side by side), "linear" (a learned projection), "attn" (an attention over the
            whole text: it sees the future), "attn_causal" (the same, over the past only).
        attn_reduction_type: "mha"; "skqa" (W_q = W_k); "pwa" (permuted rows of one small table);
            "rra" (width hidden_size / 4, output repeated four times). None means "mha".
        pwa_output_projection: an output projection after PWA; the released model has none.
        layer_reduction_type: None; "share" (the layers of a group use one attention and one MLP);
            "reuse" (half the layers, each applied twice in a row).
        mlp_reduction: SPMLP, one tensor is W_down and, transposed, W_up.
        tie_word_embeddings: the head is the embedding, brought to hidden_size in the same way.
        rms_norm_eps, rope_theta: of the norms; of the rotary positions.
        dropout: probability, on embeddings, attention weights and residual branches.
        initializer: "released" or "scaled", see below.
        initializer_range: standard deviation r of the released initialiser.
        allow_leaking_embedding: train with `emb_reduction_type="attn"` although it leaks.

    Raises:
        ValueError: an unknown option, a size that no model has, or options that cannot go together;
            the message says why.

    | tensor                       | initializer="released" | initializer="scaled"       |
    | ---------------------------- | ---------------------- | -------------------------- |
    | embedding, projector, head   | N(0, r)                | N(0, r)                    |
    | matrix or table from width F | N(0, r)                | N(0, 1 / sqrt(F))          |
    | ... into the residual stream | N(0, r)                | N(0, 1 / sqrt(F branches)) |
    | biases; norms                | 0; 1                   | 0; 1                       |

    N(mean, standard deviation); every layer adds two branches.
    """

    model_type = "sllama"
    keys_to_ignore_at_inference = ("past_key_values",)

    def __init__(
        self,
        vocab_size: int = 32000,
        hidden_size: int = 64,
        intermediate_size: int = 192,
        num_hidden_layers: int = 6,
        num_attention_heads: int = 4,
        num_key_value_heads: int | None = None,
        max_position_embeddings: int = 256,
        n_group: int | None = 1,
        emb_reduction_type: str | None = "repeat",
        attn_reduction_type: str | None = "pwa",
        pwa_output_projection: bool = False,
        layer_reduction_type: str | None = "share",
        mlp_reduction: bool = True,
        tie_word_embeddings: bool = False,
        rms_norm_eps: float = 1e-6,
        rope_theta: float = 10000.0,
        dropout: float = 0.0,
        initializer: str = "released",
        initializer_range: float = 0.02,
        allow_leaking_embedding: bool = False,
        bos_token_id: int | None = 1,
        eos_token_id: int | None = 2,
        pad_token_id: int | None = None,
        use_cache: bool = True,
        **kwargs: Any,
    ) -> None:
        head_dim = kwargs.pop("head_dim", None)
        # transformers 5 writes the base here, and scaling that SLlama has not.
        rotary = kwargs.pop("rope_parameters", None) or {}
        kind = rotary.get("rope_type", "default")
        _refuse(kind != "default", f"rope_type is always 'default' in SLlama, not {kind!r}")
        rope_theta = rotary.get("rope_theta", rope_theta)
        for option, only in FIXED.items():
            value = kwargs.pop(option, only)
            _refuse(value != only, f"{option} is always {only!r} in SLlama, not {value!r}")
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.num_key_value_heads = num_key_value_heads or num_attention_heads
        self.max_position_embeddings = max_position_embeddings
        self.n_group = n_group or num_hidden_layers
        self.emb_reduction_type = emb_reduction_type
        self.attn_reduction_type = attn_reduction_type or "mha"
        self.pwa_output_projection = pwa_output_projection
        self.layer_reduction_type = layer_reduction_type
        self.mlp_reduction = mlp_reduction
        self.rms_norm_eps = rms_norm_eps
        self.rope_theta = rope_theta
        self.dropout = dropout
        self.initializer = initializer
        self.initializer_range = initializer_range
        self.allow_leaking_embedding = allow_leaking_embedding
        # A text that grows changes what a leaking embedding made of its beginning: nothing to keep.
        self.use_cache = use_cache and emb_reduction_type != "attn"
        self._check_options()
        self._check_shapes(head_dim)
        kwargs.setdefault("auto_map", dict(AUTO_MAP))
        kwargs |= {"bos_token_id": bos_token_id, "eos_token_id": eos_token_id}
        kwargs |= {"pad_token_id": pad_token_id, "tie_word_embeddings": tie_word_embeddings}
        super().__init__(**kwargs)

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return int(self.hidden_size // self.num_attention_heads)

    @property
    def embedding_size(self) -> int:
        """Width of the embedding table."""
        return int(
            self.hidden_size if self.emb_reduction_type is None else self.hidden_size // REDUCTION
        )

    @property
    def schedule(self) -> tuple[tuple[int, int], ...]:
        """For each application in order: whose norms (layer), whose attention and MLP (block)."""
        layers = range(self.num_hidden_layers)
        if self.layer_reduction_type == "share":
            # As released, rounding and all: at some sizes it leaves a group without a layer.
            groups = [int(i / self.num_hidden_layers * self.n_group) for i in layers]
            used = sorted(set(groups))
            return tuple((i, used.index(group)) for i, group in enumerate(groups))
        if self.layer_reduction_type == "reuse":
            return tuple((i // 2, i // 2) for i in layers)
        return tuple((i, i) for i in layers)

    @property
    def num_layers(self) -> int:
        """Distinct layers: pairs of norms."""
        return 1 + self.schedule[-1][0]

    @property
    def num_blocks(self) -> int:
        """Distinct blocks: an attention and an MLP."""
        return 1 + self.schedule[-1][1]

    @property
    def branches(self) -> int:
        """What is added to the residual stream: an attention and an MLP per application."""
        return 2 * self.num_hidden_layers

    @property
    def projection_widths(self) -> list[int]:
        """Output widths of W_q, W_k, W_v, W_o; for RRA, before the outputs are repeated."""
        kv_width = self.num_key_value_heads * self.head_dim
        widths = [self.hidden_size, kv_width, kv_width, self.hidden_size]
        rra = self.attn_reduction_type == "rra"
        return [width // REDUCTION for width in widths] if rra else widths

    @property
    def pwa_rows(self) -> list[int]:
        """Which rows of PWA's table the rows of W_q, W_k and W_v are, one matrix after the other.

        As released: the permutations of four out of six rows in lexicographic order, one after the
        other. They have 1,440 entries. Beyond, where the released code fails, they start over with
        every row replaced by the next one, so that matrices a whole list apart still differ.
        """
        listed = [row for order in permutations(range(PWA_ROWS), PWA_PICKS) for row in order]
        count = sum(self.projection_widths[:3])
        return [(listed[i % len(listed)] + i // len(listed)) % PWA_ROWS for i in range(count)]

    def _check_options(self) -> None:
        for name, known in (
            ("emb_reduction_type", EMBEDDINGS),
            ("attn_reduction_type", ATTENTIONS),
            ("layer_reduction_type", SHARINGS),
            ("initializer", INITIALIZERS),
        ):
            value = getattr(self, name)
            _refuse(value not in known, f"{name} is one of {known}, not {value!r}")
        _refuse(
            self.pwa_output_projection and self.attn_reduction_type != "pwa",
            "pwa_output_projection needs attn_reduction_type='pwa': the others have a projection",
        )
        _refuse(not 0 <= self.dropout < 1, f"dropout is at least 0 and below 1, not {self.dropout}")

    def _check_shapes(self, head_dim: int | None) -> None:
        hidden, heads, kv_heads = (
            self.hidden_size,
            self.num_attention_heads,
            self.num_key_value_heads,
        )
        for name, largest in LARGEST.items():
            size = getattr(self, name)
            _refuse(not 1 <= size <= largest, f"{name} is 1 to {largest:,}, not {size}")
        _refuse(heads < 1 or hidden % heads != 0, f"{heads} heads do not divide width {hidden}")
        _refuse(self.head_dim % 2 != 0, f"rotary positions need an even head, not {self.head_dim}")
        _refuse(
            head_dim not in (None, self.head_dim), f"head_dim is {self.head_dim}, not {head_dim}"
        )
        _refuse(
            kv_heads < 1 or heads % kv_heads != 0,
            f"{kv_heads} key-value heads do not divide {heads} heads",
        )
        _refuse(
            self.attn_reduction_type == "skqa" and kv_heads != heads,
            "skqa uses one matrix for queries and keys: it cannot have fewer key-value heads",
        )
        _refuse(
            self.emb_reduction_type is not None and hidden % REDUCTION != 0,
            f"emb_reduction_type needs a hidden_size divisible by {REDUCTION}, not {hidden}",
        )
        _refuse(
            self.attn_reduction_type == "rra"
            and (hidden % REDUCTION != 0 or kv_heads * self.head_dim % REDUCTION != 0),
            f"rra needs query and key-value widths divisible by {REDUCTION}",
        )
        _refuse(
            self.layer_reduction_type == "share"
            and not 1 <= self.n_group <= self.num_hidden_layers,
            f"n_group is 1 to num_hidden_layers, not {self.n_group}",
        )
        _refuse(
            self.layer_reduction_type == "reuse" and self.num_hidden_layers % 2 != 0,
            "reuse applies each layer twice: num_hidden_layers has to be even",
        )


def _refuse(impossible: bool, why: str) -> None:
    if impossible:
        raise ValueError(f"SLlamaConfig: {why}")


SLlamaConfig.register_for_auto_class()
