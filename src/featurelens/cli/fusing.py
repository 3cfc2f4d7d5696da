"""What `extract` does with several sources: fuse layers, check a fusion, write a result in the format of its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featurelens.adapt.fused_backbone import Fused
    from featurelens.assess.fusion_gain import FusionGain
    from featurelens.features import Features

FUSIONS = ("concat", "weights", "attention", "pca", "whitening")
LEARNED = ("weights", "attention")
TABLES = (".npy", ".parquet")


def check_request(
    fusion: str | None,
    members: Sequence[Any],
    layers: Sequence[str],
    out: Path,
    pooling: str | None,
    *,
    whole: bool,
) -> None:
    """InvalidInput or UnknownName for options that do not go together, before any work."""
    from featurelens.catalog import unknown
    from featurelens.errors import InvalidInput

    if fusion is not None and fusion not in FUSIONS:
        raise unknown("fusion", fusion, FUSIONS)
    several = len(members) > 1 or (len(layers) > 1 and out.suffix in TABLES)
    if fusion is None and several:
        raise InvalidInput(
            f"Several backbones or layers become one set of vectors with --fusion {', '.join(FUSIONS)}; give one of these."
        )
    if fusion is not None and not (len(members) > 1 or len(layers) > 1):
        raise InvalidInput(f"--fusion {fusion} needs two or more --backbones, or --layers of one.")
    if layers and len(members) > 1:
        raise InvalidInput("--layers takes the layers of one backbone; give a single one in --backbones.")
    if pooling and len(members) > 1:
        raise InvalidInput(
            "--pooling is for the maps or layers of one backbone; fused ones give their own embeddings."
        )
    if whole and (fusion is None or layers):
        raise InvalidInput("--backbone-out and --check need --fusion of several --backbones.")


def fuse_layers(sets: Mapping[str, Features], kind: str, *, train: str, **options: Any) -> Features:
    """The layers' features as one; the vectors are trained on the labels where `kind` is."""
    from featurelens.adapt.fused_features import fuse_features
    from featurelens.errors import InvalidInput

    if train == "views":
        raise InvalidInput(
            "--train views needs several --backbones; layers are fused on labels, or by concat or pca."
        )
    return fuse_features(kind, sets, **options)[0]


def learned_weights(made: Fused) -> dict[str, float]:
    """How much each source counts, where that was learned."""
    weights: Any = getattr(made.fusion, "weights", None)
    if not hasattr(weights, "tolist"):  # of attention it is a function
        return {}
    return {name: round(weight, 3) for name, weight in zip(made.sources, weights.tolist(), strict=True)}


def gain_of(made: Fused, kind: str, *, train: str, **options: Any) -> FusionGain:
    """Whether this fusion helps on these images' labels; one that learns from labels is fitted anew in each fold."""
    from featurelens.adapt.fusing import fuse, fused
    from featurelens.assess.fusion_gain import fusion_gain
    from featurelens.errors import InvalidInput

    if made.features.labels is None:
        raise InvalidInput("--check needs labels: class folders or a metadata.csv.")

    def fit(sources: Sequence[Any], labels: Sequence[str]) -> Any:
        fusion = made.fusion if train == "views" else fuse(kind, sources, labels=labels, **options)
        return lambda given: fused(fusion, given)

    return fusion_gain(made.sources, made.features.labels, {kind: fit}, seed=options.get("seed", 0))


def save(features: Features, out: Path) -> None:
    """A folder, or the table that the name's ending asks for."""
    if out.suffix == ".npy":
        features.to_npy(out)
    elif out.suffix == ".parquet":
        features.to_parquet(out)
    else:
        features.save(out)
