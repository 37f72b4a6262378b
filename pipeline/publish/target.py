"""Where to publish: a repository of the Hub, or a folder."""

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SllamaError
from pipeline.publish.plan import MAIN

_HUB_PREFIX = "hub:"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class Target:
    """A repository `owner/name`, or, if `folder` is there, that folder."""

    name: str
    folder: Path | None = None

    @property
    def address(self) -> str:
        """What `from_pretrained` is given to load the main revision."""
        return self.name if self.folder is None else f"{self.folder.as_posix()}/{MAIN}"


def parse_target(text: str, model: Path) -> Target:
    """Read `owner/name` (or hub:owner/name) as a repository, anything else as a folder.

    SllamaError: both would be possible, the Hub would not take the name, transformers would not
    load it, or the folder lies inside `model`.
    """
    on_hub = text.startswith(_HUB_PREFIX)
    name = text.removeprefix(_HUB_PREFIX)
    if not on_hub and not _looks_like_repository(text):
        return _folder(text, model)
    if not on_hub and Path(text).parent.is_dir():
        raise SllamaError(f"--to {text}: write ./{text} for the folder, {_HUB_PREFIX}{text} if not")
    if _REPOSITORY.fullmatch(name) is None or "--" in name or ".." in name:
        raise SllamaError(f"--to {text}: a repository is named owner/name, in letters and digits")
    if "." in name.partition("/")[2]:
        raise SllamaError(
            f"--to {text}: no '.' in a model's name, its code becomes a Python module by that name"
        )
    return Target(name)


def _looks_like_repository(text: str) -> bool:
    return not text.startswith((".", "/", "~")) and text.count("/") == 1 and not Path(text).is_dir()


def _folder(text: str, model: Path) -> Target:
    try:
        folder = Path(text).expanduser()
    except RuntimeError as error:
        raise SllamaError(f"--to {text}: there is no such user") from error
    if folder.resolve().is_relative_to(model.resolve()):
        raise SllamaError(f"--to {text}: inside the model's own folder; name another")
    return Target(folder.resolve().name, folder)
