"""The catalog: every corpus and benchmark, with address, revision, checksums, licence."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import SllamaError
from pipeline.io import read_yaml

CATALOG_FILE = Path(__file__).with_name("catalog.yaml")


def _inside(path: str) -> str:
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts or "\\" in path:
        raise ValueError(f"{path!r} is not a path inside a folder")
    return path


InnerPath = Annotated[str, AfterValidator(_inside)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
GitObject = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Size = Annotated[int, Field(gt=0)]
# Not strict: YAML's lists become tuples, which nobody changes.
Names = Annotated[tuple[InnerPath, ...], Field(min_length=1, strict=False)]


class Entry(BaseModel):
    """A part of the catalog: immutable, strict about types and names."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RemoteFile(Entry):
    """One file of a source; null for what nobody has stated (the manifest then records it)."""

    name: InnerPath = Field(description="path in the fetched folder")
    path: InnerPath = Field(description="path below the source's address")
    mirror: InnerPath | None = Field(
        default=None, description="path in a mirror folder; null: <source>/<last part of path>"
    )
    bytes: Size | None = None
    sha256: Sha256 | None = None
    git_blob: GitObject | None = Field(
        default=None, description="git's object id of the content, stated where no SHA-256 is"
    )


class Archive(Entry):
    """An archive in a mirror folder and the part of it that is taken."""

    path: InnerPath
    bytes: Size
    sha256: Sha256
    take: InnerPath = Field(description="folder in the archive; what lies in it is taken")
    files: Size = Field(description="number of files in `take`")
    unpacked_bytes: Size = Field(description="size of the whole archive, unpacked")


class Hub(Entry):
    """A dataset repository of the Hugging Face Hub, at one commit."""

    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    revision: GitObject
    folder: InnerPath | None = Field(
        default=None, description="folder of the repository that holds the paths; null: its root"
    )
    gated: bool = Field(
        default=False, description="its terms must be accepted, then HF_TOKEN opens it"
    )


class Source(Entry):
    """A corpus or a benchmark.

    `archives` of a mirror are joined: files of the same name in several archives become one, a
    blank line between the parts.
    """

    description: str
    licence: str
    page: Annotated[str, Field(pattern=r"^https://")] | None = Field(
        default=None, description="official page"
    )
    note: str | None = None
    stand_in: bool = Field(default=False, description="not the corpus it is used in place of")
    embedded: bool = Field(default=False, description="made by the project itself")
    protected: bool = Field(
        default=False, description="no readable copy may be published: kept out of the output"
    )
    words: Size | None = Field(default=None, description="whitespace-separated, in all files")
    folder: InnerPath | None = Field(default=None, description="place among the benchmarks")
    hub: Hub | None = None
    address: Annotated[str, Field(pattern=r"^https?://.*[^/]$")] | None = Field(
        default=None, description="URL that the paths of `files` and `trees` follow"
    )
    files: tuple[RemoteFile, ...] = Field(default=(), strict=False)
    trees: dict[InnerPath, Names] = Field(
        default={},
        description="folders below the source's address, each with the names of its files: they "
        "have the same paths in the fetched folder, and no checksums are stated",
    )
    archives: tuple[Archive, ...] = Field(default=(), strict=False)
    leave_out: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="name patterns that are not taken from a mirror's folder",
    )

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if self.hub and self.address:
            raise ValueError("hub or address, not both")
        if self.online and not self.remote_files():
            raise ValueError("an address without files")
        if self.trees and not self.online:
            raise ValueError("trees without an address")
        return self

    @property
    def online(self) -> bool:
        """Whether a network address is known."""
        return self.hub is not None or self.address is not None

    @property
    def size(self) -> int:
        """Bytes of the fetched files, as far as they are stated."""
        unpacked = sum(archive.unpacked_bytes for archive in self.archives)
        return max(unpacked, sum(file.bytes or 0 for file in self.files))

    def remote_files(self, parts: Sequence[str] = ()) -> list[RemoteFile]:
        """Return `files` and the files of `trees`, or those of them that lie in `parts`.

        `parts` are folders or files by their paths in the fetched folder; "." is all of it.
        """
        paths = [f"{folder}/{name}" for folder, names in self.trees.items() for name in names]
        files = [*self.files, *(RemoteFile(name=path, path=path) for path in paths)]
        return [
            file
            for file in files
            if not parts or any(PurePosixPath(file.name).is_relative_to(part) for part in parts)
        ]


class Catalog(Entry):
    """All sources by name."""

    corpora: dict[str, Source]
    benchmarks: dict[str, Source]

    def corpus(self, name: str) -> Source:
        """Return a corpus; SllamaError lists the known names."""
        return _named(self.corpora, name, "corpus")

    def benchmark(self, name: str) -> Source:
        """Return a benchmark; SllamaError lists the known names."""
        return _named(self.benchmarks, name, "benchmark")


def load_catalog(path: Path = CATALOG_FILE) -> Catalog:
    """Read and check the catalog; SllamaError names every wrong entry in one line."""
    try:
        return Catalog.model_validate(read_yaml(path))
    except ValidationError as error:
        complaints = (
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        )
        raise SllamaError(f"{path}: " + "; ".join(complaints)) from error


def _named(sources: dict[str, Source], name: str, kind: str) -> Source:
    if name not in sources:
        raise SllamaError(f"no {kind} is called {name}; known: {', '.join(sources)}")
    return sources[name]
