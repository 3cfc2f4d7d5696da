"""One image through the network, layer by layer, and single units (channels) over all images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel

from featurelens.web.explaining import has_gradients, lab_is_there, last_map
from featurelens.web.pictures import png
from featurelens.web.problems import not_found
from featurelens.web.queries import pixels_of, reading_of, source_of
from featurelens.web.service import Served, Service
from featurelens.web.shown import ShownHit, problems, shown

if TYPE_CHECKING:
    from featurelens.backbone.torch_backbone import TorchBackbone
    from featurelens.see.channel_maps import FeatureMaps

router = APIRouter(prefix="/api/v1", tags=["inside"])
One = Annotated[int, Path(ge=0, le=2**63 - 1)]
Layer = Annotated[str, Path(max_length=200)]
Unit = Annotated[int, Path(ge=0, le=1_000_000)]
Limit = Annotated[int, Query(ge=1, le=512)]
Over = Annotated[bool, Query(description="Draw over the image.")]
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}}},
    **problems(404, 409, 422, 501),
}
_KEEP = {"cache-control": "private, max-age=86400"}


class Channel(BaseModel):
    """A channel and its largest value in this image."""

    channel: int
    peak: float


class ShownLayer(BaseModel):
    """A layer that stands for a stage; `silent` channels are the same everywhere in this image."""

    name: str
    channels: int
    rows: int
    cols: int
    stage: bool
    silent: int
    strongest: list[Channel]


class Layers(BaseModel):
    """From edges to parts."""

    layers: list[ShownLayer]


class Channels(BaseModel):
    """Strongest first."""

    channels: list[Channel]


class UnitHit(ShownHit):
    """An image and how strongly the unit answers to it."""

    answer: float


class ShownUnit(BaseModel):
    """What drives a unit: `active` is the share of the images (`of`) that it answers to at all.

    Before the job `job_kind` has run, `made` is false and all else is empty.
    """

    made: bool
    job_kind: str = "units"
    layer: str
    unit: int
    units: int | None = None
    of: int | None = None
    active: float | None = None
    best: float | None = None
    images: list[UnitHit] = []


@router.get("/images/{id}/layers", responses=problems(404, 409, 422, 501))
def layers(service: Served, id: One) -> Layers:
    """The layers that stand for the network's stages, for one image."""
    found = _maps(service, id).values()
    return Layers(
        layers=[
            ShownLayer(
                name=one.layer,
                channels=one.maps.shape[0],
                rows=one.maps.shape[1],
                cols=one.maps.shape[2],
                stage=True,
                silent=one.silent,
                strongest=_strongest(one, 32),
            )
            for one in found
        ]
    )


@router.get("/images/{id}/layers/{layer}/sheet.png", response_class=Response, responses=_PICTURE)
def sheet(
    service: Served,
    id: One,
    layer: Layer,
    limit: Limit = 64,
    over: Over = False,
    scale: Literal["own", "shared"] = "own",
) -> Response:
    """The strongest channels of a layer side by side."""
    return _picture(_layer(service, id, layer).sheet(limit=limit, over=over, scale=scale))


@router.get("/images/{id}/layers/{layer}/colours.png", response_class=Response, responses=_PICTURE)
def colours(
    service: Served, id: One, layer: Layer, side: Annotated[int, Query(ge=16, le=1024)] = 256
) -> Response:
    """The three main directions of a layer as red, green and blue."""
    return _picture(_layer(service, id, layer).colours(side=side))


@router.get("/images/{id}/layers/{layer}/channels.json", responses=problems(404, 409, 422, 501))
def channels(service: Served, id: One, layer: Layer, limit: Limit = 64) -> Channels:
    """The strongest channels of a layer."""
    return Channels(channels=_strongest(_layer(service, id, layer), limit))


@router.get("/images/{id}/layers/{layer}/channels/{channel}.png", response_class=Response, responses=_PICTURE)
def channel(
    service: Served,
    id: One,
    layer: Layer,
    channel: Unit,
    over: Over = False,
    side: Annotated[int, Query(ge=16, le=1024)] = 192,
) -> Response:
    """One channel as a picture."""
    found = _layer(service, id, layer)
    if channel >= len(found.maps):
        raise not_found(f"The layer '{layer}' has {len(found.maps)} channels, numbered from 0.")
    return _picture(found.tile(channel, side=side, over=over))


@router.get("/layers/{layer}/units/{unit}", responses=problems(404, 409, 422, 501))
def unit(service: Served, layer: Layer, unit: Unit) -> ShownUnit:
    """The images that drive a unit most; the job `units` must have run."""
    found = service.results.unit(layer, unit)
    if found is None:
        return ShownUnit(made=False, layer=layer, unit=unit)
    return ShownUnit(
        made=True,
        layer=layer,
        unit=unit,
        units=found.units,
        of=found.of,
        active=found.active,
        best=found.best,
        images=[UnitHit(**shown(hit).model_dump(), answer=answer) for hit, answer in found.images],
    )


def _strongest(found: FeatureMaps, most: int) -> list[Channel]:
    return [Channel(channel=one, peak=float(found.maps[one].max())) for one in found.order[:most]]


def _maps(service: Service, one: int) -> dict[str, FeatureMaps]:
    """The stages of a network with layers; else its last map, which every exported network gives too."""
    image = source_of(service, one, None)
    spec = service.gallery.spec
    if lab_is_there() and not has_gradients(spec.name) and spec.map_channels:
        return {"map": last_map(service.gallery.backbone, pixels_of(service, image))}

    def work(network: TorchBackbone) -> dict[str, FeatureMaps]:
        from featurelens.see.channel_maps import layer_maps
        from featurelens.see.depths import stage_layers

        found = layer_maps(network, image, stage_layers(network), **reading_of(service))
        return {one.layer: one for one in found}

    return service.lab.use(("layers", one), work)


def _layer(service: Service, one: int, layer: str) -> FeatureMaps:
    found = _maps(service, one)
    if layer not in found:
        raise not_found(f"'{layer[:60]}' is none of the layers shown: {', '.join(found)}.")
    return found[layer]


def _picture(pixels: Any) -> Response:
    return Response(png(pixels), media_type="image/png", headers=_KEEP)
