from pathlib import Path

import pytest

from tests.evaluate.toys import PAIRS, make_model, make_tokenizer, write_pairs


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def constant_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose output does not depend on its input."""
    return make_model(tmp_path_factory.mktemp("constant"), zero_head=True)


@pytest.fixture(scope="session")
def benchmarks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("benchmarks")
    write_pairs(data / "demo", "agreement", PAIRS[:4])
    write_pairs(data / "demo", "others", PAIRS[4:])
    return data
