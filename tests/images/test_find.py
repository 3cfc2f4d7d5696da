"""Walking a tree: every regular file once, in a fixed order, whatever its name, through links, never in circles."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurelens.errors import InvalidInput
from featurelens.images.find import find_files


def names(root: Path, **options: object) -> list[str]:
    return [found.name for found in find_files(root, **options)]  # type: ignore[arg-type]


def touch(root: Path, *files: str) -> None:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))


def test_every_regular_file_whatever_its_kind_in_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg", "a.txt", "B.jpg", "dir/sub/x.png", "dir/a", "dir.jpg/y", "zz")
    assert names(tmp_path) == ["B.jpg", "a.txt", "b.jpg", "dir/a", "dir/sub/x.png", "dir.jpg/y", "zz"]


def test_what_is_told_of_a_file(tmp_path: Path) -> None:
    touch(tmp_path, "dir/a.png")
    os.utime(tmp_path / "dir/a.png", ns=(5, 1_700_000_000_123_456_789))
    (found,) = find_files(tmp_path)
    assert (found.path, found.name, found.size) == (tmp_path / "dir/a.png", "dir/a.png", 9)
    assert found.mtime_ns == os.stat(found.path).st_mtime_ns


def test_hidden_folders_and_the_gallery_are_left_out_hidden_files_are_not(tmp_path: Path) -> None:
    touch(tmp_path, ".git/x.png", ".featurelens/t.jpg", ".jpg/inside.jpg", "a/.hidden/y", ".photo.jpg", "a/z")
    assert names(tmp_path) == [".photo.jpg", "a/z"]
    assert names(tmp_path / ".git") == ["x.png"]  # the user named it


def test_what_our_commands_drew_is_left_out_wherever_it_lies(tmp_path: Path) -> None:
    touch(
        tmp_path, "featurelens-out/maps.png", "2024/featurelens-out/deep/x.webp", "2024/featurelens-out.png"
    )
    assert names(tmp_path) == ["2024/featurelens-out.png"]
    assert names(tmp_path / "featurelens-out") == ["maps.png"]  # the user named it


def test_folders_to_skip(tmp_path: Path) -> None:
    touch(tmp_path, "photos/a", "thumbnails/b", "c")
    assert names(tmp_path, skip=[tmp_path / "thumbnails", tmp_path / "not there"]) == ["c", "photos/a"]


ODD = [
    "new\nline.jpg",
    "-rf.jpg",
    " lead",
    "tab\t.png",
    "quote'\".gif",
    "x" * 200,
    "*.jpg",
    "emoji 🌻.webp",
    "~",
    "a\\b",
]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems forbid some of these names")
def test_odd_names(tmp_path: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "café.jpg") for form in ("NFC", "NFD"))
    latin = os.fsdecode(b"caf\xe9.jpg")  # not UTF-8
    touch(tmp_path, *ODD, nfc, nfd, latin, "é" * 100, "sub\n/-x")
    found = list(find_files(tmp_path))
    assert {f.name for f in found} == {*ODD, nfc, nfd, latin, "é" * 100, "sub\n/-x"}
    assert [os.fsencode(f.name) for f in found] == sorted(os.fsencode(f.name) for f in found)
    assert all(f.path.read_bytes() == os.fsencode(f.name) for f in found)


def test_any_depth(tmp_path: Path) -> None:
    """Deeper than Python's recursion goes, and deeper than a path may be long: the rest is reported."""
    try:
        here = os.open(tmp_path, os.O_RDONLY)
        for _ in range(2200):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=below))
            os.close(here)
            here = below
        os.close(here)
        problems: list[tuple[str, str]] = []
        found = names(tmp_path, on_error=lambda name, reason: problems.append((name, reason)))
    finally:  # Python's own rmtree would recurse too deep
        subprocess.run(["rm", "-r", tmp_path / "d"], check=True)
    assert len(found) > 1900
    assert {reason for _, reason in problems} == {"file name too long"}
    assert len(problems) <= 2


def test_links_are_followed_but_never_in_circles(tmp_path: Path) -> None:
    root = tmp_path / "root"
    touch(root, "real/a.jpg", "real/deep/b.jpg")
    touch(tmp_path / "elsewhere", "c.jpg")
    (root / "real/up").symlink_to(root)
    (root / "real/deep/self").symlink_to(".")
    (root / "again").symlink_to("real")
    (root / "outside").symlink_to(tmp_path / "elsewhere")
    (root / "link.jpg").symlink_to("real/a.jpg")
    assert names(root) == ["link.jpg", "real/a.jpg", "real/deep/b.jpg", "outside/c.jpg"]


def test_two_ways_at_each_of_many_crossings_do_not_explode(tmp_path: Path) -> None:
    """30 folders, each with two links to the next: 2^30 paths, 30 files."""
    for i in range(30):
        touch(tmp_path / "all" / f"{i:02}", "f")
        if i:
            for way in ("left", "right"):
                (tmp_path / "all" / f"{i - 1:02}" / way).symlink_to(tmp_path / "all" / f"{i:02}")
    assert len(names(tmp_path)) == 30
    assert len(names(tmp_path / "all" / "00")) == 30


def test_a_link_into_a_hidden_store_is_followed(tmp_path: Path) -> None:
    """git-annex, DVC and Nix keep the files in hidden folders and link to them."""
    touch(tmp_path, ".store/ab12")
    (tmp_path / "photo.jpg").symlink_to(".store/ab12")
    assert names(tmp_path) == ["photo.jpg"]


def test_pipes_sockets_and_dead_links_are_no_files(tmp_path: Path) -> None:
    touch(tmp_path, "a")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "dead").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "null.jpg").symlink_to("/dev/null")
    problems: dict[str, str] = {}
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        assert names(tmp_path, on_error=problems.__setitem__) == ["a"]
    assert problems["dead"].startswith("a link to something that does not exist")
    assert set(problems) == {"dead", "loop"}


def test_an_unreadable_folder_is_reported_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a/x", "locked/y", "z")
    scandir = os.scandir

    def guarded(path: str):
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    problems: dict[str, str] = {}
    assert names(tmp_path, on_error=problems.__setitem__) == ["a/x", "z"]
    assert problems == {"locked": "permission denied"}
    assert names(tmp_path) == ["a/x", "z"]


def test_it_is_lazy(tmp_path: Path) -> None:
    touch(tmp_path, "a/1", "b/2")
    files = find_files(tmp_path)
    assert next(files).name == "a/1"
    touch(tmp_path, "b/3")
    assert [f.name for f in files] == ["b/2", "b/3"]


@pytest.mark.parametrize("root", ["missing", "file"])
def test_a_root_that_is_no_folder(tmp_path: Path, root: str) -> None:
    touch(tmp_path, "file")
    with pytest.raises(InvalidInput, match="is not a folder"):
        find_files(tmp_path / root)


_PARTS = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8)
_NAMES = _PARTS.filter(lambda part: not part.startswith("."))


@settings(max_examples=40, deadline=None)
@given(paths=st.sets(st.lists(_NAMES, min_size=1, max_size=3).map("/".join), max_size=8))
def test_any_tree_is_found_whole(paths: set[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("tree")
    files = {p for p in paths if not any(other.startswith(p + "/") for other in paths)}
    touch(root, *files)
    assert set(names(root)) == files
    assert names(root) == names(root)
