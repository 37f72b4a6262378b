"""The plan, the folder, and what is refused before anything is published."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import SllamaError
from pipeline.io import model_fingerprint
from pipeline.publish import publish
from pipeline.publish.target import parse_target
from tests.publish.fake_hub import TOKEN
from tests.publish.support import MODEL_FILES, Workplace, write_model

REVISIONS = ["chck_2M", "chck_10M", "main"]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_dry_run_tells_all_and_publishes_nothing(
    workplace: Workplace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(workplace.model)
    plan = publish(workplace.request("./out"))
    assert [revision.name for revision in plan.revisions] == REVISIONS
    told = capsys.readouterr().out
    for revision in plan.revisions:
        assert f"revision {revision.name}" in told
        assert [file.path for file in revision.files] == sorted([*MODEL_FILES, "README.md"])
        for file in revision.files:
            data = file.source.read_bytes()
            assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
            assert f"{file.size:,}  {file.sha256}  {file.path}" in told
    assert "3 revisions, 15 files" in told
    assert "card: " in told
    assert "nothing was published" in told
    assert not (tmp_path / "out").exists()
    assert tree(workplace.model) == before


def test_a_folder_has_a_folder_for_each_revision_and_checksums(
    workplace: Workplace, tmp_path: Path
) -> None:
    publish(workplace.request("./out", push=True))
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["SHA256SUMS", *sorted(REVISIONS)]
    for name in MODEL_FILES:
        assert (out / "main" / name).read_bytes() == (workplace.model / name).read_bytes()
    lines = (out / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == 15
    for line in lines:
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest


def test_publishing_again_replaces_what_was_published(workplace: Workplace, tmp_path: Path) -> None:
    publish(workplace.request("./out", push=True))
    first = tree(tmp_path / "out")
    publish(workplace.request("./out", push=True))
    assert tree(tmp_path / "out") == first


def test_a_link_to_a_folder_is_that_folder(workplace: Workplace, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    publish(workplace.request("./link", push=True))
    assert sorted(tree(tmp_path / "real")) == sorted(tree(tmp_path / "link"))
    assert (tmp_path / "real" / "SHA256SUMS").is_file()


def test_a_dry_run_refuses_what_a_push_would(workplace: Workplace, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").touch()
    with pytest.raises(SllamaError, match=r"holds thesis\.txt"):
        publish(workplace.request("./taken"))


def test_a_folder_with_other_things_is_left_alone(workplace: Workplace, tmp_path: Path) -> None:
    (tmp_path / "out" / "main").mkdir(parents=True)
    with pytest.raises(SllamaError, match="holds main, no publication"):
        publish(workplace.request("./out", push=True))
    (tmp_path / "out" / "SHA256SUMS").write_text("")
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    with pytest.raises(SllamaError, match=r"holds thesis.tex, no publication"):
        publish(workplace.request("./out", push=True))
    assert (tmp_path / "out" / "thesis.tex").read_text() == "mine"


def test_a_file_that_changes_while_it_is_copied_is_refused(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes() + b" ")

    monkeypatch.setattr("shutil.copyfile", copy)
    with pytest.raises(SllamaError, match="changed while it was published; run again"):
        publish(workplace.request("./out", push=True))
    assert not (tmp_path / "out").exists()


def corrupt_weights(model: Path) -> None:
    os.truncate(model / "model.safetensors", 60)


def forge_weights(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"\x80\x04\x95" + b"." * 300)


def append_to_weights(model: Path) -> None:
    with (model / "model.safetensors").open("ab") as stream:
        stream.write(b"more")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pickle": (lambda m: (m / "pytorch_model.bin").write_bytes(b"\x80\x04"), "pickles are never"),
    "a pickle by another name": (forge_weights, "not safetensors"),
    "weights cut short": (corrupt_weights, "not safetensors|cut short"),
    "weights with more behind them": (append_to_weights, "longer than its header says"),
    "a token": (lambda m: (m / "notes.json").write_text(f'"{TOKEN}"'), "looks like a token"),
    "a token in code": (lambda m: (m / "a.py").write_text(f"T = '{TOKEN}'"), "looks like a token"),
    "broken JSON": (lambda m: (m / "more.json").write_text("{"), "not valid JSON"),
    "broken code": (lambda m: (m / "more.py").write_text("def"), "not Python source"),
    "a card": (lambda m: (m / "README.md").write_text("mine"), "the card is made"),
    "a folder": (lambda m: (m / "runs").mkdir(), "neither a file nor"),
    "no tokenizer in a checkpoint": (
        lambda m: (m / "checkpoints/chck_2M/tokenizer.json").unlink(),
        "lacks tokenizer.json",
    ),
    "a strange checkpoint": (lambda m: (m / "checkpoints/best").mkdir(), "not a checkpoint by"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_must_not_be_published_is_refused(
    workplace: Workplace, tmp_path: Path, name: str
) -> None:
    damage, says = DAMAGES[name]
    damage(workplace.model)
    workplace.write()
    with pytest.raises(SllamaError, match=says) as caught:
        publish(workplace.request("./out", push=True))
    assert TOKEN not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_value_of_a_secret_variable_is_refused(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    (workplace.model / "notes.json").write_text('"0123456789abcdef"')
    with pytest.raises(SllamaError, match="looks like a token"):
        publish(workplace.request("./out"))


def test_scores_of_another_model_are_refused(workplace: Workplace) -> None:
    (workplace.model / "config.json").write_text('{"hidden_size": 8}')
    with pytest.raises(SllamaError, match="not the model that was scored"):
        publish(workplace.request("./out"))


def test_another_tokenizer_than_the_scored_one_is_refused(workplace: Workplace) -> None:
    (workplace.model / "tokenizer.json").write_text("{}")
    with pytest.raises(SllamaError, match="not the tokenizer that was scored with"):
        publish(workplace.request("./out"))


def test_another_recipe_than_the_one_trained_is_refused(workplace: Workplace) -> None:
    workplace.run.recipe["train"]["steps"] = 2999
    with pytest.raises(SllamaError, match=r"train\.steps: 3000 -> 2999"):
        publish(workplace.request("./out"))


@pytest.mark.parametrize(("section", "key", "value", "says"), [
    ("encode", "max_document_words", 200, r"encode\.max_document_words: 1000 -> 200"),
    ("encode", "test_fraction", 0.2, r"encode\.test_fraction: 0\.01 -> 0\.2"),
    ("tokenizer", "vocab_size", 31999, r"tokenizer\.vocab_size: 32000 -> 31999"),
])  # fmt: skip
def test_another_recipe_of_the_tokens_is_refused(
    workplace: Workplace, section: str, key: str, value: object, says: str
) -> None:
    workplace.run.recipe[section][key] = value
    with pytest.raises(SllamaError, match=says):
        publish(workplace.request("./out"))


def test_tokens_made_anew_since_are_refused(workplace: Workplace) -> None:
    workplace.run.tokens["fingerprint"] = "f" * 64
    workplace.write()
    with pytest.raises(SllamaError, match="not the tokens that the model was trained on; run dvc"):
        publish(workplace.request("./out"))


def test_tokens_of_another_vocabulary_are_refused(workplace: Workplace) -> None:
    workplace.run.tokens["vocab_size"] = 31_999
    workplace.write()
    with pytest.raises(SllamaError, match=r"a vocabulary of 31999, the model has 32000; run dvc"):
        publish(workplace.request("./out"))


def test_a_record_that_names_no_tokens_is_published_with_a_warning(
    workplace: Workplace, caplog: pytest.LogCaptureFixture
) -> None:
    publish(workplace.request("./out"))
    assert "on trust" not in caplog.text
    del workplace.provenance["tokens"]
    for section in ("tokenizer", "encode"):
        del workplace.provenance["section"][section]
    workplace.write()
    publish(workplace.request("./out"))
    (warning,) = caplog.messages
    assert "tokens.json: taken on trust, no record beside the model names" in warning


@pytest.mark.parametrize(
    ("to", "name", "address"),
    [
        ("me/toy", "me/toy", "me/toy"),
        ("hub:me/toy", "me/toy", "me/toy"),
        ("./me/toy", "toy", "me/toy/main"),
        ("published", "published", "published/main"),
        ("a/b/c", "c", "a/b/c/main"),
    ],
)
def test_where_to(
    to: str, name: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    target = parse_target(to, Path("models/sllama"))
    assert (target.name, target.address) == (name, address)


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("me/toy-2.5", "no '.' in a model's name"),
        ("hub:me", "owner/name"),
        ("hub:me/to y", "owner/name"),
        ("models/sllama", "inside the model's own folder"),
        ("~nobody_of_this_name/x", "there is no such user"),
        ("models/sllama/out", "inside the model's own folder"),
        ("models/other", "write ./models/other for the folder"),
    ],
)
def test_where_not_to(to: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = write_model(Path("models/sllama"))
    with pytest.raises(SllamaError, match=says):
        parse_target(to, model)


def test_the_record_of_other_weights_is_refused(workplace: Workplace) -> None:
    """Another tokenizer, the same sections: DVC restores the model, and not its record."""
    workplace.provenance["fingerprint"] = model_fingerprint(workplace.model)
    workplace.write()
    publish(workplace.request("./out"))
    workplace.provenance["fingerprint"] = "0" * 64
    workplace.write()
    with pytest.raises(SllamaError, match="the record of another run than the model beside it"):
        publish(workplace.request("./out"))


def test_how_often_it_was_saved_makes_no_other_recipe(workplace: Workplace) -> None:
    trained = workplace.provenance["section"].setdefault("train", {})
    trained["checkpoint_every"] = 7
    workplace.write()
    publish(workplace.request("./out"))


def test_without_provenance_the_card_says_so(workplace: Workplace) -> None:
    workplace.model.with_name("toy.provenance.json").unlink()
    plan = publish(workplace.request("./out"))
    card = next(file for file in plan.revisions[-1].files if file.path == "README.md")
    assert "not recorded" in card.source.read_text()


def test_the_fingerprint_is_the_evaluate_stages(workplace: Workplace) -> None:
    files = ["config.json", "model.safetensors"]
    digests = [hashlib.sha256((workplace.model / name).read_bytes()).hexdigest() for name in files]
    expected = hashlib.sha256("".join(digests).encode()).hexdigest()
    evaluation = json.loads((workplace.run.paths["evaluate_dir"] / "heldout.json").read_text())
    assert evaluation["model"]["fingerprint"] == expected
