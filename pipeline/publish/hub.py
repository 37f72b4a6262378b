"""A repository of the Hugging Face Hub: checkpoints as branches, the model on main."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipeline.errors import SllamaError
from pipeline.hub import hub_errors
from pipeline.io import git_blob
from pipeline.progress import redact
from pipeline.publish.plan import CHECKPOINT_NAME, MAIN, Plan, PublishedFile, Revision

if TYPE_CHECKING:
    from huggingface_hub import HfApi

# What the Hub puts into a new repository by itself.
_THEIRS = {".gitattributes"}
_AGAIN = "; run again to go on, nothing is uploaded twice"
_REASONS = {
    401: "the token is not accepted (401); set HF_TOKEN to a valid one with write access",
    403: "the token may not write there (403); it needs write access to this owner's models",
    404: "no such repository or owner (404); check the name, and that the token may see it",
    409: f"changed by someone else meanwhile (409){_AGAIN}",
    412: f"changed by someone else meanwhile (412){_AGAIN}",
    429: f"too many requests (429){_AGAIN}, in some minutes",
}


def publish_to_hub(
    plan: Plan, repository: str, api: "HfApi | None" = None, private: bool = False
) -> None:
    """Commit each revision of `plan` to its branch of the model repository `owner/name`.

    The repository is made if it is not there (`private` counts only then). After each commit the
    Hub's checksums are compared with the plan's. A branch that holds files which are not in the
    plan is refused, and so is a checkpoint that is not in it; nothing is ever cleaned. The token
    is huggingface_hub's own affair: HF_TOKEN, or a login.

    SllamaError: refused, unreachable, or other files there than were sent.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if api is None and get_token() is None:
        raise SllamaError(f"{repository}: no token; set HF_TOKEN to one with write access")
    if not sys.stderr.isatty():
        disable_progress_bars()
    api = api or HfApi()
    with _clear_errors(repository):
        api.create_repo(repository, private=private, exist_ok=True)
        _require_no_other_checkpoints(api, repository, plan)
        for revision in plan.revisions:
            if revision.name != MAIN:
                api.create_branch(repository, branch=revision.name, exist_ok=True)
            _commit(api, repository, revision)


def _require_no_other_checkpoints(api: "HfApi", repository: str, plan: Plan) -> None:
    """SllamaError if a checkpoint of another run would stay among those of this one."""
    planned = {revision.name for revision in plan.revisions}
    branches = {ref.name for ref in api.list_repo_refs(repository).branches}
    others = sorted(name for name in branches - planned if CHECKPOINT_NAME.fullmatch(name))
    if others:
        raise SllamaError(
            f"{repository}: has revisions {', '.join(others[:5])}, which this model does not have; "
            "remove them there, or publish to another repository"
        )


def _commit(api: "HfApi", repository: str, revision: Revision) -> None:
    from huggingface_hub import CommitOperationAdd

    found = _found(api, repository, revision)
    if strange := sorted(found.keys() - {file.path for file in revision.files}):
        raise SllamaError(
            f"{repository}, revision {revision.name}: holds {', '.join(strange[:5])}, which this "
            "model does not have; remove it there, or publish to another repository"
        )
    changed = _differing(revision, found)
    if not changed:
        return
    heads = {ref.name: ref.target_commit for ref in api.list_repo_refs(repository).branches}
    api.create_commit(
        repository,
        operations=[CommitOperationAdd(file.path, str(file.source)) for file in changed],
        commit_message=f"Publish {revision.name}",
        revision=revision.name,
        parent_commit=heads.get(revision.name),
    )
    if broken := _differing(revision, _found(api, repository, revision)):
        raise SllamaError(
            f"{repository}, revision {revision.name}: {broken[0].path} is not there as it was sent"
            f"{_AGAIN}"
        )


def _differing(revision: Revision, found: dict[str, Any]) -> list[PublishedFile]:
    """Return the files of the plan that a branch lacks or holds with another content."""
    return [
        file
        for file in revision.files
        if file.path not in found or not _same(file, found[file.path])
    ]


def _found(api: "HfApi", repository: str, revision: Revision) -> dict[str, Any]:
    """Return the files of a branch by path, without those that the Hub made."""
    entries = api.list_repo_tree(repository, recursive=True, revision=revision.name)
    files = {entry.path: entry for entry in entries if hasattr(entry, "blob_id")}
    return {path: entry for path, entry in files.items() if path not in _THEIRS}


def _same(file: PublishedFile, entry: Any) -> bool:
    if entry.size != file.size:
        return False
    if entry.lfs is not None:
        return bool(entry.lfs.sha256 == file.sha256)
    return bool(entry.blob_id == git_blob(file.source))


@contextmanager
def _clear_errors(repository: str) -> Iterator[None]:
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        reason = _REASONS.get(status, f"the Hub answered {status}")
        if status >= 500:
            reason = f"the Hub has trouble ({status}){_AGAIN}"
        raise SllamaError(f"{repository}: {reason}") from error
    except hub_errors() as error:
        kind = type(error).__name__
        raise SllamaError(
            f"{repository}: the Hub cannot be reached ({kind}); check network and HF_ENDPOINT"
            f"{_AGAIN}"
        ) from error
    except ValueError as error:
        raise SllamaError(f"{repository}: {redact(str(error))}") from error
