"""A folder that looks like the repository: one folder a revision, and checksums of all."""

import shutil
from pathlib import Path

from pipeline.errors import SllamaError
from pipeline.io import put_in_place, require_free_space, sha256_file, write_text
from pipeline.publish.plan import CHECKPOINT_NAME, MAIN, Plan

CHECKSUMS = "SHA256SUMS"


def publish_to_folder(plan: Plan, folder: Path) -> None:
    """Make `folder` hold main/, chck_1M/ ... and SHA256SUMS; it is complete as soon as it is there.

    `from_pretrained("<folder>/main")` loads a revision: for a local path transformers ignores its
    argument `revision`. An earlier publication is replaced, anything else is left alone.

    SllamaError: something else lies there, no space, or a file changed while it was copied.
    """
    folder = folder.resolve()
    require_ours(folder)
    size = sum(file.size for revision in plan.revisions for file in revision.files)
    require_free_space(folder, size)
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    lines = []
    for revision in plan.revisions:
        (unfinished / revision.name).mkdir(parents=True)
        for file in revision.files:
            copy = unfinished / revision.name / file.path
            shutil.copyfile(file.source, copy)
            if sha256_file(copy) != file.sha256:
                raise SllamaError(f"{file.source}: changed while it was published; run again")
            lines.append(f"{file.sha256}  {revision.name}/{file.path}")
    write_text(unfinished / CHECKSUMS, "\n".join(lines) + "\n")
    put_in_place(unfinished, folder)


def require_ours(folder: Path) -> None:
    """SllamaError if `folder` holds anything but an earlier publication."""
    if folder.exists() and not folder.is_dir():
        raise SllamaError(f"{folder}: a file is in the way")
    found = [path.name for path in folder.iterdir()] if folder.exists() else []
    strange = [name for name in found if name not in (MAIN, CHECKSUMS)]
    strange = [name for name in strange if CHECKPOINT_NAME.fullmatch(name) is None]
    if strange or (found and CHECKSUMS not in found):
        example = sorted(strange or found)[0]
        raise SllamaError(f"{folder}: holds {example}, no publication; name a folder of its own")
