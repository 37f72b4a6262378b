import json
import os
import stat
import subprocess
import sys
import venv
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from pipeline.model import SLlamaConfig, SLlamaForCausalLM
from pipeline.model.configuration_sllama import AUTO_MAP
from pipeline.model.count import count_parameters
from pipeline.model.export import export_model
from tests.imports import ROOT
from tests.model.variants import COVERING, LEAKING, applications, small_model, tokens

PROBE = ROOT / "tests/model/probe.py"
OLD = ("torch==2.13.0", "transformers==4.51.3", "numpy")
# Kept between runs: installing takes minutes.
OLD_ENVIRONMENT = ROOT / ".venv" / "old-transformers"


@pytest.fixture
def tokenizer_dir(tmp_path: Path) -> Path:
    core = Tokenizer(models.WordLevel({"<pad>": 0, "<s>": 1, "</s>": 2, "a": 3, "b": 4}))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.post_processor = processors.TemplateProcessing("<s> $A", None, [("<s>", 1)])
    special = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=core, **special)
    fast.save_pretrained(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


def exported(model: SLlamaForCausalLM, folder: Path, tokenizer: Path | None = None) -> Path:
    export_model(model, folder, tokenizer)
    ids = tokens(2, 9)
    ids[0, :3] = 0
    mask = (ids > 0).long()
    with torch.no_grad():
        logits = model(ids, attention_mask=mask).logits
        hidden = model.model(ids, attention_mask=mask).last_hidden_state
    expected = {"ids": ids, "mask": mask, "logits": logits, "hidden": hidden}
    save_file(expected, folder / "expected.safetensors")
    return folder


def probe(python: str, folders: list[Path]) -> list[dict[str, Any]]:
    """What a fresh interpreter finds in `folders`, which do not lie in the project."""
    environment = {**os.environ, "HF_HOME": str(folders[0].parent / "hf"), "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [python, str(PROBE), *map(str, folders)],
        cwd=folders[0],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


EVERY = {**COVERING, "attn": LEAKING}
TWO = {name: COVERING[name] for name in ("repeat-pwa-share-spmlp", "None-rra-grouped-reuse-tied")}


def check(python: str, folder: Path, tokenizer: Path, variants: dict[str, dict[str, Any]]) -> str:
    """Export the variants, load them elsewhere; return the version of transformers there."""
    found = {small_model(**variant): name for name, variant in variants.items()}
    paths = [exported(model, folder / name, tokenizer) for model, name in found.items()]
    results = probe(python, paths)
    for model, result in zip(found, results, strict=True):
        assert result["logits"] < 1e-5
        assert result["hidden"] < 1e-5
        assert result["again"] < 1e-5
        assert result["classes"] == [2, 5]
        assert result["missing"] == []
        assert result["ours"] == []
        assert result["parameters"] == count_parameters(model.config)
        assert result["blocks"] == model.config.num_blocks
        assert result["generated"] == result["uncached"]
        assert len(result["beams"][0]) == 9 + 5
        assert result["tokens"] == [1, 4, 3]
        assert result["fast"]
    return str(results[0]["transformers"])


def test_a_fresh_process_loads_it(tmp_path: Path, tokenizer_dir: Path) -> None:
    assert check(sys.executable, tmp_path, tokenizer_dir, TWO) == transformers.__version__


@pytest.mark.slow
def test_a_fresh_process_loads_every_variant(tmp_path: Path, tokenizer_dir: Path) -> None:
    assert check(sys.executable, tmp_path, tokenizer_dir, EVERY) == transformers.__version__


@pytest.mark.slow
def test_transformers_4_51_loads_every_variant(
    tmp_path: Path, tokenizer_dir: Path, old_python: str
) -> None:
    assert check(old_python, tmp_path, tokenizer_dir, EVERY) == "4.51.3"


@pytest.fixture(scope="session")
def old_python() -> str:
    """An interpreter with transformers 4.51.3, in an environment of its own."""
    python = OLD_ENVIRONMENT / "bin" / "python"
    if not (OLD_ENVIRONMENT / "complete").exists():
        venv.create(OLD_ENVIRONMENT, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *OLD], check=True)
        (OLD_ENVIRONMENT / "complete").touch()
    return str(python)


def test_save_pretrained_alone_leaves_a_whole_folder(tmp_path: Path) -> None:
    small_model().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["auto_map"] == AUTO_MAP
    for name in ("configuration_sllama.py", "modeling_sllama.py"):
        shipped = (tmp_path / name).read_text()
        assert shipped == (ROOT / "pipeline/model" / name).read_text()


def test_what_lies_in_the_folder(tmp_path: Path, tokenizer_dir: Path) -> None:
    model = small_model()
    export_model(model, tmp_path / "model", tokenizer_dir)
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert config["dtype"] == config["torch_dtype"] == "float32"
    assert config["model_type"] == "sllama"
    assert config["hidden_size"] == 32
    tokenizer = json.loads((tmp_path / "model/tokenizer_config.json").read_text())
    assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert tokenizer["model_max_length"] == model.config.max_position_embeddings
    weights = tmp_path / "model/model.safetensors"
    assert load_file(weights).keys() == model.state_dict().keys()
    assert not any("selection" in name for name in load_file(weights))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "model").iterdir()}
    assert len(modes) == 1, "some files are private"


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        export_model(small_model(), tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_a_tokenizer_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        export_model(small_model(), tmp_path / "model", tmp_path / "empty")


@pytest.mark.parametrize("variant", COVERING.values(), ids=COVERING.keys())
def test_reloading_keeps_sharing_and_numbers(tmp_path: Path, variant: dict[str, Any]) -> None:
    model = small_model(**variant)
    model.save_pretrained(tmp_path)
    again, notes = SLlamaForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not notes["missing_keys"]
    assert not notes["unexpected_keys"]
    assert torch.equal(again(tokens()).logits, model(tokens()).logits)
    assert [name for name, _ in again.named_parameters()] == [
        n for n, _ in model.named_parameters()
    ]
    ran, ran_again = applications(model.model), applications(again.model)
    for part in range(3):  # the same applications use one and the same module
        for one, other in product(range(len(ran)), repeat=2):
            shared = ran[one][part] == ran[other][part]
            assert shared == (ran_again[one][part] == ran_again[other][part])
    for attention, fresh in zip(again.model.attentions, model.model.attentions, strict=True):
        if attention.kind == "pwa":
            assert torch.equal(attention.selection, fresh.selection)


def test_a_model_made_on_the_meta_device_gets_its_pwa_rows(tmp_path: Path) -> None:
    model = small_model()
    model.save_pretrained(tmp_path)
    with torch.device("meta"):
        empty = SLlamaForCausalLM(SLlamaConfig.from_pretrained(tmp_path))
    assert empty.model.attentions[0].selection.is_meta
    empty.to_empty(device="cpu")
    empty.model.attentions[0].selection.fill_(7)
    empty.init_weights()
    empty.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(empty(tokens()).logits, model(tokens()).logits)


def test_bfloat16_weights_come_back_as_such(tmp_path: Path) -> None:
    model = small_model().to(torch.bfloat16)
    export_model(model, tmp_path)
    again = SLlamaForCausalLM.from_pretrained(tmp_path, dtype="auto")
    assert again.dtype == torch.bfloat16
    assert again.model.attentions[0].selection.dtype == torch.bfloat16
    assert torch.equal(again(tokens()).logits, model(tokens()).logits)
