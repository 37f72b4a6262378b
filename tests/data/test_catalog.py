import tarfile
import typing
from pathlib import Path, PurePosixPath

import pytest
import yaml

from pipeline.config import DataConfig
from pipeline.data.catalog import Catalog, Source, load_catalog
from pipeline.data.sources import output_name
from pipeline.errors import SllamaError
from tests.imports import ROOT

CATALOG = load_catalog()
SOURCES = [*CATALOG.corpora.items(), *CATALOG.benchmarks.items()]
HUB = {"repository": "a/b", "revision": "0" * 40}
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
    names |= {"global-piqa-parallel", "global-piqa-nonparallel"}
    assert names <= set(CATALOG.benchmarks)


@pytest.mark.parametrize(("name", "source"), SOURCES)
def test_every_source_can_be_had(name: str, source: Source) -> None:
    # Files of one's own may lie in a mirror alone, and no page tells of them.
    own = name == "local" or bool(source.files and not source.online)
    assert source.online or source.archives or source.embedded or own
    assert source.page or source.embedded or own
    assert not (source.address or "").startswith("http:")


@pytest.mark.parametrize(("name", "source"), SOURCES)
def test_no_two_files_share_a_place(name: str, source: Source) -> None:
    names = [file.name for file in source.remote_files()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["babylm-strict-small", "babylm-strict"])
def test_official_corpora_are_pinned_by_content(name: str) -> None:
    source = CATALOG.corpora[name]
    assert len(source.files) == 6
    assert all(file.bytes and (file.sha256 or file.git_blob) for file in source.files)
    assert all(file.name == output_name(file.path) for file in source.files)


def test_the_files_of_trees_keep_their_paths(tmp_path: Path) -> None:
    trees = {"full/pairs": ["a.jsonl", "b.jsonl"], "full/pairs_too": ["a.jsonl"]}
    listed = [{"name": "c.jsonl", "path": "other/c.jsonl"}]
    known = load(tmp_path, with_source(hub=HUB, files=listed, trees=trees)).corpora["c"]
    paths = [(file.name, file.path, file.mirror, file.sha256) for file in known.remote_files()]
    assert paths == [
        ("c.jsonl", "other/c.jsonl", None, None),
        ("full/pairs/a.jsonl", "full/pairs/a.jsonl", None, None),
        ("full/pairs/b.jsonl", "full/pairs/b.jsonl", None, None),
        ("full/pairs_too/a.jsonl", "full/pairs_too/a.jsonl", None, None),
    ]
    for parts, names in (
        (["full/pairs"], ["full/pairs/a.jsonl", "full/pairs/b.jsonl"]),
        (["full/pairs_too/a.jsonl", "c.jsonl"], ["c.jsonl", "full/pairs_too/a.jsonl"]),
        (["."], [name for name, *_ in paths]),
        (["full/other"], []),
    ):
        assert [file.name for file in known.remote_files(parts)] == names


PARTS = {
    "full_eval/blimp_filtered": 67,
    "full_eval/supplement_filtered": 5,
    "full_eval/entity_tracking": 3,
    "full_eval/reading": 1,
    "full_eval/glue_filtered": 14,
    "fast_eval/blimp_fast": 67,
    "fast_eval/supplement_fast": 5,
    "fast_eval/entity_tracking_fast": 1,
    "fast_eval/reading": 1,
}


def test_what_the_hub_has_of_the_evaluation_set() -> None:
    source = CATALOG.benchmarks["babylm-eval-2025"]
    assert {part: len(source.remote_files([part])) for part in source.trees} == PARTS
    assert not source.remote_files(["full_eval/wug_adj_nominalization"])


@pytest.mark.mirror
def test_the_files_of_the_evaluation_set_are_those_of_its_archive(real_mirror: str) -> None:
    source = CATALOG.benchmarks["babylm-eval-2025"]
    (archive,) = source.archives
    with tarfile.open(Path(real_mirror) / archive.path) as packed:
        members = [member.name for member in packed if member.isfile()]
    found = {PurePosixPath(name).relative_to(archive.take).as_posix() for name in members}
    wug = {name for name in found if "/wug_" in name}
    only_on_the_hub = {
        f"full_eval/glue_filtered/{name}.train.jsonl" for name in ("boolq", "multirc")
    }
    assert {file.name for file in source.remote_files()} == found - wug | only_on_the_hub


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


def test_the_page_says_where_a_mirror_holds_the_corpora() -> None:
    page = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8")
    for name, source in CATALOG.corpora.items():
        places = [archive.path for archive in source.archives]
        places += [f"{name}/{file.path}" for file in source.files[:1]]
        assert all(f"`{place}`" in page for place in places), name


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
        (with_source(trees={"x": ["a"]}), "trees without an address"),
        (with_source(address="https://x", trees={"../x": ["a"]}), "not a path inside a folder"),
        (with_source(address="https://x", trees={"x": ["/a"]}), "not a path inside a folder"),
        (with_source(address="https://x", trees={"x": ["a", 1]}), "trees.x.1: .*valid string"),
        (with_source(address="https://x", trees={"x": "a"}), "trees.x: .*valid tuple"),
        (with_source(address="https://x", trees={"x": []}), "trees.x: .*at least 1 item"),
        (with_source(hub=HUB | {"folder": "/x"}, trees={"x": ["a"]}), "not a path inside a folder"),
    ],
)
def test_a_faulty_catalog_is_explained_in_one_line(
    tmp_path: Path, values: object, says: str
) -> None:
    with pytest.raises(SllamaError, match=says) as caught:
        load(tmp_path, values)
    assert "catalog.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
