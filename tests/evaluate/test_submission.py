import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.protected import PROTECTED_VARIABLE, protected_folder
from pipeline.errors import SllamaError
from pipeline.evaluate import submission_parts
from pipeline.evaluate.readers import READING_NUMBERS
from pipeline.evaluate.submission import build_submission
from pipeline.evaluate.submission_fast import fast_results
from pipeline.evaluate.submission_parts import PARTS, STRICT, STRICT_SMALL, Rules, fast_sizes
from pipeline.io import read_yaml
from pipeline.stage import run_stage
from stages.submission import arguments, work
from tests.imports import ROOT

PAIRS = [{"sentence_good": "A.", "sentence_bad": "B."}] * 3


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def collect(*options: str) -> object:
    """Run the stage and return its exit code."""
    params = ["--params", str(ROOT / "params.yaml")]
    with pytest.raises(SystemExit) as ended:
        run_stage("", arguments, work, [*params, "--rules=2025", *options])
    return ended.value.code


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_lines(tmp_path / "full_eval" / "blimp_filtered" / "island.jsonl", PAIRS)
    wug = {"sentences": "a\tb", "ratio": 0.5}
    write_lines(tmp_path / "full_eval" / "wug_past_tense" / "wug_past_tense.jsonl", [wug])
    sizes = tmp_path / "sizes.yaml"
    known = {"blimp": {"island": 3}, "wug_past": {"wug_past": 1}, "glue": {"wsc": 2, "rte": 9}}
    surprisals = {"2025": 41, "2026": 3}
    sizes.write_text(
        json.dumps({"2025": known, "2026": known, "fast": {}, "surprisals": surprisals})
    )
    monkeypatch.setattr(submission_parts, "SIZES", sizes)
    return tmp_path


def score_lines(task: str, scores: dict[str, list[float | None]]) -> list[dict[str, Any]]:
    return [{"task": task, "item": item, "scores": row} for item, row in scores.items()]


NO_TRACK = (
    "not those of a track; strict-small has 19, chck_1M to chck_100M, strict 28, to chck_1000M"
)
SCORES = {"island_0": [-1.0, -2.0], "island_1": [-2.0, -1.0], "island_2": [-1.0, -1.0]}


def test_predictions_are_the_chosen_texts(data: Path) -> None:
    lines = score_lines("blimp_filtered", SCORES)
    lines += score_lines("wug_past", {"wug_past_tense_0": [-1.0, -1.0]})
    items = write_lines(data / "items.jsonl", lines)
    made = build_submission("2025", [items], data)
    assert made["blimp"]["island"]["predictions"] == [
        {"id": "island_0", "pred": "A."},
        {"id": "island_1", "pred": "B."},
        {"id": "island_2", "pred": "A."},
    ]
    expected = {"id": "wug_past_0", "pred": "a", "prob": 0.5}
    assert made["wug_past"] == {"wug_past": {"predictions": [expected]}}
    assert made["comps"] is None
    assert made["glue"] is made["aoa"] is None
    assert set(made) == {*PARTS["2025"], "glue", "aoa"}


def test_glue_labels_are_the_largest_logits_of_the_tasks_there_are(data: Path) -> None:
    lines = score_lines("glue_wsc", {"wsc_0": [0.5, 0.25], "wsc_1": [-1.0, 2.0]})
    items = write_lines(data / "items.jsonl", lines)
    made = build_submission("2026", [items], data)
    predictions = [{"id": "wsc_0", "pred": 0}, {"id": "wsc_1", "pred": 1}]
    assert made["glue"] == {"wsc": {"predictions": predictions}}
    write_lines(items, lines[:1])
    with pytest.raises(SllamaError, match="glue: expects other numbers of predictions for wsc"):
        build_submission("2026", [items], data)


def test_surprisals_of_words_come_once_for_each_context(data: Path) -> None:
    listed = {"dog": [{"context": "A"}] * 20, "cat": [{"context": "A"}] * 21}
    (data / "aoa").mkdir()
    (data / "aoa" / "cdi_childes.json").write_text(json.dumps(listed))
    scores: dict[str, list[float | None]] = {}
    for step in ("chck_1M", "chck_20M"):
        scores |= {f"{step}/dog": [-3.0], f"{step}/cat": [-4.0]}
    items = write_lines(data / "items.jsonl", score_lines("aoa", scores))
    made = build_submission("2025", [items], data)["aoa"]
    assert len(made["results"]) == 2 * 41
    assert made["results"][-1] == {
        "step": "chck_20M",
        "word_count": 20_000_000,
        "target_word": "cat",
        "context_id": 20,
        "context": "BOS_ONLY",
        "surprisal": 4.0,
    }
    listed["cat"].pop()
    (data / "aoa" / "cdi_childes.json").write_text(json.dumps(listed))
    with pytest.raises(SllamaError, match="aoa: expects other numbers of predictions for chck_1m"):
        build_submission("2025", [items], data)
    (data / "aoa" / "cdi_childes.json").unlink()
    with pytest.raises(SllamaError, match="name the folder of its data"):
        build_submission("2025", [items], data)


def test_surprisals_in_context_and_the_score_are_of_2026(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (data / "aoa").mkdir()
    listed = {"dog": [{"context": "A"}, {"context": "B"}], "cat": [{"context": "A"}]}
    (data / "aoa" / "cdi_childes.json").write_text(json.dumps(listed))
    scores: dict[str, list[float | None]] = {}
    for step in STRICT_SMALL:
        scores |= {f"{step}/dog": [-3.0, None], f"{step}/cat": [-4.0]}
    items = write_lines(data / "items.jsonl", score_lines("aoa_2026", scores))
    results = write_fast(data / "a.json", {"aoa_2026": {"status": "ok", "official": 0.25}})
    others = [write_fast(data / "b.json", {"aoa_2026": {"status": "missing"}})]
    others.append(write_fast(data / "c.json", {"blimp_filtered": {"status": "ok"}}))
    made = build_submission("2026", [items], data, results=[results, *others])
    assert made["aoa"] == {"aoa": 0.25}
    found = [(row["context"], row["surprisal"]) for row in made["aoa_surprisals"]["results"]]
    assert found == [("A", 3.0), ("B", None), ("A", 4.0)] * 19
    assert not [text for text in caplog.messages if text.startswith("aoa")]
    with pytest.raises(SllamaError, match="aoa_2026: 2 results; give those of one model"):
        build_submission("2026", [items], data, results=[results, results])
    write_lines(items, score_lines("aoa_2026", dict(list(scores.items())[:6])))
    assert build_submission("2026", [items], data)["aoa"] is None
    assert "aoa: no results of aoa_2026 (--results), left null" in caplog.messages
    assert f"aoa: 3 checkpoints, {NO_TRACK}" in caplog.messages


def test_each_item_of_global_piqa_stands_under_its_own_name(data: Path) -> None:
    rows = [
        {"prompt": "To cut", "solution0": "a knife", "solution1": "soup", "label": 0},
        {"prompt": "To eat", "solution0": "sand", "solution1": "bread", "label": 1},
    ]
    write_lines(
        data / "full_eval" / "global_piqa_nonparallel" / "eng_latn.jsonl",
        [{**row, "example_id": f"eng_{n}"} for n, row in enumerate(rows)],
    )
    key = "global_piqa_nonparallel"
    sizes = {"2026": {key: {key: 2}}}
    Path(submission_parts.SIZES).write_text(json.dumps(sizes))
    scores: dict[str, list[float | None]] = {"eng_0": [-1.0, -2.0], "eng_1": [-1.0, -2.0]}
    items = write_lines(data / "items.jsonl", score_lines(key, scores))
    assert build_submission("2026", [items], data)[key] == {
        "eng_0": {"predictions": [{"id": "eng_0_0", "pred": " a knife"}]},
        "eng_1": {"predictions": [{"id": "eng_1_0", "pred": " sand"}]},
    }
    Path(submission_parts.SIZES).write_text(json.dumps({"2026": {key: {key: 100}}}))
    with pytest.raises(SllamaError, match=f"expects other numbers of predictions for {key}"):
        build_submission("2026", [items], data)


def test_ties_of_2026_are_random_but_reproducible(data: Path) -> None:
    write_lines(data / "full_eval" / "blimp_filtered" / "island.jsonl", PAIRS[:1] * 40)
    Path(submission_parts.SIZES).write_text(json.dumps({"2026": {"blimp": {"island": 40}}}))
    lines = score_lines("blimp_filtered", {f"island_{i}": [-1.0, -1.0] for i in range(40)})
    items = write_lines(data / "items.jsonl", lines)
    made = build_submission("2026", [items], data)
    chosen = [row["pred"] for row in made["blimp"]["island"]["predictions"]]
    assert 8 < chosen.count("A.") < 32
    assert made == build_submission("2026", [items], data)


def test_a_score_that_is_not_finite_is_never_chosen(data: Path) -> None:
    broken = {**SCORES, "island_0": [None, -5.0]}
    items = write_lines(data / "items.jsonl", score_lines("blimp_filtered", broken))
    made = build_submission("2025", [items], data)["blimp"]["island"]["predictions"]
    assert made[0]["pred"] == "B."


def test_missing_items_and_wrong_counts_are_refused(data: Path) -> None:
    items = write_lines(
        data / "items.jsonl", score_lines("blimp_filtered", {"island_0": [-1.0, -2.0]})
    )
    with pytest.raises(SllamaError, match="island_1"):
        build_submission("2025", [items], data)
    write_lines(data / "full_eval" / "blimp_filtered" / "island.jsonl", PAIRS[:1])
    with pytest.raises(SllamaError, match="expects other numbers"):
        build_submission("2025", [items], data)


def test_scores_of_two_models_are_not_mixed(data: Path) -> None:
    lines = score_lines("blimp_filtered", SCORES)
    files = [write_lines(data / f"{name}.jsonl", lines) for name in ("one", "two")]
    with pytest.raises(SllamaError, match=r"two\.jsonl: item island_0 of blimp_filtered"):
        build_submission("2025", files, data)


@pytest.mark.parametrize("scores", [None, [], ["a"], 3, [-1.0]])
def test_files_that_hold_no_scores_are_named(data: Path, scores: Any) -> None:
    row = {"task": "blimp_filtered", "item": "island_0", "scores": scores}
    items = write_lines(data / "other.jsonl", [row])
    with pytest.raises(SllamaError, match=r"other\.jsonl: not what|island_0 has not one score"):
        build_submission("2025", [items], data)


@pytest.mark.parametrize("text", ['{"rows": []}', "[1]", '{"tasks": []}'])
def test_a_fast_file_that_holds_no_results_is_named(data: Path, text: str) -> None:
    items = write_lines(data / "items.jsonl", score_lines("blimp_filtered", SCORES))
    fast = data / "chck_1M.json"
    fast.write_text(text)
    with pytest.raises(SllamaError, match=r"chck_1M\.json: not the results of an evaluation"):
        build_submission("2025", [items], data, [fast])


@pytest.mark.parametrize(
    ("scores", "probability"),
    [([-900.0, -1.0], 0.0), ([-1.0, -900.0], 1.0), ([None, -1.0], 0.0), ([None, None], None)],
)
def test_a_probability_is_there_however_far_apart_the_scores(
    data: Path, scores: list[float | None], probability: float | None
) -> None:
    lines = score_lines("wug_past", {"wug_past_tense_0": scores})
    items = write_lines(data / "items.jsonl", lines)
    (made,) = build_submission("2025", [items], data)["wug_past"]["wug_past"]["predictions"]
    assert made["prob"] == pytest.approx(probability)


def test_a_reading_score_that_is_not_finite_is_null(data: Path) -> None:
    names = [*READING_NUMBERS, "item", "word", "prev_item", "prev_word"]
    figures = "1," * len(READING_NUMBERS)
    table = data / "reading" / "reading_data.csv"
    table.parent.mkdir()
    table.write_text(f"{','.join(names)}\n{figures}A,b,,\n{figures}A b,c,A,b\n")
    Path(submission_parts.SIZES).write_text(json.dumps({"2025": {"reading": {"reading": 2}}}))
    items = write_lines(
        data / "items.jsonl", score_lines("reading", {"0": [None], "1": [-2.0, None]})
    )
    out = data / "out.json"
    assert collect("--items", str(items), f"--data={data}", f"--out={out}") == 0
    assert json.loads(out.read_text())["reading"]["reading"]["predictions"] == [
        {"id": 0, "pred": None, "prev_pred": None},
        {"id": 1, "pred": 2.0, "prev_pred": None},
    ]


def test_a_file_that_cannot_be_written_is_named(data: Path) -> None:
    items = write_lines(data / "items.jsonl", score_lines("blimp_filtered", SCORES))
    error = str(collect("--items", str(items), f"--data={data}", f"--out={items / 'below.json'}"))
    assert error.startswith("error: ")
    assert "items.jsonl" in error
    assert "\n" not in error


@pytest.mark.parametrize("named", [True, False])
def test_ewok_is_found_in_the_folder_of_protected_data(
    data: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    monkeypatch.setenv("HOME", str(data / "home"))
    monkeypatch.setenv(PROTECTED_VARIABLE, str(data / "elsewhere") if named else "")
    row = {"Context1": "C1.", "Context2": "C2.", "Target1": "T1.", "Target2": "T2."}
    write_lines(protected_folder() / "full_eval" / "ewok_filtered" / "social.jsonl", [row])
    Path(submission_parts.SIZES).write_text(json.dumps({"2025": {"ewok": {"social": 1}}}))
    items = write_lines(data / "items.jsonl", score_lines("ewok", {"social_0": [-2.0, -1.0]}))
    out = data / "out.json"
    assert collect("--items", str(items), f"--data={data}", f"--out={out}") == 0
    predictions = [{"id": "social_0", "pred": " T2."}]
    assert json.loads(out.read_text())["ewok"] == {"social": {"predictions": predictions}}


def fast_tasks(rules: Rules, number: int = 0) -> dict[str, dict[str, Any]]:
    """Results of each fast task of a year, with the numbers of items that its data has."""
    figures = {"accuracy": number / 40, "accuracy_first_wins": number / 20}
    tasks: dict[str, dict[str, Any]] = {}
    for key, sizes in fast_sizes(rules).items():
        groups = {name: {"n": n, **figures} for name, n in sizes.items()}
        task = str(PARTS[rules][key].fast_task)
        tasks[task] = {"status": "ok", "metric": "accuracy", "paradigms": groups}
    tasks["reading"] = {"status": "ok", "metric": "r2_gain", "n": 1726}
    tasks["reading"] |= {"eye_tracking": None, "self_paced": 0.5}
    for task, n in (("wug_adj", 200), ("wug_past", 50)):
        if task in tasks:
            tasks[task] = {"status": "ok", "metric": "spearman", "n": n, "score": 0.25}
    return tasks


def write_fast(path: Path, tasks: dict[str, dict[str, Any]]) -> Path:
    path.write_text(json.dumps({"tasks": tasks}))
    return path


def test_fast_results_come_in_the_order_of_the_words_seen(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = [
        write_fast(tmp_path / f"{name}.json", fast_tasks("2025", number))
        for number, name in enumerate(STRICT_SMALL)
    ]
    by_the_shell = sorted(files)
    assert [path.stem for path in by_the_shell[:3]] == ["chck_100M", "chck_10M", "chck_1M"]
    del (without := fast_tasks("2025", 1))["ewok_fast"]
    write_fast(files[1], without)
    made = fast_results("2025", by_the_shell)
    assert set(made) == {*PARTS["2025"]} - {"comps"}
    assert [scores["passive_1"] for scores in made["blimp"]] == [n / 20 for n in range(19)]
    assert [len(scores or ()) for scores in made["ewok"]] == [11, 0, *[11] * 17]
    assert made["reading"] == [{"spr": 0.5, "rt": None}] * 19
    assert made["wug_past"] == [{"wug_past": 0.25}] * 19
    assert caplog.messages == []
    fast_results("2025", files[:3])
    of_strict = write_fast(tmp_path / f"{STRICT[-1]}.json", fast_tasks("2025"))
    fast_results("2025", [*files[1:], of_strict])
    assert caplog.messages == [f"fast results: {n} checkpoints, {NO_TRACK}" for n in (3, 19)]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("all.json", "all.json: fast results are called as their checkpoint is"),
        ("chck_1M.json.provenance.json", "provenance.json: fast results are called as"),
        ("again/chck_1M.json", "again/chck_1M.json: .*chck_1M.json is of this checkpoint too"),
    ],
)
def test_a_fast_file_that_is_of_no_checkpoint_of_its_own_is_named(
    tmp_path: Path, name: str, complaint: str
) -> None:
    (tmp_path / "again").mkdir()
    files = [write_fast(tmp_path / one, fast_tasks("2026")) for one in ("chck_1M.json", name)]
    with pytest.raises(SllamaError, match=complaint):
        fast_results("2026", files)


@pytest.mark.parametrize(("rules", "score"), [("2025", 0.5), ("2026", 0.25)])
def test_a_fast_score_follows_the_rule_of_its_year_for_ties(
    tmp_path: Path, rules: Rules, score: float
) -> None:
    file = write_fast(tmp_path / "chck_1M.json", fast_tasks(rules, 10))
    for key in ("blimp", "blimp_supplement", "ewok"):
        assert {*fast_results(rules, [file])[key][0].values()} == {score}


@pytest.mark.parametrize("key", [key for key, part in PARTS["2025"].items() if part.fast_task])
def test_fast_results_over_other_items_are_refused(tmp_path: Path, key: str) -> None:
    tasks, part = fast_tasks("2025"), PARTS["2025"][key]
    result = tasks[str(part.fast_task)]
    counted = next(iter(result.get("paradigms", {key: result}).values()))
    counted["n"] -= 1
    file = write_fast(tmp_path / "chck_1M.json", tasks)
    with pytest.raises(SllamaError, match=rf"chck_1M\.json: {key}: expects other numbers"):
        fast_results("2025", [file])
    result["status"] = "missing"
    write_fast(file, tasks)
    assert fast_results("2025", [file])[key] == [None]


def test_fast_results_without_a_subtask_are_refused(data: Path, monkeypatch: Any) -> None:
    monkeypatch.undo()
    items = write_lines(data / "items.jsonl", score_lines("glue_wsc", {}))
    tasks = fast_tasks("2026")
    del tasks["blimp_fast"]["paradigms"]["passive_1"]
    file = write_fast(data / "chck_1M.json", tasks)
    with pytest.raises(SllamaError, match="expects other numbers of predictions for passive_1;"):
        build_submission("2026", [items], data, [file])


def test_the_expected_numbers_are_those_of_the_challenge() -> None:
    sizes = read_yaml(submission_parts.SIZES)
    totals = {key: sum(parts.values()) for key, parts in sizes["2026"].items()}
    assert totals == {
        "blimp": 59875,
        "blimp_supplement": 5218,
        "ewok": 7618,
        "comps": 91028,
        "reading": 1726,
        "entity_tracking_filtered": 6780,
        "global_piqa_parallel": 103,
        "global_piqa_nonparallel": 100,
        "glue": 1635 + 4908 + 204 + 2424 + 20215 + 139 + 52,
    }
    assert sum(sizes["2025"]["entity_tracking"].values()) == 9483
    assert {year: set(sizes[year]) for year in PARTS} == {
        year: {*parts, "glue"} for year, parts in PARTS.items()
    }
    assert {key: sum(parts.values()) for key, parts in fast_sizes("2025").items()} == {
        "blimp": 13400,
        "blimp_supplement": 250,
        "ewok": 1100,
        "reading": 1726,
        "entity_tracking": 3152,
        "wug_adj": 200,
        "wug_past": 50,
    }
    assert {key: sum(parts.values()) for key, parts in fast_sizes("2026").items()} == {
        "blimp": 13400,
        "blimp_supplement": 250,
        "ewok": 1100,
        "reading": 1726,
        "entity_tracking_filtered": 2238,
        "global_piqa_parallel": 103,
        "global_piqa_nonparallel": 100,
    }
    assert sizes["surprisals"] == {"2025": 6560, "2026": 8005}
