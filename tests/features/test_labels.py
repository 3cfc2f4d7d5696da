"""Labels: metadata files before class folders, the nearest metadata file first."""

from __future__ import annotations

import json

import pytest

from featurelens.errors import InvalidInput
from featurelens.features.labels import read_labels

NAMES = ["cat/1.jpg", "cat/old/2.jpg", "dog/3.jpg", "4.jpg"]


def test_without_metadata_the_first_folder_is_the_class(tmp_path):
    assert read_labels(tmp_path, NAMES) == {"cat/1.jpg": "cat", "cat/old/2.jpg": "cat", "dog/3.jpg": "dog"}


def test_split_folders_are_not_classes(tmp_path):
    names = ["train/cat/1.jpg", "test/dog/2.jpg", "val/3.jpg"]
    assert read_labels(tmp_path, names) == {"train/cat/1.jpg": "cat", "test/dog/2.jpg": "dog"}


def write_metadata(path, rows) -> None:
    if path.suffix == ".csv":
        lines = ["\ufefffile_name,label", *(f'"{name}",{label}' for name, label in rows)]
        path.write_text("\n".join(lines), encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps({"file_name": n, "label": x, "more": 1}) for n, x in rows))
    else:
        import pandas as pd

        pd.DataFrame(rows, columns=["file_name", "label"]).to_parquet(path)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_metadata_counts_for_its_folder_and_all_below(tmp_path, kind):
    rows = [("cat/1.jpg", "tabby"), ("./dog/3.jpg", "poodle"), ("with,comma.jpg", "odd")]
    write_metadata(tmp_path / f"metadata.{kind}", rows)
    names = [*NAMES, "with,comma.jpg"]
    assert read_labels(tmp_path, names) == {
        "cat/1.jpg": "tabby",
        "dog/3.jpg": "poodle",
        "with,comma.jpg": "odd",
    }


def test_the_nearest_metadata_wins(tmp_path):
    (tmp_path / "cat").mkdir()
    write_metadata(tmp_path / "metadata.csv", [("cat/1.jpg", "far"), ("4.jpg", "top")])
    write_metadata(tmp_path / "cat" / "metadata.jsonl", [("1.jpg", "near"), ("old/2.jpg", 7)])
    assert read_labels(tmp_path, NAMES) == {"cat/1.jpg": "near", "cat/old/2.jpg": "7", "4.jpg": "top"}


def test_some_other_metadata_file_is_none_of_our_business(tmp_path):
    (tmp_path / "metadata.csv").write_text("date,place\n2020,Rome\n")
    assert read_labels(tmp_path, ["cat/1.jpg"]) == {"cat/1.jpg": "cat"}


def test_broken_metadata_is_named_with_its_line(tmp_path):
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a", "label": "b"}\n{oops\n')
    with pytest.raises(InvalidInput, match=r"metadata\.jsonl cannot be read \(line 2"):
        read_labels(tmp_path, NAMES)
    (tmp_path / "metadata.jsonl").unlink()
    (tmp_path / "metadata.csv").write_bytes(b"file_name,label\n\xff\xfe,x\n")
    with pytest.raises(InvalidInput, match=r"metadata\.csv"):
        read_labels(tmp_path, NAMES)
