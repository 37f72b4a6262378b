"""Archives from outside, many more of them than beside the code that unpacks them."""

import gzip
import io
import lzma
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.archive import UnsafeArchiveError, unpack
from tests.data.packing import Member, pack_tar, pack_zip
from tests.data.test_archive import MEMBERS, unpack_hostile
from tests.faults.effort import INPUTS

ENDINGS = st.sampled_from(["tar", "tar.gz", "tar.xz", "zip"])


@INPUTS
@given(members=MEMBERS, ending=ENDINGS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_nothing_leaves_its_folder(members: list[Member], ending: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x.{ending}"
        try:
            archive = (pack_zip if ending == "zip" else pack_tar)(path, members)
        except (ValueError, UnicodeError, IndexError):
            return  # a name that no archive of this kind can hold
        unpack_hostile(archive, Path(folder))


@pytest.mark.parametrize("ending", ["tar.gz", "tar.xz", "zip"])
@pytest.mark.parametrize("ratio", [1_000, 20_000])
def test_a_huge_ratio_is_stopped_early(tmp_path: Path, ending: str, ratio: int) -> None:
    """A bomb is refused before more than its stated size has been written."""
    path = tmp_path / f"x.{ending}"
    size = 1_000 * ratio
    if ending == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
            pack.writestr("zeros", bytes(size))
    else:
        plain = io.BytesIO()
        pack_tar(tmp_path / "x.tar", [Member("zeros", bytes(size))])
        plain.write((tmp_path / "x.tar").read_bytes())
        squeeze = gzip.compress if ending == "tar.gz" else lzma.compress
        path.write_bytes(squeeze(plain.getvalue()))
    with pytest.raises(UnsafeArchiveError, match="more than expected"):
        unpack(path, tmp_path / "out", largest_bytes=10_000)
    assert not (tmp_path / "out").exists()
