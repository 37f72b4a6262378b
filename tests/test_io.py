import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import SllamaError
from pipeline.io import (
    atomic_path,
    fingerprint_of,
    model_fingerprint,
    parse_yaml,
    put_in_place,
    read_json,
    read_yaml,
    require_free_space,
    sha256_file,
    write_json,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_device_or_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SllamaError, match="pipe: a device or pipe, which a file would replace"):
        write_json(tmp_path / "pipe", {})
    assert (tmp_path / "pipe").is_fifo()


def test_a_write_gets_the_usual_mode(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    with atomic_path(tmp_path / "deep" / "a.txt") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "deep" / "a.txt").stat().st_mode == usual.stat().st_mode


def test_json_is_stable_and_refuses_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": "é"})
    assert (tmp_path / "a.json").read_text("utf-8") == '{\n  "a": "é",\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "b.json", {"a": float("nan")})
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_bad_json_is_named(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content)
    with pytest.raises(SllamaError, match=r"a\.json"):
        read_json(file)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("train:\n  steps: 1\nmodel: {}\ntrain:\n  order: shuffled\n", "line 4: key train"),
        ('a:\n  b: 1\n  "b": 1\n', "line 3: key b"),
        ("- {c: 1, d: 2, c: 3}\n", "line 1: key c"),
    ],
)
def test_a_key_that_occurs_twice_is_named(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(SllamaError, match=rf"a\.yaml: not valid YAML \({says} occurs twice\)$"):
        read_yaml(tmp_path / "a.yaml")


def test_a_key_that_is_merged_may_be_given_anew() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b\n  <<: *a\n  x: 2\nc:\n  <<: [*b, {z: 3}]\n  y: 4\n"
    merged = parse_yaml(text, "a.yaml")
    assert merged["b"] == {"x": 2, "y": 1}
    assert merged["c"] == {"x": 2, "y": 4, "z": 3}


NUMBERS = (
    "010", "-010", "08", "0o17", "0b11", "0x1F", "-0x1f", "1_000", "30:00", "1:30.5", "190:20:30",
    "+1", "-0", "1e-05", "1E5", "1.", "1.5e3", ".5", ".5e+1", "-.5", "+.5", "-.inf", "-.INF",
    ".NaN", "1_0.5", "1.5e", "0x", "0b2", "0o8", "-", "+", ".", "...", "1.2.3", "1e5.0", "00", "0_",
)  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_what_dvc_takes_it_for(number: str) -> None:
    assert_read_alike(number)


@given(st.text("+-.:_0128abeoxE", min_size=1, max_size=8))
def test_any_number_is_what_dvc_takes_it_for(number: str) -> None:
    assert_read_alike(number)


def assert_read_alike(number: str) -> None:
    text = f"key: {number}\n"
    try:
        ours = parse_yaml(text, "a.yaml")["key"]
    except SllamaError:
        with pytest.raises((YAMLError, ValueError)):
            YAML(typ="safe").load(text)
        return
    theirs = YAML(typ="safe").load(text)["key"]
    assert (type(ours), repr(ours)) == (type(theirs), repr(theirs))


def test_leading_zeros_and_colons_are_no_other_base() -> None:
    assert parse_yaml("[010, 0o10, 30:00]", "a.yaml") == [10, 8, "30:00"]


def make_folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "a.txt").write_text(text)
    return path


def test_a_finished_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for text in ("first", "second"):
        put_in_place(make_folder(tmp_path / "new", text), target)
        assert (target / "a.txt").read_text() == text
        assert list(tmp_path.iterdir()) == [target]


def test_an_old_folder_stays_if_the_new_one_cannot_take_its_place(tmp_path: Path) -> None:
    target = make_folder(tmp_path / "model", "old")
    with pytest.raises(FileNotFoundError):
        put_in_place(tmp_path / "absent", target)
    assert (target / "a.txt").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_all_of_a_folder_is_on_disk_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut a name may be there, and what it names not."""
    new, target = make_folder(tmp_path / "new", "weights"), tmp_path / "model"
    make_folder(new / "checkpoints", "more")
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(os.fstat(handle).st_ino))
    files = {path.stat().st_ino for path in (new, *new.rglob("*"))}
    rename = Path.rename

    def renamed(path: Path, to: Path) -> Path:
        assert set(flushed) == files
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", renamed)
    put_in_place(new, target)
    assert flushed[-1] == tmp_path.stat().st_ino


def test_what_a_killed_process_left_is_no_obstacle(tmp_path: Path) -> None:
    target = tmp_path / "model"
    make_folder(tmp_path / ".model.replaced", "older")
    put_in_place(make_folder(tmp_path / "new", "new"), target)
    make_folder(tmp_path / ".model.replaced", "older")
    put_in_place(make_folder(tmp_path / "new", "newer"), target)
    assert (target / "a.txt").read_text() == "newer"
    assert list(tmp_path.iterdir()) == [target]


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    assert sha256_file(tmp_path / "a") == known


def test_the_fingerprint_of_a_model_is_that_of_its_weights(tmp_path: Path) -> None:
    for name in ("config.json", "pytorch_model.bin", "training_args.bin"):
        (tmp_path / name).write_text(name)
    config, pickled = tmp_path / "config.json", tmp_path / "pytorch_model.bin"
    first = model_fingerprint(tmp_path)
    assert first == fingerprint_of([config, pickled])
    pickled.write_text("other weights")
    assert model_fingerprint(tmp_path) != first
    # What transformers loads where there are both.
    weights = tmp_path / "model.safetensors"
    weights.write_text("weights")
    assert model_fingerprint(tmp_path) == fingerprint_of([config, weights])


def test_free_space_is_asked_of_the_nearest_folder_there_is(tmp_path: Path) -> None:
    require_free_space(tmp_path / "not" / "yet", 1)
    with pytest.raises(SllamaError, match="MB needed"):
        require_free_space(tmp_path / "not" / "yet", 1 << 60)


def test_written_json_reads_back(tmp_path: Path) -> None:
    value = {"list": [1, 2.5, None, True], "nested": {"x": "y"}}
    write_json(tmp_path / "v.json", value)
    assert read_json(tmp_path / "v.json") == json.loads(json.dumps(value))
    assert list(tmp_path.iterdir()) == [tmp_path / "v.json"]
