"""A made-up run: the files that the report reads, with figures that are easy to check."""

import json
from pathlib import Path
from typing import Any

import yaml

from pipeline.config import Params, parse_params
from tests.imports import ROOT

BLIMP_PARADIGMS = ("passive_1", "passive_2", "wh_island", "npi_present_1")


def scores(accuracy: float, tie_rate: float = 0.02, n: int = 200) -> dict[str, Any]:
    return {
        "n": n,
        "accuracy": accuracy,
        "accuracy_first_wins": accuracy + tie_rate / 2,
        "accuracy_ties_wrong": accuracy - tie_rate / 2,
        "tie_rate": tie_rate,
        "nonfinite": 0,
        "truncated": 0,
        "ci95": [max(0.0, accuracy - 0.05), min(1.0, accuracy + 0.05)],
    }


def group(paradigms: dict[str, float], tie_rate: float = 0.02) -> dict[str, Any]:
    mean = sum(paradigms.values()) / len(paradigms)
    return {
        **scores(mean, tie_rate, 200 * len(paradigms)),
        "ci95_paradigms": [max(0.0, mean - 0.1), min(1.0, mean + 0.1)],
        "paradigms": {name: scores(value, tie_rate) for name, value in paradigms.items()},
    }


def choice_task(paradigms: dict[str, float]) -> dict[str, Any]:
    return {
        "status": "ok",
        "reason": None,
        **group(paradigms, tie_rate=0.0),
        "null": {
            "uniform": group(dict.fromkeys(paradigms, 0.514), tie_rate=0.8109),
            "unigram": group(dict.fromkeys(paradigms, 0.5275), tie_rate=0.01),
        },
    }


def text_task() -> dict[str, Any]:
    return {
        "status": "ok",
        "reason": None,
        "bits_per_byte": 1.23456,
        "perplexity": 31.4159,
        "ci95": [1.2, 1.27],
        "tokens": 12345,
        "bytes": 54321,
        "null": {
            "uniform": {"bits_per_byte": 3.4, "perplexity": 32000.0, "tokens": 1, "bytes": 1},
            "unigram": {"bits_per_byte": 2.25, "perplexity": 700.5, "tokens": 1, "bytes": 1},
        },
    }


def judgement_task() -> dict[str, Any]:
    scores = {"metric": "spearman", "n": 200, "tie_rate": 0.0, "nonfinite": 0}
    return {
        "status": "ok",
        "reason": None,
        **scores,
        "score": 0.12345,
        "ci95": [-0.01, 0.25],
        "null": {
            "uniform": {**scores, "score": None, "ci95": None, "tie_rate": 1.0},
            "unigram": {**scores, "score": -0.2, "ci95": [-0.3, -0.1]},
        },
    }


def reading_task() -> dict[str, Any]:
    scores = {"metric": "r2_gain", "n": 1726, "nonfinite": 0}
    nothing = {**scores, "score": 0.0, "eye_tracking": 0.0, "self_paced": 0.0}
    return {
        "status": "ok",
        "reason": None,
        **scores,
        "score": 0.006,
        "eye_tracking": 0.0075,
        "self_paced": 0.0045,
        "null": {"uniform": nothing, "unigram": {**nothing, "self_paced": None, "score": None}},
    }


def finetune_task() -> dict[str, Any]:
    return {
        "status": "ok",
        "reason": None,
        "metric": "f1",
        "n": 204,
        "train": 3668,
        "context": 256,
        "seeds": [42, 43],
        "score": 0.7,
        "ci95": [0.65, 0.75],
        "honest": {"score": 0.7, "scores": [0.72, 0.68], "epochs": [3, 4]},
        "official": {"score": 0.8, "scores": [0.81, 0.79], "epochs": [9, 10]},
        "truncated": 7,
        "null": {"constant": {"status": "ok", "reason": None, "label": 1, "score": 0.81}},
    }


def age_task() -> dict[str, Any]:
    return {
        "status": "ok",
        "reason": None,
        "metric": "pearson",
        "n": 150,
        "words": 328,
        "acquired": 190,
        "checkpoints": [f"chck_{count}M" for count in (1, 2, 5, 10)],
        "score": -0.15,
        "official": -0.15,
        "p_value": 0.0625,
        "ci95": [-0.3, 0.01],
        "null": {
            "uniform": ages(200, 0.25, 0.25, 0.0005, [0.1, 0.4]),
            "unigram": ages(200, None, 0.0, None, None),
        },
    }


def ages(
    n: int, score: float | None, official: float, p_value: float | None, ci95: list[float] | None
) -> dict[str, Any]:
    found = {"n": n, "score": score, "official": official, "p_value": p_value, "ci95": ci95}
    return {"status": "ok", "reason": None, **found}


def samples_task() -> dict[str, Any]:
    def sample(prompt: str, temperature: float, text: str, ended: bool = False) -> dict[str, Any]:
        return {"prompt": prompt, "temperature": temperature, "text": text, "ended": ended}

    return {
        "status": "ok",
        "reason": None,
        "n": 4,
        "seed": 77,
        "max_tokens": 60,
        "samples": [
            sample("", 0.5, "The dog is here.", ended=True),
            sample("", 1.0, "Who *saw*\nthe <i>dog</i>\x07?"),
            sample("Some boys were", 0.5, " ready.\nThe ball is"),
            sample("Some boys were", 1.0, "n't quite " + "so" * 60),
        ],
        "null": {},
    }


def missing_task(reason: str = "gated | needs <b>HF_TOKEN</b>") -> dict[str, Any]:
    return {"status": "missing", "reason": reason}


class Run:
    """Input files below a folder; change the values, then `write()`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recipe: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
        self.train: dict[str, Any] = {
            "parameters": 2_585_792,
            "parameters_by_component": {
                "embedding": 512_000,
                "attention": 384,
                "mlp": 24_576,
                "norms": 832,
                "lm_head": 2_048_000,
            },
            "steps": 3000,
            "tokens_seen": 196_608_000,
            "words_seen": 130_000_000,
            "passes": 13.125,
            "train_loss": 3.61005,
            "validation": {"loss": 3.7, "bits_per_byte": 1.30004, "perplexity": 40.4473},
            "something_new": {"nested": 1},
        }
        self.history = (
            "step\ttokens\twords\tloss\tvalidation_loss\tbits_per_byte\tlearning_rate\n"
            "1\t65536\t43000\t10.37\t\t\t0.000002\n"
            "1500\t98304000\t65000000\t3.9\t3.95\t1.41\t0.0003\n"
            "3000\t196608000\t130000000\t3.61\t3.7\t1.3\t0.00004\n"
        )
        self.tokens: dict[str, Any] = {
            "fingerprint": "0123abcd",
            "vocab_size": 32000,
            "dtype": "uint16",
            "sources": ["childes", "gutenberg"],
            "stand_in": False,
            "source": "babylm-strict-small",
            "splits": {
                "train": {"tokens": 15_000_000, "documents": 9800, "words": 9_770_000, "bytes": 54},
                "validation": {"tokens": 150, "documents": 100, "words": 100, "bytes": 540},
                "test": {"tokens": 149, "documents": 99, "words": 99, "bytes": 541},
            },
        }
        self.tasks: dict[str, dict[str, Any]] = {
            "heldout": text_task(),
            "blimp_filtered": choice_task(
                dict(zip(BLIMP_PARADIGMS, (0.7, 0.65, 0.4, 0.5555), strict=True))
            ),
            "supplement_filtered": missing_task(),
        }
        self.identity: dict[str, Any] = {
            "schema": 1,
            "model": {"fingerprint": "feedbeef", "parameters": 2_585_792},
            "tokenizer": {"fingerprint": "cafe", "vocab_size": 32000},
            "dtype": "float32",
            "scorer": "sllama-fast",
            "versions": {"torch": "2.13.0", "lm_eval": "0.4.13"},
        }

    @property
    def params(self) -> Params:
        self.recipe["evaluate"]["tasks"] = list(self.tasks)
        return parse_params(self.recipe, "params.yaml")

    @property
    def paths(self) -> dict[str, Path]:
        return {
            "train_metrics": self.folder / "results/train/metrics.json",
            "history": self.folder / "results/train/history.tsv",
            "evaluate_dir": self.folder / "results/evaluate",
            "tokens": self.folder / "data/tokens/tokens.json",
        }

    def use_demo(self) -> None:
        """Score pairs of the embedded corpus in place of published benchmarks."""
        self.recipe["data"]["source"] = self.tokens["source"] = "demo"
        self.tasks = {"demo_pairs": choice_task({"agreement": 0.9, "reflexive": 0.875})}

    def use_every_kind(self) -> None:
        """Add a task of each further kind that the evaluate stage makes."""
        self.tasks |= {
            "wug_adj": judgement_task(),
            "reading": reading_task(),
            "glue_mrpc": finetune_task(),
            "aoa": age_task(),
            "samples": samples_task(),
        }

    def use_stand_in(self) -> None:
        """Train on a stand-in for the official corpus."""
        self.recipe["data"]["source"] = "babylm-standin"
        self.tokens |= {"source": "babylm-standin", "stand_in": True}

    def write(self) -> "Run":
        paths = self.paths
        for path in paths.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        paths["evaluate_dir"].mkdir(exist_ok=True)
        paths["train_metrics"].write_text(json.dumps(self.train))
        paths["history"].write_text(self.history)
        paths["tokens"].write_text(json.dumps(self.tokens))
        for name, task in self.tasks.items():
            evaluation = {**self.identity, "tasks": {name: task}}
            (paths["evaluate_dir"] / f"{name}.json").write_text(json.dumps(evaluation))
        return self
