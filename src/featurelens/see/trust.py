"""How far to trust a map: does it add up, does it show what was learned, does it name the places that count?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from featurelens.errors import LayerError
from featurelens.see.baselines import blurred
from featurelens.see.curves import Curves, cell_means, insertion_deletion
from featurelens.see.methods import Question, answer
from featurelens.see.randomized import randomized, rank_correlation
from featurelens.see.targets import Target, scorer
from featurelens.shapes import Float

if TYPE_CHECKING:
    from featurelens.see.explanation import Explanation

GRID, RANDOM_ORDERS = 14, 6


@dataclass(frozen=True, eq=False)
class Trust:
    """What the checks found.

    `gap`: share of the score's rise that the map does not add up to (None: the method promises no sum).
    `randomized`: rank correlation of the map with those of ever more randomized networks, the last one all
    random (None: the method failed there). `gain`: insertion minus deletion area of the map's order of
    cells; `chance` and `spread`: mean and standard deviation of that of random orders; `edges`: that of an edge
    filter's (all None where the score does not differ from that of the blurred image).
    """

    gap: float | None
    complete: bool | None
    randomized: tuple[float, ...] | None
    edge_likeness: float
    gain: float | None = None
    inserted: float | None = None
    deleted: float | None = None
    chance: float | None = None
    spread: float | None = None
    edges: float | None = None
    curves: tuple[Curves, ...] = ()

    @property
    def level(self) -> str:
        """One of: good, with care, do not trust."""
        from featurelens.see.verdict import judge

        return judge(self).level

    @property
    def words(self) -> str:
        """The verdict in sentences."""
        from featurelens.see.verdict import judge

        return judge(self).words

    def to_json(self) -> dict[str, Any]:
        """Everything but the curves, with the verdict."""
        fields = {k: v for k, v in asdict(replace(self, curves=())).items() if k != "curves"}
        return fields | {"level": self.level, "words": self.words}


def trust_of(
    question: Question, target: Target, image: int, explained: Explanation, options: Mapping[str, Any]
) -> Trust:
    """Check one explanation: completeness, randomization (MPRT), insertion and deletion with controls.

    Runs the method three times more, on randomized copies, and the network on some 240 changed images.
    """
    edges = edge_map(explained.pixels)
    values = _important(explained)
    curves = _curves(question, image, values, edges, int(options.get("chunk", 16)))
    found: dict[str, Any] = {}
    if curves:
        gains = np.array([c.gain for c in curves])
        chance = gains[2:]
        found = {
            "gain": curves[0].gain,
            "inserted": curves[0].inserted,
            "deleted": curves[0].deleted,
            "edges": float(gains[1]),
            "chance": float(chance.mean()),
            "spread": float(chance.std(ddof=1)),
            "curves": tuple(curves),
        }
    return Trust(
        gap=explained.facts.get("gap"),
        complete=explained.facts.get("complete"),
        randomized=_randomized(question, target, image, explained, options),
        edge_likeness=rank_correlation(cell_means(values, GRID), cell_means(edges, GRID)),
        **found,
    )


def edge_map(pixels: np.ndarray) -> Float[np.ndarray, "row col"]:
    """How strong edges are (Sobel, on grey values): a control that knows nothing of the network."""
    grey = np.pad(pixels.astype(np.float64).mean(2), 1, mode="edge")
    smooth_rows = grey[:-2] + 2 * grey[1:-1] + grey[2:]
    smooth_cols = grey[:, :-2] + 2 * grey[:, 1:-1] + grey[:, 2:]
    return np.hypot(smooth_rows[:, 2:] - smooth_rows[:, :-2], smooth_cols[2:] - smooth_cols[:-2])


def _important(explained: Explanation) -> np.ndarray:
    """What counts as important: what raises the score."""
    return explained.values.astype(np.float64)


def _curves(
    question: Question, image: int, values: np.ndarray, edges: np.ndarray, chunk: int
) -> list[Curves] | None:
    random = np.random.default_rng(0)
    orders = [np.argsort(-cell_means(v, GRID), kind="stable") for v in (values, edges)]
    orders += [random.permutation(GRID * GRID) for _ in range(RANDOM_ORDERS)]
    ground = question.backbone.normalize(blurred(question.x01[image : image + 1]))[0]
    return insertion_deletion(
        question.score, question.x[image], ground, np.stack(orders), image=image, grid=GRID, chunk=chunk
    )


def _randomized(
    question: Question, target: Target, image: int, explained: Explanation, options: Mapping[str, Any]
) -> tuple[float, ...] | None:
    found = []
    only = slice(image, image + 1)
    settings = dict(options)
    if explained.layer is not None:
        settings["layer"] = explained.layer
    if explained.method == "integrated-gradients":
        settings["max_steps"] = settings.get("steps", 32)  # the map of a random network need not add up
    for network in randomized(question.backbone):
        score = scorer(network, target)
        asked = Question(
            network,
            question.x01[only],
            question.x[only],
            lambda x, which, score=score: score(x, which + image),
        )
        try:
            maps = answer(explained.method, asked, settings).maps[0]
        except LayerError:
            return None
        other = torch.nan_to_num(maps.detach()).double().cpu().numpy()
        found.append(rank_correlation(cell_means(_important(explained), GRID), cell_means(other, GRID)))
    return tuple(found)
