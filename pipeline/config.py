"""The recipe: typed, strict sections of params.yaml.

Every key is required, unknown keys are refused with the nearest known name, and rules that span
keys are checked before any work starts. Units stand in each field's description.
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import SllamaError
from pipeline.io import read_yaml

PARAMS_FILE = Path("params.yaml")
MIRROR_VARIABLE = "SLLAMA_DATA_MIRROR"

Positive = Annotated[int, Field(gt=0)]
Natural = Annotated[int, Field(ge=0)]
Tracker = Literal["mlflow", "tensorboard", "wandb"]
Fraction = Annotated[float, Field(gt=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A section of params.yaml: immutable, strict about types and about names."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, protected_namespaces=(), allow_inf_nan=False
    )


class DataConfig(Section):
    """What to train on."""

    source: Literal["demo", "babylm-strict-small", "babylm-strict", "babylm-standin", "local"] = (
        Field(description="name of a corpus in pipeline/data/catalog.yaml")
    )
    path: str = Field(description="folder of .txt files, read when source is local")
    mirror: str | None = Field(
        description="folder that download and benchmarks look into before the network; "
        f"{MIRROR_VARIABLE} overrides it, and the tokenizer stage sees that alone"
    )


class TokenizerConfig(Section):
    """How text becomes tokens."""

    source: Literal["train", "pretrained"] = Field(
        description="train a byte-level BPE on the training split, or take an existing tokenizer"
    )
    vocab_size: Annotated[int, Field(gt=0, le=1 << 20)] | None = Field(
        description="entries, special tokens included (source: train)"
    )
    name: str | None = Field(
        description="Hub name, folder, tokenizer.json or SentencePiece .model (source: pretrained)"
    )

    @model_validator(mode="after")
    def _source_needs_its_key(self) -> Self:
        if self.source == "train" and self.vocab_size is None:
            raise ValueError("tokenizer.source: train needs tokenizer.vocab_size")
        if self.source == "pretrained" and self.name is None:
            raise ValueError("tokenizer.source: pretrained needs tokenizer.name")
        return self


class EncodeConfig(Section):
    """How the corpus is cut into documents and splits."""

    validation_fraction: Fraction = Field(description="share of documents held out for validation")
    test_fraction: Fraction = Field(description="share of documents held out for the final test")
    max_document_words: Positive = Field(
        description="longer passages are cut at line ends into documents of about this many words"
    )

    @model_validator(mode="after")
    def _something_left_to_train_on(self) -> Self:
        if self.validation_fraction + self.test_fraction > 0.5:
            raise ValueError("encode: more than half of the documents would be held out")
        return self


class ModelConfig(Section):
    """The architecture; every reduction of the paper is an option with a plain name."""

    hidden_size: Positive = Field(description="width of the residual stream")
    intermediate_size: Positive = Field(description="width inside the MLP")
    num_hidden_layers: Positive = Field(description="applications of a decoder layer")
    num_attention_heads: Positive = Field(description="query heads; divides hidden_size")
    num_key_value_heads: Positive = Field(description="heads of keys and values")
    max_position_embeddings: Positive = Field(description="context, tokens")
    embedding: Literal["none", "repeat", "linear", "attn", "attn_causal"] = Field(
        description="RRHP (repeat) or another way from hidden_size/4 to hidden_size; attn leaks"
    )
    attention: Literal["mha", "skqa", "pwa", "rra"] = Field(
        description="how W_q, W_k, W_v come about"
    )
    attention_output: bool = Field(
        description="an output projection after PWA (mha, skqa, rra have one)"
    )
    layer_sharing: Literal["none", "share", "reuse"] = Field(
        description="share: one attention and MLP per group; reuse: half the layers, each twice"
    )
    num_groups: Positive = Field(description="groups of layer_sharing: share")
    shared_projection_mlp: bool = Field(description="SPMLP: W_up is W_down transposed")
    tie_embeddings: bool = Field(description="the output head is the (repeated) input embedding")
    rms_norm_eps: float = Field(gt=0, description="added to the mean square under the root")
    rope_theta: float = Field(gt=0, description="base of the rotary positions' wavelengths")
    dropout: float = Field(ge=0, lt=1, description="on embeddings, attention and residual branches")
    initializer: Literal["released", "scaled"] = Field(
        description="released: N(0, initializer_range) everywhere; scaled: by depth and width"
    )
    initializer_range: float = Field(gt=0, description="deviation of the released initialiser")

    @model_validator(mode="after")
    def _shapes_fit(self) -> Self:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"model.num_attention_heads ({self.num_attention_heads}) does not divide "
                f"model.hidden_size ({self.hidden_size})"
            )
        if self.hidden_size // self.num_attention_heads % 2:
            raise ValueError(
                "model: rotary embeddings need an even hidden_size / num_attention_heads"
            )
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"model.num_key_value_heads ({self.num_key_value_heads}) does not divide "
                f"model.num_attention_heads ({self.num_attention_heads})"
            )
        if self.attention == "skqa" and self.num_key_value_heads != self.num_attention_heads:
            raise ValueError("model.attention: skqa needs as many key-value heads as heads")
        if self.embedding != "none" and self.hidden_size % 4:
            raise ValueError(f"model.embedding: {self.embedding} needs hidden_size divisible by 4")
        kv = self.hidden_size // self.num_attention_heads * self.num_key_value_heads
        if self.attention == "rra" and kv % 4:
            raise ValueError(f"model.attention: rra needs key-value width divisible by 4, not {kv}")
        if self.layer_sharing == "share" and self.num_groups > self.num_hidden_layers:
            raise ValueError("model.num_groups is larger than model.num_hidden_layers")
        if self.layer_sharing == "reuse" and self.num_hidden_layers % 2:
            raise ValueError("model.layer_sharing: reuse needs an even model.num_hidden_layers")
        return self


class TrainConfig(Section):
    """Optimisation; one step sees batch_size x sequence_length tokens."""

    steps: Positive = Field(description="optimisation steps")
    batch_size: Positive = Field(description="sequences per optimisation step")
    micro_batch_size: Positive = Field(description="sequences per forward pass; divides batch_size")
    sequence_length: Positive = Field(description="tokens per sequence")
    order: Literal["shuffled", "contiguous"] = Field(
        description="shuffled: every window once an epoch; contiguous: the released sampling"
    )
    document_mask: bool = Field(description="no attention across documents inside a window")
    label_shift: Literal[1, 2] = Field(description="1: next token; 2: the released script's fault")
    optimizer: Literal["adamw", "muon"] = Field(description="muon: for matrices, AdamW elsewhere")
    learning_rate: float = Field(gt=0, description="peak")
    min_learning_rate: float = Field(ge=0, description="at the end of the decay")
    schedule: Literal["cosine", "linear", "wsd", "constant"] = Field(description="after warm-up")
    warmup_steps: Natural = Field(description="steps of linear rise to the peak")
    decay_steps: Positive | None = Field(description="decay horizon, steps; null: train.steps")
    weight_decay: float = Field(ge=0, description="of matrices and tables, not of vectors")
    beta1: Decay = Field(description="AdamW: decay of the gradient's running mean")
    beta2: Decay = Field(description="AdamW: decay of its square's running mean")
    gradient_clip: float | None = Field(description="largest gradient norm; null: no clipping")
    z_loss: float = Field(
        ge=0,
        description="weight of the squared log-normaliser; the training loss reported includes it",
    )
    precision: Literal["float32", "bfloat16"] = Field(description="bfloat16: autocast; CPU: head")
    compile: Literal["auto", "never", "always"] = Field(description="auto: >1e14 FLOP, CUDA >5e14")
    device: Literal["auto", "cpu", "cuda"] = Field(description="auto: a GPU if there is one")
    deterministic: bool = Field(description="only deterministic kernels")
    validate_every: Positive = Field(description="steps between passes over the validation split")
    probe_every: Natural = Field(description="steps between minimal-pair probes; 0: none")
    probe_pairs: str = Field(description="folder of minimal pairs, BLiMP's .jsonl at any depth")
    checkpoint_every: Positive = Field(description="steps between resumable checkpoints")
    keep: Literal["last", "best_on_validation", "best_on_test"] = Field(
        description="which weights to export; best_on_test is a fault of the released script"
    )
    word_checkpoints: bool = Field(description="export chck_1M ... chck_1000M, by words seen")
    rules: Literal["none", "babylm2026"] = Field(description="babylm2026: ten passes at most")
    skip_nonfinite: Natural = Field(description="non-finite batches to skip before stopping")
    # May be left out; the provenance record has what came of it.
    on_out_of_memory: Literal["stop", "halve"] = Field(
        default="stop",
        exclude=True,
        description="halve: micro-batches in half the size, global batch as it is",
    )
    trackers: list[Tracker] = Field(default_factory=list, exclude=True, description="who watches")

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        if self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"train.micro_batch_size ({self.micro_batch_size}) does not divide "
                f"train.batch_size ({self.batch_size})"
            )
        if self.schedule != "constant":
            # The peak is reached after the warm-up, and the next step is the first that decays.
            if self.warmup_steps >= max(1, (self.decay_steps or self.steps) - 1):
                raise ValueError("train.warmup_steps leaves no step to decay in")
            if self.min_learning_rate > self.learning_rate:
                raise ValueError("train.min_learning_rate is above train.learning_rate")
        if self.label_shift > self.sequence_length:
            raise ValueError("train.label_shift leaves no token to predict in a sequence")
        if self.gradient_clip is not None and self.gradient_clip <= 0:
            raise ValueError("train.gradient_clip is positive, or null for none")
        return self


class EvaluateConfig(Section):
    """What to measure, and how."""

    tasks: list[str] = Field(min_length=1, description="names of task files in pipeline/tasks")
    null_scorers: list[Literal["uniform", "unigram", "bigram"]] = Field(
        description="scorers that know nothing of syntax, run beside the model"
    )
    dtype: Literal["float32", "bfloat16"] = Field(description="of the scored model's weights")
    device: Literal["auto", "cpu", "cuda"] = Field(description="auto: a GPU if there is one")
    max_batch_tokens: Positive = Field(description="tokens per forward pass; bounds memory")
    bootstrap_samples: Positive = Field(description="resamples behind each 95% interval")
    allow_nonfinite: bool = Field(description="count NaN scores as wrong instead of stopping")
    allow_missing: bool = Field(description="list absent data as missing instead of stopping")


class ReportConfig(Section):
    """What the report says of itself."""

    title: str = Field(description="heading of the report")
    formats: list[Literal["markdown", "html", "csv"]] = Field(min_length=1, description="to write")


class Params(Section):
    """The whole of params.yaml."""

    seed: Natural = Field(description="source of every random stream")
    data: DataConfig
    tokenizer: TokenizerConfig
    encode: EncodeConfig
    model: ModelConfig
    train: TrainConfig
    evaluate: EvaluateConfig
    report: ReportConfig

    @model_validator(mode="after")
    def _sections_fit(self) -> Self:
        if self.train.sequence_length > self.model.max_position_embeddings:
            raise ValueError(
                f"train.sequence_length ({self.train.sequence_length}) is longer than the context, "
                f"model.max_position_embeddings ({self.model.max_position_embeddings})"
            )
        if self.model.embedding == "attn" and (self.train.probe_every or self.train.document_mask):
            raise ValueError("model.embedding attn sees all: no train.probe_every, document_mask")
        return self


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and check params.yaml; SllamaError lists every wrong key in one line."""
    return parse_params(read_yaml(path), str(path))


def parse_params(values: Any, origin: str) -> Params:
    """Check `values` (the parsed YAML); SllamaError names `origin` and every wrong key."""
    if not isinstance(values, dict):
        raise SllamaError(f"{origin}: a mapping of sections is expected")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        complaints = [_complaint(dict(item)) for item in error.errors()]
        # A key may hold any character, a line's end too.
        raise SllamaError(f"{origin}: " + " ".join("; ".join(complaints).split())) from error


def _complaint(error: dict[str, Any]) -> str:
    location = [str(part) for part in error["loc"]]
    key = ".".join(location)
    match error["type"]:
        case "extra_forbidden":
            near = difflib.get_close_matches(location[-1], _known_names(location[:-1]), 1, 0.0)
            return f"unknown key {key} (did you mean {'.'.join([*location[:-1], *near])}?)"
        case "missing":
            return f"missing key {key}"
        case "value_error":
            return str(error["ctx"]["error"])
    message = str(error["msg"]).removeprefix("Input should be ")
    return f"{key} should be {message}, not {error['input']!r}"


def _known_names(location: list[str]) -> list[str]:
    section: type[BaseModel] = Params
    for name in location:
        annotation = section.model_fields[name].annotation if name in section.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        section = annotation
    return list(section.model_fields)
