"""Features to and from `.npy`, Parquet and DataFrames."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.backbone.protocol import Spec
from featurelens.durable import write_file
from featurelens.errors import InvalidInput, MissingExtra
from featurelens.features.table import Features

_KEY = "featurelens"


def to_npy(features: Features, path: Path) -> None:
    """Write `path` (the vectors) and, beside it, the `.json` that holds ids, labels, skipped and spec."""
    rest = {"ids": features.ids, "labels": features.labels} | _about(features)
    write_file(path.with_suffix(".json"), lambda file: file.write(json.dumps(rest).encode("ascii")))
    write_file(path, lambda file: np.save(file, features.vectors, allow_pickle=False))


def from_npy(path: Path) -> Features:
    """Read `path`; without its `.json` the rows are normalised and get their numbers as ids."""
    vectors = np.load(path, allow_pickle=False)
    beside = path.with_suffix(".json")
    if beside.is_file():
        rest = _read(beside)
        labels = None if rest["labels"] is None else tuple(rest["labels"])
        return Features(tuple(rest["ids"]), vectors, Spec.from_json(rest["spec"]), labels, _skipped(rest))
    if vectors.ndim != 2 or vectors.dtype.kind != "f":
        raise InvalidInput(
            f"{path} holds {vectors.dtype} {list(vectors.shape)}; expected floats [image, dim]."
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    spec = Spec(f"npy:{path.name}", weights=digest, dim=vectors.shape[1])
    return Features.from_raw(tuple(map(str, range(len(vectors)))), vectors, spec)


def to_parquet(features: Features, path: Path) -> None:
    """Write one row per image: id (text, or bytes if an id is not valid Unicode), label, vector."""
    pa, pq = _pyarrow()
    flat = pa.array(features.vectors.reshape(-1))
    columns: dict[str, Any] = {"id": _texts(pa, features.ids)}
    if features.labels is not None:
        columns["label"] = _texts(pa, features.labels)
    columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, features.spec.dim)
    table = pa.table(columns).replace_schema_metadata({_KEY: json.dumps(_about(features))})
    write_file(path, lambda file: pq.write_table(table, file))


def from_parquet(path: Path) -> Features:
    """Read what `to_parquet` wrote; InvalidInput for any other Parquet file."""
    _, pq = _pyarrow()
    table = pq.read_table(path)
    about = (table.schema.metadata or {}).get(_KEY.encode())
    if about is None:
        raise InvalidInput(
            f"{path} does not say which backbone its vectors are from, so Features.to_parquet did not write "
            "it. Build Features(ids, vectors, spec) from its columns instead."
        )
    rest = json.loads(about)
    spec = Spec.from_json(rest["spec"])
    vectors = table["vector"].combine_chunks().flatten().to_numpy().reshape(-1, spec.dim)
    ids = tuple(_text(one) for one in table["id"].to_pylist())
    labels = (
        tuple(_text(one) for one in table["label"].to_pylist()) if "label" in table.column_names else None
    )
    return Features(ids, vectors, spec, labels, _skipped(rest))


def to_dataframe(features: Features) -> Any:
    """Index id, column label (if any), columns f0, f1, ...; the spec travels in `frame.attrs`."""
    pandas = _import("pandas", "A DataFrame")
    names = [f"f{i}" for i in range(features.spec.dim)]
    frame = pandas.DataFrame(
        features.vectors, index=pandas.Index(features.ids, dtype=object, name="id"), columns=names
    )
    if features.labels is not None:
        frame.insert(0, "label", pandas.array(features.labels, dtype=object))
    frame.attrs[_KEY] = _about(features)
    return frame


def from_dataframe(frame: Any, *, spec: Spec | None = None) -> Features:
    """Read the columns f0, f1, ...; a missing label is "". InvalidInput where no spec is given or attached."""
    rest = frame.attrs.get(_KEY, {})
    if spec is None and "spec" not in rest:
        raise InvalidInput(
            "The DataFrame does not say which backbone its vectors are from (its attrs are lost). "
            "Give spec=features.spec."
        )
    chosen = spec or Spec.from_json(rest["spec"])
    missing = [f"f{i}" for i in range(chosen.dim) if f"f{i}" not in frame.columns]
    if missing:
        raise InvalidInput(f"'{chosen.name}' has {chosen.dim} numbers, but column {missing[0]} is missing.")
    vectors = np.ascontiguousarray(frame[[f"f{i}" for i in range(chosen.dim)]].to_numpy(np.float32))
    labels = None
    if "label" in frame.columns:
        labels = tuple(
            "" if none else str(one) for one, none in zip(frame["label"], frame["label"].isna(), strict=True)
        )
    return Features(tuple(map(str, frame.index)), vectors, chosen, labels, _skipped(rest))


def _read(beside: Path) -> dict[str, Any]:
    """What `to_npy` wrote beside the vectors; InvalidInput for any other file of that name."""
    try:
        rest = json.loads(beside.read_bytes())
    except ValueError:
        rest = None
    if not isinstance(rest, dict) or not {"ids", "labels", "spec"} <= rest.keys():
        raise InvalidInput(
            f"{beside} is not what Features.to_npy writes beside the vectors: it holds no ids, labels and spec. Move it "
            "away to read the vectors alone."
        )
    return rest


def _about(features: Features) -> dict[str, Any]:
    return {"spec": features.spec.to_json(), "skipped": [list(pair) for pair in features.skipped]}


def _skipped(rest: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((one, reason) for one, reason in rest.get("skipped", ()))


def _texts(pa: Any, ids: tuple[str, ...]) -> Any:
    try:
        return pa.array(ids, pa.string())
    except UnicodeEncodeError:  # a file name that is not UTF-8
        return pa.array([one.encode("utf-8", "surrogateescape") for one in ids], pa.binary())


def _text(one: str | bytes) -> str:
    return one.decode("utf-8", "surrogateescape") if isinstance(one, bytes) else one


def _pyarrow() -> tuple[Any, Any]:
    return _import("pyarrow", "Parquet"), _import("pyarrow.parquet", "Parquet")


def _import(module: str, purpose: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(module.partition(".")[0], "table", purpose) from error
