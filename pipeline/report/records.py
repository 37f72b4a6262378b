"""What the input files hold: required keys, strict types, finite numbers."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
Interval = Annotated[list[Fraction], Field(min_length=2, max_length=2)]
TextInterval = Annotated[list[NonNegative | None], Field(min_length=2, max_length=2)]
Correlation = Annotated[float, Field(ge=-1, le=1)]
CorrelationInterval = Annotated[list[Correlation], Field(min_length=2, max_length=2)]


class Record(BaseModel):
    """Part of an input file: strict types, finite numbers, further keys ignored."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=()
    )


class Validation(Record):
    """Held-out validation split: nats a token, bits a byte of text."""

    loss: NonNegative
    bits_per_byte: NonNegative
    perplexity: NonNegative


class TrainMetrics(Record):
    """results/train/metrics.json."""

    parameters: Count
    parameters_by_component: dict[str, Count] = Field(min_length=1)
    steps: Count
    kept_step: Count | None = None
    tokens_seen: Count
    words_seen: Count
    passes: NonNegative
    train_loss: NonNegative
    skipped_batches: Count = 0
    validation: Validation


class Split(Record):
    """One split of the encoded corpus."""

    tokens: Count
    documents: Count
    words: Count
    bytes: Count


class Tokens(Record):
    """data/tokens/tokens.json."""

    fingerprint: str
    vocab_size: Count
    dtype: str
    sources: list[str]
    stand_in: bool
    source: str
    splits: dict[str, Split] = Field(min_length=1)


class Missing(Record):
    """A task or a scorer that could not be run, and why."""

    status: Literal["missing"]
    reason: str = Field(min_length=1)


class ChoiceFigures(Record):
    """Forced choices: fractions of the items; `accuracy` gives a tie half a point."""

    accuracy: Fraction
    accuracy_first_wins: Fraction
    accuracy_ties_wrong: Fraction
    tie_rate: Fraction
    truncated: Count | None = Field(default=None, description="null: not on record")


class Scores(ChoiceFigures):
    """The same with what they are of: `n` items."""

    n: Annotated[int, Field(gt=0)]
    nonfinite: Count = 0
    truncated: Count = 0
    ci95: Interval | None = None


class GroupScores(Scores):
    """The scores of a task and of each of its paradigms."""

    ci95_paradigms: Interval | None = Field(default=None, description="null: a single paradigm")
    paradigms: dict[str, Scores] = Field(min_length=1)


class ChoiceTask(GroupScores):
    """A task of forced choices: the model, and the scorers that know nothing, by name."""

    ci95: Interval
    nonfinite: Count
    truncated: Count
    null: dict[str, GroupScores]
    missing_null: dict[str, Missing] = Field(default_factory=dict)


class TextScores(Record):
    """How well running text is predicted, all of it with finite scores."""

    bits_per_byte: NonNegative
    perplexity: NonNegative | None = Field(description="null: too large for a float")


class AnyTextScores(Record):
    """How well running text is predicted; null where a document's score is not finite."""

    bits_per_byte: NonNegative | None
    perplexity: NonNegative | None = Field(description="null: too large for a float, besides")
    nonfinite: Count = 0
    ci95: TextInterval | None = Field(default=None, description="ends may not be finite: null")


class TextTask(AnyTextScores):
    """Held-out text: the model, and the scorers that know nothing, by name."""

    tokens: Count
    bytes: Count
    unread_bytes: Count = 0
    null: dict[str, AnyTextScores]
    missing_null: dict[str, Missing] = Field(default_factory=dict)


class JudgementScores(Record):
    """Spearman's correlation with what people prefer; null where it is undefined."""

    n: Count
    score: Correlation | None
    tie_rate: Fraction
    nonfinite: Count
    ci95: CorrelationInterval | None


class JudgementTask(JudgementScores):
    """Made-up words: the model, and the scorers that know nothing, by name."""

    metric: Literal["spearman"]
    null: dict[str, JudgementScores]
    missing_null: dict[str, Missing] = Field(default_factory=dict)


class ReadingScores(Record):
    """Gains in R2 from surprisal, fractions of what the baseline leaves; null: undefined."""

    n: Count
    score: float | None
    eye_tracking: float | None
    self_paced: float | None
    nonfinite: Count


class ReadingTask(ReadingScores):
    """Reading times: the model, and the scorers that know nothing, by name."""

    metric: Literal["r2_gain"]
    null: dict[str, ReadingScores]
    missing_null: dict[str, Missing] = Field(default_factory=dict)


class Runs(Record):
    """Fine-tuning runs, one a seed: scores, and the epoch that was chosen."""

    score: Fraction
    scores: list[Fraction] = Field(min_length=1)
    epochs: list[Count] = Field(min_length=1)


class ConstantScore(Record):
    """What the same answer to every question gets."""

    label: int
    score: Fraction


class FinetuneTask(Record):
    """A fine-tuning task; `score` is the honest number."""

    metric: Literal["accuracy", "f1"]
    n: Count
    train: Count
    context: Count
    seeds: list[int] = Field(min_length=1)
    score: Fraction
    truncated: Count
    ci95: Interval
    honest: Runs
    official: Runs
    null: dict[Literal["constant"], ConstantScore]


class AgeScores(Record):
    """Age of acquisition: Pearson's correlation over words; null where it is undefined.

    `official`: zero where it is not significant, as the challenge counts it.
    """

    n: Count
    score: Correlation | None
    official: Correlation
    p_value: Fraction | None
    ci95: CorrelationInterval | None


class AgeTask(AgeScores):
    """Words that are learned: the model, and the scorers that know nothing, by name."""

    metric: Literal["pearson"]
    words: Count
    acquired: Count
    checkpoints: list[str]
    null: dict[str, AgeScores]
    missing_null: dict[str, Missing] = Field(default_factory=dict)


class Sample(Record):
    """A text that the model wrote after `prompt`; `ended`: by itself, not by the limit."""

    prompt: str
    temperature: Annotated[float, Field(gt=0)]
    text: str
    ended: bool


class SamplesTask(Record):
    """Texts for reading, without a score; `seed` is the origin of their random streams."""

    seed: Count
    max_tokens: Count
    samples: list[Sample] = Field(min_length=1)


class ModelIdentity(Record):
    """Which weights were scored."""

    fingerprint: str
    parameters: Count
    looks_ahead: bool = False


class TokenizerIdentity(Record):
    """Which tokenizer the weights were scored with."""

    fingerprint: str
    vocab_size: Count


class Evaluation(Record):
    """results/evaluate/<task>.json, its tasks still unread."""

    schema_: Literal[1] = Field(alias="schema")
    tasks: dict[str, dict[str, Any]]
    model: ModelIdentity
    tokenizer: TokenizerIdentity
    dtype: str
    scorer: str
    versions: dict[str, str]


NullScoredTask = ChoiceTask | TextTask | JudgementTask | ReadingTask | AgeTask
Task = NullScoredTask | FinetuneTask | SamplesTask | Missing
