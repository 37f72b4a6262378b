import typing
from pathlib import Path

import pytest
import yaml

from pipeline.config import DataConfig
from pipeline.data.catalog import CATALOG_FILE, Catalog, Source, load_catalog
from pipeline.data.sources import output_name
from pipeline.errors import SllamaError

CATALOG = load_catalog()
SOURCES = [*CATALOG.corpora.items(), *CATALOG.benchmarks.items()]
STATED = {"corpora": {"c": {"description": "d", "licence": "l"}}, "benchmarks": {}}


def load(tmp_path: Path, values: object) -> Catalog:
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return load_catalog(path)


def with_source(**fields: object) -> dict[str, object]:
    return {"corpora": {"c": {**STATED["corpora"]["c"], **fields}}, "benchmarks": {}}


def test_every_corpus_of_the_recipe_is_known() -> None:
    names = typing.get_args(DataConfig.model_fields["source"].annotation)
    assert set(names) == set(CATALOG.corpora)


def test_the_contract_of_benchmark_names() -> None:
    names = {"demo", "blimp", "babylm-eval-2025", "comps", "aoa", "ewok-fast", "ewok"}
    assert names == set(CATALOG.benchmarks)


@pytest.mark.parametrize(("name", "source"), SOURCES)
def test_every_source_can_be_had(name: str, source: Source) -> None:
    assert source.online or source.archives or source.embedded or name == "local"
    assert source.page or source.embedded or name == "local"
    assert not (source.address or "").startswith("http:")


@pytest.mark.parametrize(("name", "source"), SOURCES)
def test_no_two_files_share_a_place(name: str, source: Source) -> None:
    names = [file.name for file in source.files]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["babylm-strict-small", "babylm-strict"])
def test_official_corpora_are_pinned_by_content(name: str) -> None:
    source = CATALOG.corpora[name]
    assert len(source.files) == 6
    assert all(file.bytes and (file.sha256 or file.git_blob) for file in source.files)
    assert all(file.name == output_name(file.path) for file in source.files)


def test_sizes() -> None:
    assert CATALOG.corpora["babylm-strict-small"].size == 54_399_840
    assert CATALOG.benchmarks["blimp"].size == 29_576_684
    blimp = CATALOG.benchmarks["blimp"]
    assert sum(file.bytes or 0 for file in blimp.files) == blimp.archives[0].unpacked_bytes
    assert len(blimp.files) == 67


def test_the_stand_in_says_so() -> None:
    stand_ins = [name for name, source in SOURCES if source.stand_in]
    assert stand_ins == ["babylm-standin"]
    assert "STAND-IN" in CATALOG.corpora["babylm-standin"].description


def test_protected_benchmarks_keep_their_form() -> None:
    assert CATALOG.benchmarks["ewok"].protected
    assert not CATALOG.benchmarks["ewok-fast"].archives


def test_no_line_of_the_catalog_is_read_twice() -> None:
    lines = [
        line
        for line in CATALOG_FILE.read_text(encoding="utf-8").splitlines()
        if line.startswith("      - {name")
    ]
    listed = sum(len(source.files) for _, source in SOURCES if len(source.files) > 1)
    assert len(lines) == listed


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(SllamaError, match="no corpus is called bablym; known: demo, local"):
        CATALOG.corpus("bablym")
    with pytest.raises(SllamaError, match="no benchmark is called glue; known: demo, blimp"):
        CATALOG.benchmark("glue")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([], "valid dictionary"),
        ({"corpora": {}}, "benchmarks: Field required"),
        (with_source(wrods=3), "corpora.c.wrods: Extra inputs"),
        (with_source(words="3"), "corpora.c.words: Input should be a valid integer"),
        (with_source(page="http://x"), "corpora.c.page"),
        (with_source(address="https://x/"), "corpora.c.address"),
        (with_source(address="https://x"), "an address without files"),
        (with_source(hub={"repository": "a/b", "revision": "main"}), "hub.revision"),
        (with_source(files=[{"name": "../x", "path": "x"}]), "not a path inside a folder"),
        (with_source(files=[{"name": "/x", "path": "x"}]), "not a path inside a folder"),
        (with_source(files=[{"name": "x", "path": "x", "sha256": "A" * 64}]), "sha256"),
        (with_source(files=[{"name": "x", "path": "x", "bytes": 0}]), "bytes"),
        (with_source(folder=""), "not a path inside a folder"),
    ],
)
def test_a_faulty_catalog_is_explained_in_one_line(
    tmp_path: Path, values: object, says: str
) -> None:
    with pytest.raises(SllamaError, match=says) as caught:
        load(tmp_path, values)
    assert "catalog.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
