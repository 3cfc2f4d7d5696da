"""About 900 broken, odd, hostile and rare files: each is read or refused with a reason, in one process."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from featurelens.images.decode import decode
from featurelens.images.fit import Fit
from fixtures import read_folder

NOT_READ_ON_PURPOSE = ["BLP", "DCX", "EPS", "FITS", "FLI", "FTEX", "GBR"]
NOT_READ_ON_PURPOSE += ["IM", "MSP", "PIXAR", "SPIDER", "WMF", "XBM", "XPM"]
REFUSED_THOUGH_PILLOW_READS_THEM = {
    # 144 megapixels, above the default limit
    "bombs/png_rgb_12000x12000_valid.png": "limit",
    # the end mark comes before the picture is complete: Pillow fills up with grey
    "jpeg_crashtests/1cbb1bb37d62c44f67374cd451643dc4.jpg": "a part of its picture data is missing",
    "jpeg_crashtests/7997b6b229f25315d33f5c7085e37500.jpg": "a part of its picture data is missing",
    "jpeg_crashtests/8e5e74dbf9b68a322fbb9512db837329.jpg": "a part of its picture data is missing",
    "jpeg_crashtests/dc-predictor-overflow.jpg": "a part of its picture data is missing",
    "jpeg_odd/partial_progressive.jpg": "a part of its picture data is missing",
}
READ_THOUGH_PILLOW_REFUSES_THEM = {
    "rare_formats/avif__hopper.heif",  # by pillow-heif
    "rare_formats/bee.heic",
    "broken_truncated/psd-oob-write-overflow.psd",  # its layers are damaged, the picture itself is not
}


def read(root: Path, **options: int) -> tuple[dict[str, dict[str, Any]], int, str]:
    """The outcome of each file, the peak memory in bytes, and what came out on stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", read_folder.__file__, root, json.dumps(options)],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    return {file["name"]: file for file in result["files"]}, result["peak"], done.stderr


@pytest.fixture(scope="module")
def manifest(shared: Path) -> dict[str, dict[str, str]]:
    with open(shared / "data" / "badfiles" / "manifest.csv", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def outcome(shared: Path) -> tuple[dict[str, dict[str, Any]], int, str]:
    return read(shared / "data" / "badfiles")


def test_every_file_is_read_or_refused_with_a_reason(outcome, manifest) -> None:
    files, _, _ = outcome
    assert set(manifest) <= set(files)
    for name, file in files.items():
        assert file.get("shape") == [224, 224, 3] or len(file["reason"]) > 8, name


def test_memory_time_and_stderr_stay_within_bounds(outcome) -> None:
    files, peak, stderr = outcome
    assert peak < 0.5 * 2**30
    assert max(file["seconds"] for file in files.values()) < 10
    assert stderr == ""


def test_what_pillow_reads_is_read(outcome, manifest) -> None:
    files, _, _ = outcome
    refused = {
        name: files[name]["reason"]
        for name, row in manifest.items()
        if row["pil_outcome"] == "ok"
        and row["pil_format"] not in NOT_READ_ON_PURPOSE
        and "reason" in files[name]
    }
    assert set(refused) == set(REFUSED_THOUGH_PILLOW_READS_THEM)
    for name, words in REFUSED_THOUGH_PILLOW_READS_THEM.items():
        assert words in refused[name]


def test_formats_left_out_on_purpose_are_named(outcome, manifest) -> None:
    files, _, _ = outcome
    for name, row in manifest.items():
        if row["pil_format"] in set(NOT_READ_ON_PURPOSE) - {"SPIDER"}:  # SPIDER has no mark to know it by
            assert any(word in files[name]["reason"] for word in ("not read", "never run", "XBM")), files[
                name
            ]


def test_what_pillow_refuses_is_refused(outcome, manifest) -> None:
    files, _, _ = outcome
    read_all_the_same = {n for n, r in manifest.items() if r["pil_outcome"] != "ok" and "shape" in files[n]}
    assert read_all_the_same == READ_THOUGH_PILLOW_REFUSES_THEM


def test_size_and_format_agree_with_pillow(outcome, manifest) -> None:
    files, _, _ = outcome
    compared = 0
    for name, row in manifest.items():
        if row["pil_outcome"] == "ok" and "shape" in files[name] and "orientation" not in name.lower():
            assert files[name]["format"] == row["pil_format"].replace("MPO", "JPEG"), name
            size = [int(side) for side in row["pil_size"].split("x")]
            assert files[name]["size"] in (size, size[::-1]), name  # one AVIF is turned
            compared += 1
    assert compared >= 540


def test_reasons_are_few_and_readable(outcome) -> None:
    """A user who sees a hundred skipped files wants to see groups, not a hundred different sentences."""
    files, _, _ = outcome
    reasons = Counter(file["reason"] for file in files.values() if "reason" in file)
    assert len(reasons) < 70
    assert not any("Pillow" in reason or "/" in reason for reason in reasons)


def test_the_144_megapixel_png_in_two_threads_stays_under_two_gigabytes(shared: Path, tmp_path: Path) -> None:
    """With the limit raised; two of them at once, because the fixture has two threads."""
    bomb = shared / "data" / "badfiles" / "bombs" / "png_rgb_12000x12000_valid.png"
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(bomb)
    files, peak, _ = read(tmp_path, max_pixels=200_000_000)
    assert [file["size"] for file in files.values()] == [[12_000, 12_000]] * 2
    assert peak < 1.5 * 2**30


@pytest.mark.parametrize("folder", ["crash_timeout_oom", "jpeg_crashtests", "broken_truncated"])
def test_exact_and_fast_agree_on_what_is_an_image(shared: Path, folder: str) -> None:
    from featurelens.errors import ImageError

    for path in sorted((shared / "data" / "badfiles" / folder).iterdir()):
        results = []
        for exact in (False, True):
            try:
                results.append(decode(path, fit=Fit(32, 32), exact=exact).format)
            except ImageError as error:
                results.append(error.reason)
        assert results[0] == results[1], path.name
