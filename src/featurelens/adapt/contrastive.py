"""Self-supervised pretraining: the learner, one step of each objective, and the loop, all in sight."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from featurelens.adapt import checkpoints
from featurelens.adapt.augment import Augment
from featurelens.adapt.losses import barlow_twins, negative_cosine, nt_xent, vicreg
from featurelens.adapt.monitor import CollapsedRun, Health, measure
from featurelens.adapt.pairs import Pairs
from featurelens.adapt.recipe import Recipe

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers with batch norm and ReLU in between."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-2])


class Learner(nn.Module):
    """A timm network that gives pooled features, a projector, and for BYOL and SimSiam a predictor."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        import timm

        self.encoder = timm.create_model(recipe.architecture, num_classes=0, **recipe.options)
        self.encoder.eval()
        with torch.no_grad():
            dim = self.encoder(torch.zeros(1, 3, recipe.phases[0][1], recipe.phases[0][1])).shape[1]
        self.encoder.train()
        self.projector = mlp(dim, *recipe.projector)
        width = recipe.projector[-1]
        predicts = recipe.objective in ("byol", "simsiam")
        hidden = max(width // 4, 8) if recipe.objective == "simsiam" else 512
        self.predictor = mlp(width, hidden, width) if predicts else None

    def embed(self, views: Tensor) -> Tensor:
        """Pooled features of views in [0, 1]."""
        mean, std = (torch.tensor(x, device=views.device)[:, None, None] for x in (MEAN, STD))
        return self.encoder(((views - mean) / std).contiguous(memory_format=torch.channels_last))

    def forward(self, views: Tensor) -> Tensor:
        return self.projector(self.embed(views))


def loss_of(recipe: Recipe, learner: Learner, target: Learner, views: Sequence[Tensor]) -> Tensor:
    """The objective over all pairs (first view, other view) of differently augmented views."""
    if len({view.shape for view in views}) == 1 and recipe.objective != "byol":
        outputs = learner(torch.cat(list(views))).chunk(len(views))
    else:
        outputs = [learner(view) for view in views]
    targets = outputs
    if recipe.objective == "byol":
        with torch.no_grad():
            targets = [target(view) for view in views[:2]]
    losses = []
    for n in range(1, len(outputs)):
        a, b = outputs[0], outputs[n]
        if recipe.objective == "simclr":
            losses.append(nt_xent(a, b, temperature=recipe.temperature))
        elif recipe.objective == "vicreg":
            losses.append(vicreg(a, b))
        elif recipe.objective == "barlow":
            losses.append(barlow_twins(a, b))
        else:
            assert learner.predictor is not None
            losses.append(negative_cosine(learner.predictor(b), targets[0]))
            if n == 1:
                losses.append(negative_cosine(learner.predictor(a), targets[1]))
    return torch.stack(losses).mean()


def held_aside(learner: Learner, pairs: Pairs, augment: Augment, recipe: Recipe, count: int = 384) -> Health:
    """Health on pairs that training never sees, from the averaged weights, at the current size."""
    device = next(learner.parameters()).device
    source = torch.Generator(device=device).manual_seed(99)
    first, second = pairs.at(0, count, source)
    learner.eval()
    with torch.no_grad():
        size = recipe.phases[-1][1]
        a, b = (learner.embed(augment(images, size, source)).float() for images in (first, second))
    learner.train()
    return measure(a, b)


def pretrain(
    recipe: Recipe, pairs: Callable[[int], Pairs], held: Pairs, out: Path, *,
    device: str = "cpu", save_every: int = 100, say: Callable[[str], None] = print,
    initial: Path | None = None, keep_going: Callable[[], bool] = lambda: True,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Learner:  # fmt: skip
    """Train until the recipe's last step and return the averaged (EMA) learner.

    `pairs(step)` gives the training pairs from that step on. `out/checkpoint.pt` is replaced every
    `save_every` steps, and when `keep_going()` says no, which ends the run; a later call goes on from there.
    `initial` is another run's checkpoint to start from. Raises CollapsedRun when the run is dead.
    """
    torch.manual_seed(recipe.seed)
    learner = Learner(recipe)
    if initial:
        checkpoints.warm_start(learner, initial)
    learner = learner.to(device).to(memory_format=torch.channels_last)
    average = copy.deepcopy(learner).requires_grad_(False)
    decayed = [p for p in learner.parameters() if p.ndim > 1]
    plain = [p for p in learner.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98))
    start = checkpoints.load(out, recipe, learner=learner, average=average, optimizer=optimizer)
    if start:
        say(f"going on from step {start} of {recipe.steps}")
    stream, augment = pairs(start), Augment(**recipe.augment)
    for step in range(start, recipe.steps):
        source = torch.Generator(device=device).manual_seed(recipe.seed * 1_000_003 + step)
        size, batch = recipe.phase(step)
        first, second = stream.at(step, batch, source)
        views = [augment(first, size, source), augment(second, size, source)]
        views += [augment(second, recipe.local_size, source) for _ in range(recipe.local_views)]
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            loss = loss_of(recipe, learner, average, views)
        if not bool(torch.isfinite(loss)):
            raise CollapsedRun(
                f"The loss is {loss.item()} at step {step}; lower lr ({recipe.lr:g}). Kept: {out}."
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 5.0)
        optimizer.step()
        follow(average, learner, min(recipe.ema, (step + 1) / (step + 10)))
        done = step + 1
        on_progress(done, recipe.steps)
        if done % save_every == 0 or done == recipe.steps or not keep_going():
            health = held_aside(average, held, augment, recipe)
            say(f"step {done}/{recipe.steps}  {size} px  loss {loss.item():.3f}  {health}")
            health.check()
            checkpoints.save(out, recipe, done, learner=learner, average=average, optimizer=optimizer)
            if not keep_going():
                break
    return average


@torch.no_grad()
def follow(average: nn.Module, learner: nn.Module, keep: float) -> None:
    """Move the averaged weights (and buffers) towards the learner's."""
    for mine, other in zip(average.parameters(), learner.parameters(), strict=True):
        mine.lerp_(other, 1 - keep)
    for mine, other in zip(average.buffers(), learner.buffers(), strict=True):
        if mine.is_floating_point():
            mine.lerp_(other, 1 - keep)
        else:
            mine.copy_(other)
