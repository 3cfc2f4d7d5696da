"""What `featurelens tune` shows: the plan as a table, progress with its curve, the result."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from featurelens.adapt.division import codes_of, divide
from featurelens.adapt.events import Events
from featurelens.adapt.find_rate import RateTest, find_rate
from featurelens.adapt.finetune import dry_run, finetune, rate_course
from featurelens.adapt.plan import Plan
from featurelens.adapt.training import Epoch
from featurelens.adapt.tuned import Tuned
from featurelens.adapt.tuning import Tuning
from featurelens.cli.terminal import notice, print_json, progress_bar, say, say_skipped, show
from featurelens.errors import InvalidInput
from featurelens.features.sources import sources

_BARS = "▁▂▃▄▅▆▇█"


def show_plan(images: Path, net: Any, tuning: Tuning, *, as_json: bool) -> None:
    """The table of `--dry-run`; no image is opened."""
    from rich.markup import escape
    from rich.table import Table

    listed = sources(images, None, stamped=False)
    codes, classes = codes_of([one.label for one in listed], folder=str(images))
    division = divide([one.id for one in listed], codes, classes, split=tuning.split, seed=tuning.seed)
    plan = dry_run(net, len(classes), tuning)
    if as_json:
        print_json(
            _plan_json(plan) | {"classes": classes, "teach": len(division.teach), "test": len(division.test)}
        )
        return
    table = Table(box=None, pad_edge=False)
    for name in ("parameter group", "numbers", "trainable", "lr", "weight decay", "batch norm"):
        table.add_column(
            name, justify="left" if name in ("parameter group", "trainable", "batch norm") else "right"
        )
    for group in plan.groups:
        learns = (
            "yes" if group.start == 0 else "no" if group.start is None else f"from epoch {group.start + 1}"
        )
        rate = f"{group.lr:.3g}" if group.trainable else "–"
        decay = f"{group.weight_decay:g}" if group.trainable else "–"
        table.add_row(escape(group.stage), f"{group.count:,}", learns, rate, decay, group.batch_norm or "–")
    show(table)
    learns, total = (sum(g.count for g in plan.groups if g.trainable or every) for every in (False, True))
    notice(
        f"{learns:,} of {total:,} numbers learn; {len(classes)} classes, {len(division.teach)} images teach, "
        f"{len(division.test)} test ({division.rule})."
    )


def _plan_json(plan: Plan) -> dict[str, Any]:
    groups = [
        {
            "group": g.stage,
            "parameters": list(g.names),
            "numbers": g.count,
            "trainable": g.trainable,
            "from_epoch": g.start,
            "lr": g.lr,
            "weight_decay": g.weight_decay,
            "batch_norm": g.batch_norm or None,
        }
        for g in plan.groups
    ]
    return {"plan": plan.kind, "groups": groups}


def teach(
    images: Path,
    net: Any,
    tuning: Tuning,
    folder: Path,
    *,
    keep_going: Callable[[], bool],
    tensorboard: Path | None,
) -> Tuned:
    """`finetune` with a bar for the features and one for the steps, a line for each epoch, and event files."""
    with ExitStack() as stack:
        events = stack.enter_context(Events(tensorboard)) if tensorboard else None
        bar = stack.enter_context(ExitStack())
        advance: list[Callable[..., None]] = [bar.enter_context(progress_bar("Extracting features"))]
        told: list[Epoch] = []

        def on_features(progress: Any) -> None:
            advance[0](progress.done, progress.total, progress.failed)
            if not keep_going():
                raise KeyboardInterrupt  # what was extracted is committed on the way out

        def on_step(done: int, total: int, epoch: Epoch | None) -> None:
            if len(advance) == 1:
                bar.close()
                advance.append(bar.enter_context(progress_bar("Learning", unit="steps")))
            advance[-1](done, total)
            if epoch is not None:
                told.append(epoch)
                say(_line(told, tuning.epochs))
                if events is not None:
                    events.add(epoch.epoch + 1, _scalars(epoch))

        return finetune(
            images, net, tuning, out=folder, keep_going=keep_going, on_features=on_features, on_step=on_step
        )


def _scalars(epoch: Epoch) -> dict[str, float | None]:
    return {
        "loss/teach": epoch.loss,
        "loss/test": epoch.test_loss,
        "accuracy/test": epoch.accuracy,
        "lr/head": epoch.lr,
    }


def _line(told: list[Epoch], epochs: int) -> str:
    """One epoch: its figures, and the curve of the loss so far."""
    now = told[-1]
    test = "" if now.accuracy is None else f"  test loss {now.test_loss:.3f}  accuracy {now.accuracy:.3f}"
    return (
        f"epoch {now.epoch + 1:>3}/{epochs}  loss {now.loss:.3f}{test}  {_spark([one.loss for one in told])}"
    )


def _spark(values: list[float]) -> str:
    low, high = min(values), max(values)
    return "".join(_BARS[round((v - low) / (high - low) * 7) if high > low else 0] for v in values[-30:])


def show_rates(images: Path, net: Any, tuning: Tuning, folder: Path, *, as_json: bool) -> None:
    """The range test: rates, losses and the one to take."""
    from rich.table import Table

    with progress_bar("Extracting features") as advance:
        course = rate_course(
            images, net, tuning, out=folder, on_features=lambda p: advance(p.done, p.total, p.failed)
        )
    with progress_bar("Trying rates", unit="steps") as advance:
        found: RateTest = find_rate(course, tuning, on_step=advance)
    if as_json:
        print_json(found)
        return
    if not found.rates:
        raise InvalidInput(
            "The loss was not finite at the smallest rate; look at the images and the weights first."
        )
    table = Table(box=None, pad_edge=False)
    for name in ("lr", "loss", ""):
        table.add_column(name, justify="left" if not name else "right")
    low, high = min(found.losses), min(max(found.losses), 4 * min(found.losses))
    for rate, loss in list(zip(found.rates, found.losses, strict=True))[::3]:
        bar = "█" * (1 + round(30 * (min(loss, high) - low) / max(high - low, 1e-9)))
        table.add_row(f"{rate:.1e}", f"{loss:.3f}", bar)
    show(table)
    notice(
        f"Suggested: --lr {found.suggested:.1e}, a tenth of where the loss is least (with this plan: {tuning.rate:.1e})."
    )


def show_result(tuned: Tuned) -> None:
    """Accuracy with its interval, beside the head alone, the classes it is not of, and those that are mixed up most."""
    from rich.table import Table

    say_skipped(tuned.skipped)
    if tuned.scores is None:
        notice(f"No image was left for testing ({tuned.rule}), so there is no accuracy.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("", "accuracy", "95 % interval", "mean recall", "test images"):
        table.add_column(name, justify="left" if not name else "right")
    rows = [("tuned", tuned.scores)]
    if tuned.head is not None and tuned.tuning.plan != "frozen":
        rows.insert(0, ("head on frozen features", tuned.head))
    for name, one in rows:
        low, high = one.interval
        table.add_row(
            name, f"{one.accuracy:.3f}", f"{low:.3f} to {high:.3f}", f"{one.mean_recall:.3f}", str(one.n)
        )
    show(table)
    if tuned.untested:
        notice(
            f"{len(tuned.untested)} of {len(tuned.classes)} classes have no test image, so these figures say nothing about "
            f"them: {', '.join(tuned.untested[:5])}."
        )
    confusion = tuned.scores.confusion.copy()
    for i in range(len(confusion)):
        confusion[i, i] = 0
    true, said = divmod(int(confusion.argmax()), len(confusion))
    if confusion[true, said]:
        notice(
            f"Mixed up most: {tuned.classes[true]} taken for {tuned.classes[said]}, "
            f"{confusion[true, said]} of {tuned.scores.confusion[true].sum()}. All: confusion.csv."
        )
