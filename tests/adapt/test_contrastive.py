"""Pretraining: the loop, its checkpoints, its monitor; a network of a few thousand weights."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from featurelens.adapt import checkpoints, contrastive
from featurelens.adapt.contrastive import pretrain
from featurelens.adapt.learner import Learner
from featurelens.adapt.monitor import CollapsedRun, measure
from featurelens.adapt.pairs import ProceduralPairs
from featurelens.adapt.pretrained import pretrained
from featurelens.adapt.recipe import EMBEDDED, Recipe, make_recipe, read_recipe
from featurelens.adapt.recipe_values import OBJECTIVES
from featurelens.adapt.sources import from_folder, procedural
from featurelens.adapt.start import start_from
from featurelens.errors import BackboneError, InvalidInput

TINY = Recipe(
    options={"channels": [8, 8, 16, 16]}, phases=((5, 32, 16), (2, 40, 8)), projector=(32, 16), warmup=2,
    precision="fp32", pool=64, pool_size=40, refresh=32, lr=1e-3, ema=0.9,
)  # fmt: skip


def silent(text: str) -> None:
    """Nothing is said in tests."""


@cache
def sources(pool: int, size: int, seed: int):
    """Drawing takes longer than training here: equal recipes share their pairs."""
    return procedural(replace(TINY, pool=pool, pool_size=size, seed=seed))


def train(recipe: Recipe, out: Path, **options):
    given = sources(recipe.pool, recipe.pool_size, recipe.seed)
    return pretrain(recipe, given.pairs, given.held, out, say=silent, **options)


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_trains(objective: str, tmp_path: Path) -> None:
    recipe = replace(TINY, objective=objective, local_views=1, local_size=24)
    torch.manual_seed(recipe.seed)
    before = Learner(recipe)
    after = train(recipe, tmp_path)
    assert all(p.isfinite().all() for p in after.parameters())
    assert not same(before.encoder, after.encoder)


def test_no_step_keeps_what_is_started_from(tmp_path: Path) -> None:
    torch.manual_seed(TINY.seed)
    begun = Learner(TINY)
    none = TINY.cut_to(0)
    assert same(train(none, tmp_path), begun)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["step"] == 0
    assert make_recipe(state["recipe"]).steps == 0, "the bundle is made by this recipe"
    assert not same(train(TINY, tmp_path), begun), "the same folder goes on with steps"
    trained = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(InvalidInput, match="another folder"):
        train(none, tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == trained, "what was trained is not lost"


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = train(TINY, tmp_path / "whole")
    left = iter([True] * 2 + [False] * 9)
    train(TINY, tmp_path / "stopped", keep_going=lambda: next(left))
    stopped_at = torch.load(tmp_path / "stopped" / "checkpoint.pt", weights_only=True)["step"]
    assert 1 <= stopped_at < TINY.steps
    assert same(train(TINY, tmp_path / "stopped"), whole)
    assert not same(train(replace(TINY, seed=1), tmp_path / "other"), whole), "the comparison must see a seed"


def test_a_stopped_run_of_a_network_with_dropout_ends_the_same_and_leaves_chance_alone(
    tmp_path: Path,
) -> None:
    """What dropout and stochastic depth leave out depends on seed and step, not on what was drawn before."""
    options = TINY.options | {"drop_rate": 0.4, "drop_path_rate": 0.4}
    recipe = replace(TINY, options=options, phases=((3, 32, 8),))
    torch.manual_seed(7)
    expected = torch.rand(4)
    torch.manual_seed(7)
    whole = train(recipe, tmp_path / "whole")
    assert torch.equal(torch.rand(4), expected), "torch's random state is the caller's"
    assert not whole.training, "what comes back is to be used: no dropout"
    left = iter([False] * 9)
    train(recipe, tmp_path / "stopped", keep_going=lambda: next(left))
    assert torch.load(tmp_path / "stopped" / "checkpoint.pt", weights_only=True)["step"] == 1
    torch.manual_seed(8)
    assert same(train(recipe, tmp_path / "stopped"), whole)


def test_steps_run_with_memory_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And with memory given back after each step the weights are the same."""
    kept: list[str] = []
    seen: list[list[str]] = []

    @contextmanager
    def instead(device: str) -> Iterator[bool]:
        kept.append(device)
        yield False
        kept.clear()

    recipe = replace(TINY, phases=((2, 32, 4),))
    whole = train(recipe, tmp_path / "kept")
    monkeypatch.setattr(contrastive, "kept_memory", instead)
    other = train(recipe, tmp_path / "left", on_progress=lambda done, total: seen.append(list(kept)))
    assert seen == [["cpu"], ["cpu"]]
    assert not kept
    assert same(other, whole)


def test_another_recipe_does_not_go_on_with_a_checkpoint(tmp_path: Path) -> None:
    train(replace(TINY, phases=((1, 32, 4),)), tmp_path)
    with pytest.raises(InvalidInput, match="temperature"):
        train(replace(TINY, temperature=0.5), tmp_path)


def test_other_photos_do_not_go_on_with_a_checkpoint(tmp_path: Path) -> None:
    from fixtures.scenes import saved, scene

    recipe = replace(TINY, phases=((2, 32, 4),))
    (photos := tmp_path / "photos").mkdir()
    for n in range(20):
        (photos / f"{n}.jpg").write_bytes(saved(scene(n, 48, 48), "JPEG"))

    def go_on(*, leave: int = 9) -> None:
        given, left = from_folder(photos, recipe, say=silent), iter([True] * leave + [False] * 9)
        pretrain(
            recipe, given.pairs, given.held, tmp_path / "run", images=given.digest, say=silent,
            keep_going=lambda: next(left),
        )  # fmt: skip

    go_on(leave=0)
    file = tmp_path / "run" / "checkpoint.pt"
    before = file.read_bytes()
    (photos / "7.jpg").write_bytes(saved(scene(99, 48, 48), "JPEG"))
    with pytest.raises(InvalidInput, match="other images"):
        go_on()
    assert file.read_bytes() == before
    (photos / "7.jpg").write_bytes(saved(scene(7, 48, 48), "JPEG"))
    go_on()
    assert torch.load(file, weights_only=True)["step"] == 2


def test_the_checkpoint_of_another_command_is_told_by_name(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, "tune", {"epochs": 1}, {"module": {}, "average": None})
    with pytest.raises(InvalidInput, match="written by featurelens tune; featurelens pretrain cannot"):
        train(TINY, tmp_path)
    with pytest.raises(BackboneError, match="no checkpoint of featurelens pretrain"):
        pretrained(tmp_path / "checkpoint.pt")
    with pytest.raises(BackboneError, match="no checkpoint of featurelens pretrain"):
        start_from(str(tmp_path / "checkpoint.pt"), TINY).prepare(Learner(TINY))
    torch.save({"recipe": TINY.to_json(), "step": 1}, tmp_path / "checkpoint.pt")  # as it was before kinds
    for kind in ("tune", "pretrain"):
        with pytest.raises(InvalidInput, match="earlier version"):
            checkpoints.load(tmp_path, kind, {})
    torch.save([1, 2], tmp_path / "checkpoint.pt")
    with pytest.raises(BackboneError, match="holds a list"):
        checkpoints.load(tmp_path, "tune", {})


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"PK nothing")
    with pytest.raises(BackboneError, match=r"checkpoint\.pt"):
        train(TINY, tmp_path)


def test_a_collapsed_run_is_stopped() -> None:
    point = torch.ones(64, 8) + 1e-4 * torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    with pytest.raises(CollapsedRun, match="collapsed"):
        measure(point, point).check()
    spread = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    measure(spread, spread).check()


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    with pytest.raises(CollapsedRun, match="lower lr"):
        train(replace(TINY, lr=1e30), tmp_path, save_every=1000)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_pairs_depend_on_step_and_seed_only() -> None:
    """A pool that was renewed on the way equals one that begins there: what makes a run resumable."""
    options = {"pool": 128, "views": 2, "size": 24, "refresh": 32, "seed": 3}
    walked = ProceduralPairs(**options)
    for step in range(9):
        source = torch.Generator().manual_seed(step)
        met = walked.at(step, 6, source)
    fresh = ProceduralPairs(**options, step=8).at(8, 6, torch.Generator().manual_seed(8))
    assert all(torch.equal(a, b) for a, b in zip(met, fresh, strict=True))


def test_a_folder_of_images_is_a_source_too(tmp_path: Path) -> None:
    from fixtures.scenes import saved, scene

    for n in range(24):
        (tmp_path / f"{n}.jpg").write_bytes(saved(scene(n, 48, 48), "JPEG"))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no")
    said: list[str] = []
    given = from_folder(tmp_path, TINY, say=said.append)
    assert any("broken.jpg" in line for line in said)
    first, second = given.pairs(0).at(0, 5, torch.Generator().manual_seed(0))
    assert first.shape == second.shape == (5, 3, 40, 40)
    (few := tmp_path / "few").mkdir()
    with pytest.raises(InvalidInput, match="at least 20"):
        from_folder(few, TINY, say=silent)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('objectiv = "simclr"', "objectiv"),
        ('objective = "simclear"', "simclear"),
        ('precision = "fp8"', "fp8"),
        ("phases = [[0, 64, 8]]", "phase"),
        ("= 3", "TOML"),
        ("lr = -0.1", r"recipe's lr is -0.1; it must be a number above 0"),
        ("lr = nan", "lr is nan"),
        ('lr = "fast"', "lr is 'fast'"),
        ("weight_decay = -1", "weight_decay is -1"),
        ("temperature = 0", "temperature is 0"),
        ("warmup = 2.5", "warmup is 2.5; it must be a whole number"),
        ("decay = 1.5", "decay is 1.5; it must be a share"),
        ("ema = -0.1", "ema is -0.1"),
        ("projector = []", r"projector is \[\]"),
        ("projector = 128", "projector is 128"),
        ("phases = [64, 64, 8]", r"phases is \[64, 64, 8\]; .*steps, pixels, pairs"),
        ("phases = [[5, 64, 1]]", "pairs >= 2"),
        ("phases = [[5.0, 64, 8]]", "phases is"),
        ("local_views = -1", "local_views is -1"),
        ("pool = 0", "pool is 0"),
        ("views = true", "views is True"),
        ("chunk = 0", "chunk is 0"),
        ("refresh = -1", "refresh is -1"),
        ("compile = 1", "compile is 1; it must be true or false"),
        ("mixture = { leafs = 3 }", "mixture is .*leaves"),
        ("seed = -1", "seed is -1"),
        ("std = [1.0, 1.0, 0.0]", "std is .*three numbers above 0"),
        ("options = { num_classes = 3 }", "options is"),
        ("augment = 3", "augment is 3"),
        ("augment = { gray = 0.2 }", r"no 'augment\.gray'.*mean 'augment\.grey'"),
        ("augment = { area = [0.9, 0.2] }", r"augment\.area is \[0.9, 0.2\]"),
        ("augment = { area = 0.2 }", r"augment\.area is 0.2"),
        ("augment = { flip = 2 }", r"augment\.flip is 2"),
    ],
)
def test_a_wrong_recipe_is_told(line: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(line)
    with pytest.raises(InvalidInput, match=named):
        read_recipe(tmp_path / "recipe.toml")


def test_a_recipe_made_in_python_is_checked_too_and_options_of_no_network_are_told() -> None:
    with pytest.raises(InvalidInput, match="ema is 2"):
        replace(TINY, ema=2)
    for options in ({"chanels": [8, 8, 8, 8]}, {"channels": "wide"}):
        with pytest.raises(InvalidInput, match="'resnet18' cannot be made with options"):
            Learner(replace(TINY, options=options))


def test_the_shipped_recipe_is_sound() -> None:
    recipe = read_recipe(EMBEDDED)
    assert make_recipe(recipe.to_json()) == recipe


@pytest.mark.slow
def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        "options = { channels = [8, 8, 16, 16] }\nphases = [[90, 32, 16]]\nprojector = [32, 16]\n"
        'precision = "fp32"\npool = 64\npool_size = 40\nrefresh = 0\n'
    )
    command = [Path(sys.executable).with_name("featurelens"), "pretrain", recipe, "--out", tmp_path / "run"]
    command += ["--threads", "1", "--save-every", "20"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "run" / "checkpoint.pt").exists():
        assert child.poll() is None, child.communicate()[1]
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    stderr = child.communicate(timeout=60)[1]
    assert child.returncode == 130, stderr
    assert "run the same command again" in stderr
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "going on from step" in again.stderr
