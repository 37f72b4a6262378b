import hashlib
import logging
import random
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.data.transfer import (
    DamagedError,
    Expected,
    RefusedError,
    UnreachableError,
    download,
    hub_url,
)
from pipeline.errors import SllamaError
from pipeline.io import git_blob
from tests.data.server import Resource, Server

CONTENT = random.Random(1).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
KNOWN = Expected(len(CONTENT), SHA256)


def leftovers(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path != target)


def fetch(server: Server, tmp_path: Path, expected: Expected = KNOWN) -> Path:
    target = tmp_path / "in" / "file.txt"
    download(f"{server.url}/file", target, expected, "https://example.org/page")
    return target


@pytest.mark.parametrize("expected", [KNOWN, Expected()], ids=["known", "unknown"])
def test_a_whole_file_arrives(server: Server, tmp_path: Path, expected: Expected) -> None:
    server.resources["/file"] = Resource(CONTENT)
    target = fetch(server, tmp_path, expected)
    assert target.read_bytes() == CONTENT
    assert leftovers(target) == []


@pytest.mark.parametrize("expected", [KNOWN, Expected()], ids=["known", "unknown"])
@pytest.mark.parametrize("way", ["cuts", "resets"])
def test_a_broken_connection_is_taken_up_where_it_broke(
    server: Server, tmp_path: Path, expected: Expected, way: str
) -> None:
    server.resources["/file"] = Resource(CONTENT, **{way: [200_000, 50_000]})
    assert fetch(server, tmp_path, expected).read_bytes() == CONTENT
    first, *later = server.ranges_asked()
    assert first is None
    assert later[0] is not None
    assert re.fullmatch(r"bytes=[1-9]\d*-", later[0])


def test_an_interrupted_download_goes_on_in_the_next_call(server: Server, tmp_path: Path) -> None:
    server.resources["/file"] = Resource(CONTENT, cuts=[100_000] + [0] * 20)
    with pytest.raises(UnreachableError, match="what came so far is kept"):
        fetch(server, tmp_path)
    part = tmp_path / "in" / "file.txt.part"
    kept = part.stat().st_size
    assert 0 < kept <= 100_000
    assert not (tmp_path / "in" / "file.txt").exists()
    server.resources["/file"] = Resource(CONTENT)
    server.requests.clear()
    target = fetch(server, tmp_path)
    assert target.read_bytes() == CONTENT
    assert server.ranges_asked() == [f"bytes={kept}-"]
    assert leftovers(target) == []


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    server.resources["/file"] = Resource(CONTENT, cuts=[150_000], ranges=False)
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_range_that_was_not_asked_for_is_thrown_away(server: Server, tmp_path: Path) -> None:
    server.resources["/file"] = Resource(CONTENT, cuts=[150_000], wrong_range=True)
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges_asked()[-1] is None


def test_halves_of_two_versions_are_never_joined(server: Server, tmp_path: Path) -> None:
    server.resources["/file"] = Resource(b"old" * 100_000, cuts=[150_000] + [0] * 20, etag='"old"')
    with pytest.raises(UnreachableError):
        fetch(server, tmp_path, Expected())
    server.resources["/file"] = Resource(CONTENT, etag='"new"')
    assert fetch(server, tmp_path, Expected()).read_bytes() == CONTENT


def test_without_tag_or_checksum_nothing_is_resumed(server: Server, tmp_path: Path) -> None:
    server.resources["/file"] = Resource(CONTENT, cuts=[150_000], etag=None)
    assert fetch(server, tmp_path, Expected()).read_bytes() == CONTENT
    assert server.ranges_asked() == [None, None]


def test_a_stale_part_longer_than_the_file_is_dropped(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "in" / "file.txt.part"
    part.parent.mkdir()
    part.write_bytes(b"x" * (len(CONTENT) + 5))
    server.resources["/file"] = Resource(CONTENT)
    assert fetch(server, tmp_path, Expected(sha256=SHA256)).read_bytes() == CONTENT


def test_a_whole_part_is_checked_and_taken_without_a_request(
    server: Server, tmp_path: Path
) -> None:
    part = tmp_path / "in" / "file.txt.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT)
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.requests == []


def test_a_damaged_file_is_named_and_fetched_anew(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = b"\0" + CONTENT[1:]
    server.resources["/file"] = Resource(CONTENT, contents=[damaged])
    with caplog.at_level(logging.WARNING):
        assert fetch(server, tmp_path).read_bytes() == CONTENT
    found = hashlib.sha256(damaged).hexdigest()
    assert f"file.txt: sha256 {SHA256} expected, {found} found" in caplog.text


def test_a_file_damaged_at_its_source_is_refused(server: Server, tmp_path: Path) -> None:
    damaged = b"\0" + CONTENT[1:]
    server.resources["/file"] = Resource(damaged)
    with pytest.raises(DamagedError) as caught:
        fetch(server, tmp_path)
    for said in (SHA256, hashlib.sha256(damaged).hexdigest(), f"{server.url}/file"):
        assert said in str(caught.value)
    assert list((tmp_path / "in").iterdir()) == []


@pytest.mark.parametrize("change", [-1, 1])
def test_a_wrong_size_is_refused(server: Server, tmp_path: Path, change: int) -> None:
    server.resources["/file"] = Resource(CONTENT)
    with pytest.raises(DamagedError, match="expected"):
        fetch(server, tmp_path, Expected(len(CONTENT) + change))
    assert list((tmp_path / "in").iterdir()) == []


def test_a_wrong_git_object_is_refused(server: Server, tmp_path: Path) -> None:
    server.resources["/file"] = Resource(CONTENT)
    with pytest.raises(DamagedError, match=f"git object {'0' * 40} expected"):
        fetch(server, tmp_path, Expected(git_blob="0" * 40))


def test_git_blob_is_what_git_says(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    said = subprocess.run(
        ["git", "hash-object", "--no-filters", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert git_blob(path) == said.stdout.strip()


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "accept its terms"),
        (403, "accept its terms"),
        (404, "no such file"),
        (410, "no such file"),
        (429, "too many requests"),
        (500, "server error"),
        (503, "server error"),
        (418, "unexpected answer"),
    ],
)
def test_refusals_say_where_and_what_to_do(
    server: Server, tmp_path: Path, status: int, says: str
) -> None:
    server.resources["/file"] = Resource(CONTENT, statuses=[status] * 10)
    with pytest.raises(RefusedError, match=says) as caught:
        fetch(server, tmp_path)
    assert f"{server.url}/file" in str(caught.value)
    assert str(status) in str(caught.value)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path, status: int) -> None:
    server.resources["/file"] = Resource(CONTENT, statuses=[status])
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_redirects_are_followed(server: Server, tmp_path: Path) -> None:
    server.resources["/file"] = Resource(location="/elsewhere")
    server.resources["/elsewhere"] = Resource(CONTENT)
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_a_circle_of_redirects_ends(server: Server, tmp_path: Path) -> None:
    server.resources["/file"] = Resource(location="/file")
    with pytest.raises(UnreachableError, match="TooManyRedirects"):
        fetch(server, tmp_path)


@pytest.mark.parametrize(
    "page",
    [
        Resource(b"<p>please log in</p>", content_type="text/html; charset=utf-8"),
        Resource(b"\n  <!DOCTYPE html><p>please log in</p>"),
    ],
    ids=["declared", "disguised"],
)
def test_a_web_page_is_no_data(server: Server, tmp_path: Path, page: Resource) -> None:
    server.resources["/file"] = page
    with pytest.raises(RefusedError, match="a web page came instead of data"):
        fetch(server, tmp_path, Expected())
    assert not (tmp_path / "in" / "file.txt").exists()


@pytest.mark.parametrize("endpoint", ["http://[bad", "huggingface.co", "://"])
def test_a_bad_endpoint_is_said(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(RefusedError, match="HF_ENDPOINT is no address"):
        hub_url("a/b", "0" * 40, "file")


@pytest.mark.parametrize("endpoint", ["", " ", "https://huggingface.co/\n"])
def test_an_empty_endpoint_is_the_hub(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert hub_url("a/b", "c", "file") == "https://huggingface.co/datasets/a/b/resolve/c/file"


def test_a_redirect_to_no_address_is_refused(server: Server, tmp_path: Path) -> None:
    server.resources["/file"] = Resource(location="http://[bad")
    with pytest.raises(RefusedError, match="/file: bad redirect"):
        fetch(server, tmp_path)


@pytest.mark.parametrize("token", ["hf_\nsecret", "hf_secret€"])
def test_a_malformed_token_is_said_and_not_shown(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    with pytest.raises(RefusedError, match="fix HF_TOKEN") as caught:
        fetch(server, tmp_path)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_nobody_listening(server: Server, tmp_path: Path) -> None:
    with Server() as gone:
        address = gone.url
    with pytest.raises(UnreachableError, match="cannot be reached"):
        download(f"{address}/file", tmp_path / "file", KNOWN)


def test_offline_is_respected(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    server.resources["/file"] = Resource(CONTENT)
    with pytest.raises(UnreachableError, match="HF_HUB_OFFLINE"):
        fetch(server, tmp_path)
    assert server.requests == []


def test_no_space_is_said_before_anything_is_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.resources["/file"] = Resource(CONTENT)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1_000))
    with pytest.raises(SllamaError, match="free some space"):
        fetch(server, tmp_path, Expected())
    assert not (tmp_path / "in" / "file.txt.part").exists()


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize("tag", ["{}", '"{}"', 'W/"{}"'])
def test_where_nothing_is_stated_the_hub_says_what_the_content_is(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: str, large: bool
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    (tmp_path / "content").write_bytes(CONTENT)
    url = hub_url("a/b", "0" * 40, "file")
    path = url.removeprefix(server.url)
    with Server() as storage:
        # A large file lies elsewhere, where its tag is another one.
        storage.resources["/signed"] = Resource(CONTENT, etag=f'"{"1" * 40}"')
        if large:
            stated = hashlib.sha256(CONTENT).hexdigest()
            server.resources[path] = Resource(
                location=f"{storage.url}/signed", linked_etag=tag.format(stated)
            )
        else:
            stated = git_blob(tmp_path / "content")
            server.resources[path] = Resource(CONTENT, etag=tag.format(stated))
        download(url, tmp_path / "file", Expected())
        assert (tmp_path / "file").read_bytes() == CONTENT
        damaged = CONTENT[:-1] + b"?"
        (storage.resources["/signed"] if large else server.resources[path]).content = damaged
        with pytest.raises(DamagedError, match=f"{stated} expected, .*twice"):
            download(url, tmp_path / "other", Expected())
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("etag", [None, '"1"', f'"{"1" * 40}-gzip"'])
@pytest.mark.parametrize("endpoint", ["{}", "{}/datasets/", "HTTP{}"])
def test_a_hub_that_states_no_checksum_is_refused_where_the_catalog_has_none(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, etag: str, endpoint: str
) -> None:
    named = endpoint.format(server.url.removeprefix("http" if "HTTP" in endpoint else ""))
    monkeypatch.setenv("HF_ENDPOINT", named)
    url = hub_url("a/b", "0" * 40, "file")
    server.resources[url[len(server.url) :]] = Resource(CONTENT, etag=etag)
    for unstated in (Expected(), Expected(len(CONTENT))):
        with pytest.raises(RefusedError, match=r"/file: the host states no checksum.* mirror"):
            download(url, tmp_path / "file", unstated)
    assert list(tmp_path.iterdir()) == []
    download(url, tmp_path / "file", KNOWN)


def test_the_tag_of_another_server_says_nothing_of_the_content(
    server: Server, tmp_path: Path
) -> None:
    server.resources["/file"] = Resource(CONTENT, etag=f'"{"1" * 40}"')
    fetch(server, tmp_path, Expected())


def test_the_token_goes_to_the_hub_only_and_into_no_message(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret\n")
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    path = f"/datasets/a/b/resolve/{'0' * 40}/file"
    url = hub_url("a/b", "0" * 40, "file")
    assert url == server.url + path
    with Server() as storage, caplog.at_level(logging.DEBUG):
        server.resources[path] = Resource(location=f"{storage.url}/signed?key=abc")
        storage.resources["/signed?key=abc"] = Resource(CONTENT)
        download(url, tmp_path / "file", KNOWN)
        download(f"{storage.url}/signed?key=abc", tmp_path / "other", KNOWN)
        del storage.resources["/signed?key=abc"]
        with pytest.raises(RefusedError) as caught:
            download(url, tmp_path / "third", KNOWN)
        stored = [headers for _, headers in storage.requests]
    assert server.requests[0][1]["Authorization"] == "Bearer hf_secret"
    assert all("Authorization" not in headers for headers in stored)
    said = str(caught.value) + caplog.text
    assert "hf_secret" not in said
    assert "key=abc" not in said
