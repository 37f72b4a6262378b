"""Made-up runs: the files that the tables read, with figures that are easy to check."""

import json
from pathlib import Path
from typing import Any

from pipeline.io import sha256_file
from pipeline.paper.build import compose_document, compose_tables, write_tables
from pipeline.paper.figures import draw_figures
from pipeline.paper.inputs import Folders, Inputs, read_inputs
from pipeline.paper.settings import Settings, parse_settings
from pipeline.provenance import provenance_path
from pipeline.report.tables import Table

PARADIGMS = ("passive_1", "wh_island")
ITEMS = 10
# Items right of ten, by variant, then by paradigm, for seeds 1 and 2.
RIGHT = {
    "ours": {"passive_1": (8, 8), "wh_island": (6, 7)},
    "peer": {"passive_1": (5, 6), "wh_island": (6, 5)},
    "damaged": {"passive_1": (5, 5), "wh_island": (5, 5)},
}
SELECTED_LISTS = (
    "seeds", "trained", "reloaded", "evaluated", "curves", "nulls", "mirrored_tokenizers",
)  # fmt: skip
ATTENTION = {"ours": "pwa", "peer": "mha"}
TRAIN = {"steps": 2500, "batch_size": 10, "sequence_length": 100}
CORPUS = {True: "babylm-standin", False: "babylm-strict-small"}
TIED = 2  # of the items that are not right
SCORES = {"right": [-1.0, -2.0], "tie": [-2.0, -2.0], "wrong": [-2.0, -1.0]}


def settings_values() -> dict[str, Any]:
    """A profile with two seeds; `later` belongs to a profile that is not selected."""
    values: dict[str, Any] = {
        "reference": "ours",
        "profiles": {
            "small": {
                "about": "made up for a test.",
                "recipe": "smoke",
                "seeds": [1, 2],
                "tasks": {"pairs": "blimp_filtered", "ewok": "ewok", "heldout": "heldout"},
                "nulls": ["uniform"],
                "mirrored_tokenizers": ["llama"],
            },
            "large": {
                "about": "never run.",
                "recipe": None,
                "seeds": [1],
                "tasks": {"pairs": "blimp_filtered", "heldout": "heldout"},
                "nulls": [],
            },
        },
        "variants": [
            {
                "name": "ours",
                "tables": {
                    "headline": "SLlama & co_1",
                    "parts": "SLlama",
                    "choices": ["attention: pwa", "width: 64"],
                    "audit": "corrected",
                    "curves": "SLlama",
                },
                "profiles": ["small", "large"],
            },
            {
                "name": "peer",
                "tables": {
                    "headline": "Llama",
                    "parts": "Llama",
                    "choices": "attention: mha",
                    "audit": "peer",
                },
                "profiles": ["small", "large"],
                "set": {"model": {"attention": "mha"}},
            },
            {
                "name": "later",
                "tables": {"headline": "Later", "parts": "Later", "choices": "width: 128"},
                "profiles": ["large"],
                "set": {"model": {"tie_embeddings": True}},
            },
            {
                "name": "damaged",
                "tables": {"audit": "reloaded"},
                "profiles": ["small"],
                "reloaded": True,
            },
        ],
        "selected": {"profile": "small", "tasks": "", "curve_tasks": ""}
        | {key: [] for key in SELECTED_LISTS},
    }
    values["selected"] = parse_settings(values, "test").select("small").model_dump()
    return values


def settings(values: dict[str, Any] | None = None) -> Settings:
    return parse_settings(values or settings_values(), "test")


def write_runs(root: Path, stand_in: bool = True) -> Folders:
    """Write every file of the selected runs below `root`."""
    folders = Folders(
        results=root / "results",
        models=root / "models",
        plan=root / "plan",
        tokens=root / "tokens.json",
        ledger=root / "ledger.csv",
        speed=root / "speed.json",
    )
    _write(folders.tokens, _tokens(stand_in))
    _write(folders.plan / "data.yaml", {"data": {"source": CORPUS[stand_in]}})
    for seed in (1, 2):
        for variant in RIGHT:
            name = f"{variant}-{seed}"
            scores = folders.results / "evaluate" / f"{name}.json"
            _write(scores, _evaluation(variant, seed))
            _write(provenance_path(scores), _scoring(scores))
            _write_text(folders.results / "items" / f"{name}.jsonl", _items(variant, seed))
            _write(folders.models / f"{name}.provenance.json", _provenance(variant, seed))
            if variant != "damaged":
                _write(folders.results / "train" / f"{name}.json", _training(variant))
                data = {"source": CORPUS[stand_in]}
                _write(folders.plan / f"{name}.yaml", {**_recipe(variant, seed), "data": data})
        curve = folders.results / "curves" / f"ours-{seed}" / "chck_1M.json"
        _write(curve, _evaluation("damaged", seed, bits=3.0))
    _write(folders.speed, _speed(folders.plan))
    uniform = folders.results / "null" / "uniform.json"
    _write(uniform, _null())
    _write(provenance_path(uniform), _scoring(uniform))
    reason = {"status": "missing", "reason": "no tokenizer in a mirror"}
    _write(folders.results / "null" / "uniform_llama.json", reason)
    return folders


def inputs(root: Path, values: dict[str, Any] | None = None, stand_in: bool = True) -> Inputs:
    return read_inputs(settings(values), write_runs(root, stand_in))


def tables(root: Path, values: dict[str, Any] | None = None) -> dict[str, Table]:
    return compose_tables(inputs(root, values))


def document(root: Path) -> Any:
    made = inputs(root)
    return compose_document(made, compose_tables(made), draw_figures(made))


def write_all(root: Path) -> Path:
    """Run the whole report on the made-up runs; return the folder of all that it writes."""
    made = root / "made"
    write_tables(
        settings(), write_runs(root), made / "tables", made / "metrics.json", made / "runs.csv"
    )
    return made


def _speed(plan: Path) -> dict[str, Any]:
    """The peer is 1.5, 2 and 4 times as fast in three turns."""
    seconds = {"ours": [0.5, 0.5, 1.0], "peer": [1 / 3, 0.25, 0.25]}
    rows = {
        name: {
            "seed": 1,
            "recipe": sha256_file(plan / f"{name}-1.yaml"),
            "mode": "float32, eager",
            "tokens": 1000,
            "seconds": turns,
        }
        for name, turns in seconds.items()
    }
    machine = {"processor": "a processor", "threads": 2}
    return {"rows": rows, "commit": "0123456789abcdef", "dirty": False, "machine": machine}


def _kinds(right: int) -> list[str]:
    return ["right"] * right + ["tie"] * TIED + ["wrong"] * (ITEMS - TIED - right)


def _paradigm(right: int) -> dict[str, Any]:
    half, first = (right + TIED / 2) / ITEMS, (right + TIED) / ITEMS
    return _choice(half, first, right / ITEMS)


def _choice(half: float, first: float, strict: float, n: int = ITEMS) -> dict[str, Any]:
    return {
        "n": n,
        "accuracy": half,
        "accuracy_first_wins": first,
        "accuracy_ties_wrong": strict,
        "tie_rate": first - strict,
        "nonfinite": 0,
        "ci95": [0.0, 1.0],
    }


def _blimp(variant: str, seed: int) -> dict[str, Any]:
    paradigms = {name: _paradigm(RIGHT[variant][name][seed - 1]) for name in PARADIGMS}
    means = [
        sum(scores[key] for scores in paradigms.values()) / len(paradigms)
        for key in ("accuracy", "accuracy_first_wins", "accuracy_ties_wrong")
    ]
    total = _choice(*means, n=ITEMS * len(paradigms))
    return {"status": "ok", **total, "truncated": 3, "null": {}, "paradigms": paradigms}


def _evaluation(variant: str, seed: int, bits: float = 2.0) -> dict[str, Any]:
    return {
        "schema": 1,
        "dtype": "float32",
        "scorer": "sllama-fast",
        "versions": {"torch": "2.13.0"},
        "model": {"fingerprint": f"{variant}{seed}".ljust(64, "0"), "parameters": 1000},
        "tokenizer": {"fingerprint": "t", "vocab_size": 2048},
        "tasks": {
            "blimp_filtered": _blimp(variant, seed),
            "ewok": {"status": "missing", "reason": "it is gated"},
            "heldout": _heldout(bits + seed / 100),
        },
    }


def _heldout(bits: float) -> dict[str, Any]:
    return {"status": "ok", "bits_per_byte": bits, "perplexity": 9.0, "bytes": 50}


def _null() -> dict[str, Any]:
    paradigms = {name: _choice(0.5, 0.9194, 0.0806) for name in PARADIGMS}
    blimp = {"status": "ok", **_choice(0.5, 0.9194, 0.0806), "paradigms": paradigms}
    missing = {"status": "missing", "reason": "it is gated"}
    return {
        "tokenizer": {"fingerprint": "t", "vocab_size": 2048},
        "tasks": {"blimp_filtered": blimp, "ewok": missing, "heldout": _heldout(4.0)},
    }


def _items(variant: str, seed: int) -> str:
    lines = [
        {"task": "blimp_filtered", "item": f"{name}_{number}", "scores": SCORES[kind]}
        for name in PARADIGMS
        for number, kind in enumerate(_kinds(RIGHT[variant][name][seed - 1]))
    ]
    lines.append({"task": "heldout", "item": "document_0", "scores": [-5.0]})
    return "".join(json.dumps(line) + "\n" for line in lines)


def _training(variant: str) -> dict[str, Any]:
    components = {"embedding": 600, "head": 300, "matrices": 90, "norms_and_biases": 10}
    components["head"] += 1000 * (variant == "peer")
    return {
        "parameters": sum(components.values()),
        "parameters_by_component": components,
        "steps": TRAIN["steps"],
        "tokens_seen": 2_500_000,
        "words_seen": 1_500_000,
        "passes": 0.5,
        "train_loss": 3.0,
        "validation": {"loss": 3.0, "bits_per_byte": 2.0, "perplexity": 20.0},
        "word_checkpoints": ["chck_1M"],
    }


def _tokens(stand_in: bool) -> dict[str, Any]:
    split = {"tokens": 10, "documents": 1, "words": 9_100_000, "bytes": 50}
    return {
        "fingerprint": "f",
        "vocab_size": 2048,
        "dtype": "uint16",
        "sources": ["a"],
        "stand_in": stand_in,
        "source": CORPUS[stand_in],
        "splits": {"train": split, "test": {**split, "words": 0}},
    }


def _recipe(variant: str, seed: int) -> dict[str, Any]:
    return {"seed": seed, "model": {"attention": ATTENTION[variant]}, "train": TRAIN}


def _provenance(variant: str, seed: int) -> dict[str, Any]:
    # As paper_reload leaves it, which trains nothing.
    section = {"seed": seed} if variant == "damaged" else _recipe(variant, seed)
    return {
        "section": section,
        "commit": "0123456789abcdef",
        "dirty": seed == 2,
        "tokens_per_second": 1000 * seed,
        "machine": {"processor": "a processor", "threads": 2},
    }


def _scoring(scores: Path) -> dict[str, Any]:
    return {
        "commit": "fedcba9876543210",
        "dirty": False,
        "machine": {"processor": "another", "threads": None if "null" in scores.parts else 1},
        "sha256": sha256_file(scores),
    }


def _write(path: Path, value: Any) -> None:
    _write_text(path, json.dumps(value))


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
