"""paper/params.yaml: profiles (how large, on what) and variants (what is compared), typed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from pipeline.config import Natural, Section
from pipeline.errors import SllamaError
from pipeline.io import read_yaml

SETTINGS_FILE = Path("paper/params.yaml")

TableName = Literal["headline", "parts", "choices", "audit", "curves"]
Role = Literal["pairs", "supplement", "entity", "ewok", "heldout"]
NullName = Literal["uniform", "unigram", "bigram"]
# Names become parts of file names and of DVC's stage names.
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Labels = Annotated[
    list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]
# What the plan has besides <variant>-<seed>.yaml: data.yaml, evaluate-<seed>.yaml.
_COMMON_PLANS = ("data", "evaluate")


class Profile(Section):
    """One size of the whole: smoke, cpu, choices, standin, full."""

    about: str = Field(min_length=1, description="what it is, for a reader of the tables")
    recipe: str | None = Field(description="a file of recipes/, laid on params.yaml; null: none")
    seeds: list[Natural] = Field(min_length=1)
    tasks: dict[Role, str] = Field(description="the task that plays each part in the tables")
    nulls: list[NullName] = Field(description="scorers that know nothing, with the own tokenizer")
    mirrored_tokenizers: list[Name] = Field(
        default_factory=list,
        description="the uniform scorer with these, too, where the mirror has tokenizers/<name>",
    )
    curves: bool = Field(default=True, description="keep and score word-counted checkpoints")
    set: dict[str, Any] = Field(default_factory=dict, description="overrides on the recipe")

    @model_validator(mode="after")
    def _pairs_and_text_are_there(self) -> Self:
        if not {"pairs", "heldout"} <= set(self.tasks):
            raise ValueError("tasks: every profile needs pairs and heldout")
        for name in ("seeds", "nulls", "mirrored_tokenizers"):
            _require_once(name, getattr(self, name))
        return self


class Variant(Section):
    """One row: overrides on the profile's recipe, and the tables that it stands in."""

    name: Name
    tables: dict[TableName, Labels] = Field(description="the row's label (or labels) by table")
    profiles: list[str] = Field(description="profiles that run it; elsewhere it is `not run`")
    set: dict[str, Any] = Field(default_factory=dict, description="overrides, as in a recipe")
    against: str | None = Field(
        default=None, description="what its differences are taken from; null: the reference"
    )
    decay_multiple: float | None = Field(
        default=None, gt=0, description="train.decay_steps as a multiple of train.steps"
    )
    parameters_of: str | None = Field(
        default=None, description="variant whose parameter count is to be met by the sizes"
    )
    reloaded: bool = Field(
        default=False, description="not trained: the reference as the released loader gives it back"
    )

    @model_validator(mode="after")
    def _fits_into_a_plan(self) -> Self:
        if self.name in _COMMON_PLANS:
            raise ValueError(f"{self.name}: files of the plan have that name; take another")
        for section, keys in self.set.items():
            if section not in ("model", "train"):
                raise ValueError(
                    f"{self.name}: {section} is the profile's; a variant sets model or train"
                )
            if not isinstance(keys, dict):
                raise ValueError(f"{self.name}: set.{section} names no keys; leave it out")
        return self


class Selection(Section):
    """What DVC's matrices run: written by `python -m pipeline.paper PROFILE`, not by hand."""

    profile: str
    seeds: list[Natural]
    tasks: str
    curve_tasks: str
    trained: list[str]
    reloaded: list[str]
    evaluated: list[str]
    curves: list[str]
    nulls: list[NullName]
    mirrored_tokenizers: list[str]


class Settings(Section):
    """The whole of paper/params.yaml."""

    reference: Name = Field(description="the variant that the others are compared with")
    profiles: dict[str, Profile] = Field(min_length=1)
    variants: list[Variant] = Field(min_length=1)
    selected: Selection

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        names = [variant.name for variant in self.variants]
        _require_once("variants", names)
        for table in get_args(TableName):
            _require_once(
                f"labels of table {table}",
                [label for variant in self.variants for label in variant.tables.get(table, [])],
            )
        wanted = {self.reference}
        for variant in self.variants:
            wanted |= {*filter(None, (variant.against, variant.parameters_of))}
            if unknown := sorted(set(variant.profiles) - set(self.profiles)):
                raise ValueError(f"{variant.name}: no profile {', '.join(unknown)}")
            if variant.reloaded and (variant.set or variant.name == self.reference):
                raise ValueError(f"{variant.name}: a reloaded variant has no settings of its own")
        if unknown := sorted(wanted - set(names)):
            raise ValueError(f"no variant {', '.join(unknown)}")
        return self

    @model_validator(mode="after")
    def _sizes_have_an_origin(self) -> Self:
        followed = {variant.name: variant.parameters_of for variant in self.variants}
        for name in followed:
            chain = [name]
            while (following := followed[chain[-1]]) is not None:
                chain.append(following)
                if following in chain[:-1]:
                    raise ValueError(
                        f"{name}: parameters_of runs in a circle, {' -> '.join(chain)}"
                    )
        return self

    @property
    def profile(self) -> Profile:
        """The profile that is selected; SllamaError if it is there no more."""
        if self.selected.profile not in self.profiles:
            raise self._stale(f"profile {self.selected.profile}")
        return self.profiles[self.selected.profile]

    def variant(self, name: str) -> Variant:
        """Return a variant by its name; SllamaError if it is there no more."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise self._stale(f"variant {name}")

    def select(self, profile: str) -> Selection:
        """Return what has to run under a profile; SllamaError if there is none of that name."""
        if profile not in self.profiles:
            raise SllamaError(f"no profile {profile} in the paper: {', '.join(self.profiles)}")
        chosen = [variant for variant in self.variants if profile in variant.profiles]
        names = [variant.name for variant in chosen]
        if self.reference not in names:
            raise SllamaError(f"profile {profile} has to run the reference, {self.reference}")
        size = self.profiles[profile]
        drawn = [v.name for v in chosen if "curves" in v.tables and not v.reloaded]
        return Selection(
            profile=profile,
            seeds=size.seeds,
            tasks=",".join(size.tasks.values()),
            curve_tasks=f"{size.tasks['pairs']},{size.tasks['heldout']}",
            trained=[variant.name for variant in chosen if not variant.reloaded],
            reloaded=[variant.name for variant in chosen if variant.reloaded],
            evaluated=names,
            curves=drawn if size.curves else [],
            nulls=size.nulls,
            mirrored_tokenizers=size.mirrored_tokenizers,
        )

    # Not in _names_fit: the selection is written anew by a program that reads these settings.
    def _stale(self, gone: str) -> SllamaError:
        known = "|".join(self.profiles)
        return SllamaError(
            f"no {gone} in the paper, but it is selected: run python -m pipeline.paper {known}, "
            "which selects anew"
        )


def _require_once(name: str, values: Sequence[int | str]) -> None:
    """Raise ValueError if a value is there twice: it would count twice in means and intervals."""
    twice = sorted({str(value) for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{name}: {', '.join(twice)} twice")


def load_settings(path: Path = SETTINGS_FILE) -> Settings:
    """Read and check paper/params.yaml; SllamaError lists what is wrong in one line."""
    return parse_settings(read_yaml(path), str(path))


def parse_settings(values: Any, origin: str) -> Settings:
    """Check `values` (the parsed YAML); SllamaError names `origin` and every wrong key."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        complaints = (
            f"{'.'.join(str(part) for part in item['loc'])}: "
            + str(item["msg"]).removeprefix("Value error, ")
            for item in error.errors()
        )
        raise SllamaError(f"{origin}: " + "; ".join(complaints)) from error
