"""Self-supervised pretraining: one step of each objective, and the loop, all in sight."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from featurelens.adapt import checkpoints
from featurelens.adapt.augment import Augment
from featurelens.adapt.chance import own_chance, seed_of
from featurelens.adapt.kept_memory import kept_memory
from featurelens.adapt.learner import Learner
from featurelens.adapt.losses import barlow_twins, negative_cosine, nt_xent, vicreg
from featurelens.adapt.memory import enough_memory
from featurelens.adapt.monitor import CollapsedRun, Health, knn_accuracy, measure
from featurelens.adapt.pairs import ImagePairs, Labelled, Pairs
from featurelens.adapt.precision import autocast
from featurelens.adapt.recipe import Recipe
from featurelens.errors import InvalidInput

FREE = ("phases", "decay")  # a run may be lengthened or cut short; everything else must stay


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


@torch.no_grad()
def held_aside(
    learner: Learner, pairs: Pairs, augment: Augment, recipe: Recipe, *, labelled: Labelled | None = None, count: int = 384,
) -> Health:  # fmt: skip
    """Health on pairs that training never sees, from the averaged weights, at the last size.

    Labels, where there are any, are only looked at here: how often the 10 nearest of the images say the right one.
    """
    device = next(learner.parameters()).device
    source = torch.Generator(device=device).manual_seed(99)
    count = min(count, len(pairs)) if isinstance(pairs, ImagePairs) else count
    first, second = pairs.at(0, count, source)
    learner.eval()
    size = recipe.phases[-1][1]
    a, b = (learner.embed(augment(images, size, source)).float() for images in (first, second))
    knn = None
    if labelled is not None:
        plain = [learner.embed(images).float() for images in labelled.views(size)]
        knn = knn_accuracy(torch.cat(plain), labelled.labels)
    learner.train()
    return measure(a, b, knn=knn)


def pretrain(
    recipe: Recipe, pairs: Callable[[int], Pairs], held: Pairs, out: Path, *,
    images: str = "", origin: str = "none", device: str = "cpu", save_every: int = 100, say: Callable[[str], None] = print,
    prepare: Callable[[Learner], object] = lambda learner: None, labelled: Labelled | None = None,
    keep_going: Callable[[], bool] = lambda: True,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Learner:  # fmt: skip
    """Train until the recipe's last step and return the averaged (EMA) learner in eval mode.

    `pairs(step)` gives the training pairs from that step on. `out/checkpoint.pt` is replaced every
    `save_every` steps, and when `keep_going()` says no, which ends the run; a later call goes on from there,
    if its recipe (but for FREE), the digest `images` (`Source.digest`) of what is learnt from and `origin` (`Start.name`) are
    the same. `prepare` may fill the new learner with weights to start from; `labelled` images are looked at, not learned.
    Raises CollapsedRun when the run is dead, OutOfMemory where memory is too small for the batch, InvalidInput where
    `out` holds a longer or another run.
    """
    with own_chance(device):
        torch.manual_seed(recipe.seed)
        learner = Learner(recipe)
        prepare(learner)
    learner = learner.to(device).to(memory_format=torch.channels_last)
    average = copy.deepcopy(learner).requires_grad_(False)
    decayed = [p for p in learner.parameters() if p.ndim > 1]
    plain = [p for p in learner.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98))
    if recipe.compile and device.startswith("cuda"):
        say("compiling the network at the first step (half a minute)")
        learner.encoder.compile()
    parts = {"learner": learner, "average": average, "optimizer": optimizer}
    about = {k: v for k, v in recipe.to_json().items() if k not in FREE}
    about |= {"images": images, "start": origin}

    def save(step: int) -> None:
        state = {name: part.state_dict() for name, part in parts.items()}
        checkpoints.save(out, "pretrain", about, state | {"step": step, "recipe": recipe.to_json()})

    begun = 0
    if (saved := checkpoints.load(out, "pretrain", about)) is not None:
        begun = saved["step"]
        for name, part in parts.items():
            part.load_state_dict(saved[name])
    if begun > recipe.steps:
        raise InvalidInput(
            f"{out} holds a run of {begun} steps, and this one would end at step {recipe.steps}. Give another folder for it "
            "(--out), or at least as many steps."
        )
    if begun:
        say(f"going on from step {begun} of {recipe.steps}")
    stream, augment = pairs(begun), Augment(**recipe.augment)
    with own_chance(device), kept_memory(device):
        for step in range(begun, recipe.steps):
            source = torch.Generator(device=device).manual_seed(recipe.seed * 1_000_003 + step)
            size, batch = recipe.phase(step)
            advice = f"Try {max(2, batch // 2)} (pairs per step in phases); what was saved before is kept."
            first, second = stream.at(step, batch, source)
            views = [augment(first, size, source), augment(second, size, source)]
            views += [augment(second, recipe.local_size, source) for _ in range(recipe.local_views)]
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step)
            torch.manual_seed(seed_of(recipe.seed, step))  # dropout, stochastic depth
            with enough_memory(batch, advice), autocast(recipe.precision, device):
                loss = loss_of(recipe, learner, average, views)
            if not bool(torch.isfinite(loss)):
                raise CollapsedRun(
                    f"The loss is {loss.item()} at step {step}; lower lr ({recipe.lr:g}). Kept: {out}."
                )
            optimizer.zero_grad(set_to_none=True)
            with enough_memory(batch, advice):
                loss.backward()
            torch.nn.utils.clip_grad_norm_(learner.parameters(), 5.0)
            optimizer.step()
            follow(average, learner, min(recipe.ema, (step + 1) / (step + 10)))
            done = step + 1
            on_progress(done, recipe.steps)
            if done % save_every == 0 or done == recipe.steps or not keep_going():
                health = held_aside(average, held, augment, recipe, labelled=labelled)
                say(f"step {done}/{recipe.steps}  {size} px  loss {loss.item():.3f}  {health}")
                health.check()
                save(done)
                if not keep_going():
                    break
    if not recipe.steps and not begun:  # what is started from, as it is
        save(0)
    return average.eval()


@torch.no_grad()
def follow(average: nn.Module, learner: nn.Module, keep: float) -> None:
    """Move the averaged weights (and buffers) towards the learner's."""
    mine, others = (list(chain(m.parameters(), m.buffers())) for m in (average, learner))
    moving = [n for n, tensor in enumerate(mine) if tensor.is_floating_point()]
    get_ema_multi_avg_fn(keep)([mine[n] for n in moving], [others[n] for n in moving], 0)
    for n in set(range(len(mine))) - set(moving):
        mine[n].copy_(others[n])
