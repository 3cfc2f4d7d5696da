"""Scenes from tiles and outlines: dead leaves, plain textures, and lit objects in front of a ground."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from featurelens.errors import InvalidInput
from featurelens.images.procedural.shapes import Shape, draw_shapes, inside
from featurelens.images.procedural.textures import KINDS, grid, shared_out, tiles, uniform

LEAVES = 28
SCENES = {"objects": 55, "leaves": 30, "surfaces": 15}
WORN = {"colours": 70, "textures": 55}  # percent of an object's views that wear what its programme says


def palette(count: int, source: torch.Generator) -> Tensor:
    """Three colours per item `[item, 3 colours, 3 channels]`: near hues, mostly muted, some vivid."""
    device = source.device
    hue = uniform((count, 1), 0, 1, source) + uniform((count, 3), -0.15, 0.15, source)
    other = torch.rand(count, 3, generator=source, device=device) < 0.2
    hue = torch.where(other, uniform((count, 3), 0, 1, source), hue)
    saturation = uniform((count, 1), 0, 1, source).square() * uniform((count, 3), 0.4, 1, source)
    saturation = torch.where(
        torch.rand(count, 1, generator=source, device=device) < 0.3, saturation**0.4, saturation
    )
    base, contrast = uniform((count, 1), 0.15, 0.95, source), uniform((count, 1), 0.05, 0.6, source)
    value = (base + contrast * uniform((count, 3), -1, 1, source)).clamp(0.02, 1)
    return from_hsv(hue, saturation, value)


def from_hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """RGB on a new last axis; hue in turns."""
    offset = torch.tensor([5.0, 3.0, 1.0], device=hue.device)
    k = (offset + hue[..., None] * 6) % 6
    return value[..., None] * (1 - saturation[..., None] * torch.minimum(k, 4 - k).clamp(0, 1))


def paint(fields: Tensor, colours: Tensor) -> Tensor:
    """Fields in [0, 1] as a mixture of three colours."""
    first, second = fields[:, 0:1], fields[:, 1:2] * 0.6
    a, b, c = (colours[:, n, :, None, None] for n in range(3))
    return (a + (b - a) * first) * (1 - second) + c * second


def look_up(library: Tensor, which: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Tiles `which` at `x`, `y` `[item, row, col]`, mirrored beyond their edge."""
    where = torch.stack((x, y), -1)
    return F.grid_sample(library[which], where, padding_mode="reflection", align_corners=False)


def ground(library: Tensor, count: int, here: Tensor, source: torch.Generator) -> Tensor:
    """Backgrounds: one tile seen flat or in perspective, or a wall over a floor, softly lit, partly blurred."""
    device = source.device
    x, y = here[..., 0].expand(count, -1, -1), here[..., 1].expand(count, -1, -1)

    def surface(tilt: Tensor) -> Tensor:
        angle, zoom = (
            uniform((count, 1, 1), 0, 2 * math.pi, source),
            torch.exp(uniform((count, 1, 1), -1.2, 0.6, source)),
        )
        depth = 1 / (1 + tilt * y).clamp(min=0.15)
        u, v = x * depth * zoom, (y * depth) * zoom
        which = torch.randint(0, len(library), (count,), generator=source, device=device)
        fields = look_up(library, which, u * angle.cos() - v * angle.sin(), u * angle.sin() + v * angle.cos())
        return paint(fields, palette(count, source))

    tilt = uniform((count, 1, 1), -1.0, 0.8, source).clamp(min=0)
    back = surface(tilt)
    horizon = uniform((count, 1, 1), -0.8, 0.8, source) + uniform((count, 1, 1), -0.3, 0.3, source) * x
    split = ((y - horizon) * 60).sigmoid()[:, None] * (
        torch.rand(count, 1, 1, 1, generator=source, device=device) < 0.35
    )
    back = back * (1 - split) + surface(tilt * 0 + 0.5) * split
    calm = uniform((count, 1, 1, 1), -0.3, 1.0, source).clamp(min=0)
    mean = back.mean((2, 3), keepdim=True)
    back = mean + (back - mean) * (1 - 0.8 * calm)
    soft = F.interpolate(F.avg_pool2d(back, 4), size=back.shape[-2:], mode="bilinear")
    return torch.where(torch.rand(count, 1, 1, 1, generator=source, device=device) < 0.3, soft, back)


def place(
    canvas: Tensor,
    here: Tensor,
    shape: Shape,
    at: dict[str, Tensor],
    library: Tensor,
    look: dict[str, Tensor],
) -> Tensor:
    """One more object per canvas: shadow, outline, texture, inner texture, shading from its bulge."""
    size = canvas.shape[-1]
    cos, sin, scale = at["angle"].cos(), at["angle"].sin(), at["scale"]
    x = here[..., 0] - at["x"][:, None, None]
    y = here[..., 1] - at["y"][:, None, None]
    u = (x * cos[:, None, None] + y * sin[:, None, None]) / (scale * at["squeeze"])[:, None, None]
    v = (y * cos[:, None, None] - x * sin[:, None, None]) / (scale / at["squeeze"])[:, None, None]
    u = u * (1 + at["tilt"][:, None, None] * v)
    value, angle = inside(shape, u, v)
    edge = (0.5 - value * scale[:, None, None] * size / 2).clamp(0, 1)[:, None]
    shadow = F.avg_pool2d(edge, 7, 1, 3, count_include_pad=False)
    shift = max(1, size // 24)
    shadow = F.pad(shadow, (shift, 0, shift, 0), mode="replicate")[..., :size, :size]
    canvas = canvas * (1 - at["shadow"][:, None, None, None] * shadow)
    zoom = look["zoom"][:, None, None]
    polar = look["polar"][:, None, None]
    radius = (u * u + v * v + 1e-9).sqrt()
    across = torch.where(polar > 0, torch.sin(angle * polar) * 0.5, u * zoom)
    along = torch.where(polar > 0, radius * zoom, v * zoom)
    colour = paint(look_up(library, look["tile"], across, along), look["palette"])
    inner = paint(look_up(library, look["second"], u * zoom * 1.7, v * zoom * 1.7), look["inner"])
    core = ((look["core"][:, None, None] - radius) * 30).sigmoid()[:, None] * (look["core"] > 0)[
        :, None, None, None
    ]
    colour = colour * (1 - core) + inner * core
    height = (-value).clamp(0, 1).sqrt()[:, None]
    height = F.avg_pool2d(height, 3, 1, 1)
    rise_x = F.pad(height[..., 2:] - height[..., :-2], (1, 1, 0, 0))
    rise_y = F.pad(height[..., 2:, :] - height[..., :-2, :], (0, 0, 1, 1))
    light = at["light"][:, None, None, None]
    shade = 1 + at["bulge"][:, None, None, None] * (rise_x * light.cos() + rise_y * light.sin()) * size / 20
    return canvas * (1 - edge) + (colour * shade.clamp(0.3, 1.6)).clamp(0, 1) * edge


def poses(
    count: int, source: torch.Generator, *, spread: float, scale: tuple[float, float], turn: float
) -> dict[str, Tensor]:
    """Where the objects stand, how they are turned, lit and foreshortened."""
    return {
        "x": uniform((count,), -spread, spread, source), "y": uniform((count,), -spread, spread, source),
        "scale": torch.exp(uniform((count,), math.log(scale[0]), math.log(scale[1]), source)),
        "angle": uniform((count,), -turn, turn, source),
        "squeeze": torch.exp(uniform((count,), -0.15, 0.15, source)),
        "tilt": uniform((count,), -0.25, 0.25, source),
        "shadow": uniform((count,), -0.2, 0.6, source).clamp(min=0),
        "bulge": uniform((count,), -0.3, 1.0, source).clamp(min=0),
        "light": uniform((count,), 0, 2 * math.pi, source),
    }  # fmt: skip


def looks(count: int, library: int, source: torch.Generator) -> dict[str, Tensor]:
    """Which tiles and colours the objects wear."""
    device = source.device
    fold = torch.randint(1, 14, (count,), generator=source, device=device)
    return {
        "tile": torch.randint(0, library, (count,), generator=source, device=device),
        "second": torch.randint(0, library, (count,), generator=source, device=device),
        "zoom": torch.exp(uniform((count,), -1.6, 0.3, source)),
        "polar": fold * (torch.rand(count, generator=source, device=device) < 0.25),
        "core": uniform((count,), -0.6, 0.6, source).clamp(min=0),
        "palette": palette(count, source), "inner": palette(count, source),
    }  # fmt: skip


def finish(canvas: Tensor, here: Tensor, source: torch.Generator) -> Tensor:
    """Light falling off across the picture, a colour cast, sensor noise; to uint8."""
    count = len(canvas)
    slope = uniform((count, 2, 1, 1), -0.35, 0.35, source)
    light = 1 + slope[:, 0] * here[..., 0] + slope[:, 1] * here[..., 1]
    cast = torch.exp(
        uniform((count, 3, 1, 1), -0.12, 0.12, source) + uniform((count, 1, 1, 1), -0.3, 0.2, source)
    )
    noise = torch.randn(canvas.shape, generator=source, device=canvas.device)
    canvas = canvas * light[:, None] * cast + noise * uniform((count, 1, 1, 1), -0.02, 0.03, source).clamp(
        min=0
    )
    return (canvas.clamp(0, 1) * 255).round().to(torch.uint8)


def leaves(count: int, size: int, library: Tensor, source: torch.Generator) -> Tensor:
    """Dead leaves with textured outlines, back to front, sizes by a power law."""
    here = grid(size, source.device)
    canvas = ground(library, count, here, source)
    few = draw_shapes(count, source, limbs=False)
    for n in range(LEAVES):
        top = 0.9 * (1 - n / LEAVES) + 0.12
        at = poses(count, source, spread=1.1, scale=(top * 0.35, top), turn=math.pi)
        look = looks(count, len(library), source)
        shape = few if n % 2 else draw_shapes(count, source, limbs=False)
        canvas = place(canvas, here, shape, at, library, look)
    return canvas


def objects(
    programmes: int, views: int, size: int, library: Tensor, source: torch.Generator, worn: Mapping[str, int]
) -> Tensor:
    """One main object per programme, seen `views` times: other ground, pose, light, sometimes other clothes."""
    here, count, device = grid(size, source.device), programmes * views, source.device
    owner = torch.arange(programmes, device=device).repeat_interleave(views)
    canvas = ground(library, count, here, source)
    for top in (0.45, 0.3):
        at = poses(count, source, spread=1.2, scale=(0.1, top), turn=math.pi)
        canvas = place(
            canvas, here, draw_shapes(count, source), at, library, looks(count, len(library), source)
        )
    shape = draw_shapes(programmes, source).rows(owner).jitter(0.5, source)
    common, own = looks(programmes, len(library), source), looks(count, len(library), source)
    dressed = {name: value[owner] for name, value in common.items()}
    change = torch.rand(count, generator=source, device=device)
    for name in ("palette", "inner"):
        keep = (change < worn["colours"] / 100)[:, None, None]
        dressed[name] = torch.where(keep, dressed[name] + (own[name] - dressed[name]) * 0.12, own[name])
    for name in ("tile", "second"):
        dressed[name] = torch.where(change < worn["textures"] / 100, dressed[name], own[name])
    at = poses(count, source, spread=0.28, scale=(0.42, 0.85), turn=0.35)
    home = uniform((programmes,), -math.pi, math.pi, source) * (
        torch.rand(programmes, generator=source, device=device) < 0.3
    )
    at["angle"] = at["angle"] + home[owner]
    canvas = place(canvas, here, shape, at, library, dressed)
    at = poses(count, source, spread=1.3, scale=(0.08, 0.25), turn=math.pi)
    return place(canvas, here, draw_shapes(count, source), at, library, looks(count, len(library), source))


def draw(
    *, programmes: int, views: int, size: int, seed: int, device: Any = "cpu", mixture: Mapping[str, int]
) -> Tensor:
    """See `render`; uint8 `[programme * view, 3, row, col]`."""
    shares, worn = (
        usual | {name: mixture[name] for name in usual.keys() & mixture.keys()} for usual in (SCENES, WORN)
    )
    unknown = sorted(mixture.keys() - SCENES.keys() - KINDS.keys() - WORN.keys())
    if unknown or min(mixture.values(), default=0) < 0 or max(worn.values()) > 100:
        raise InvalidInput(
            f"The mixture {dict(mixture)} needs shares of 0 or more of {', '.join([*SCENES, *KINDS])}, "
            f"and percentages of {' and '.join(WORN)}."
        )
    if not any(shares.values()) or not any(mixture.get(name, 1) for name in KINDS):
        raise InvalidInput(
            f"The mixture {dict(mixture)} leaves nothing to draw: keep a kind of scene ({', '.join(SCENES)}) "
            f"and a kind of texture ({', '.join(KINDS)})."
        )
    source = torch.Generator(device=device).manual_seed(seed)
    library = tiles(max(48, programmes), size, source, mixture)
    with_object, others = shared_out(programmes, [shares["objects"], shares["leaves"] + shares["surfaces"]])
    with_leaves, plain = shared_out(others, [shares["leaves"], shares["surfaces"]]) if others else (0, 0)
    parts = []
    if with_object:
        parts.append(objects(with_object, views, size, library, source, worn).unflatten(0, (-1, views)))
    if with_leaves:
        once = leaves(with_leaves, size, library, source)
        parts.append(once[:, None].expand(-1, views, -1, -1, -1))
    if plain:
        once = ground(library, plain, grid(size, source.device), source)
        parts.append(once[:, None].expand(-1, views, -1, -1, -1))
    scenes = torch.cat([part.reshape(-1, views, 3, size, size) for part in parts])
    scenes = scenes[torch.randperm(programmes, generator=source, device=source.device)]
    return finish(scenes.reshape(-1, 3, size, size), grid(size, source.device), source)
