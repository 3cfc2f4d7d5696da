"""Fine-tuning from a folder to a backbone: what is learnt, what is kept, what goes wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression

from featurelens.adapt.card import model_card
from featurelens.adapt.find_rate import find_rate
from featurelens.adapt.finetune import finetune, rate_course
from featurelens.adapt.memory import OutOfMemory, enough_memory, smaller_batch
from featurelens.adapt.mishaps import TrainingDiverged
from featurelens.adapt.tuning import PLANS, Tuning
from featurelens.backbone import load_backbone
from featurelens.backbone.to_onnx import Parity
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.cli.tuning_run import show_result
from featurelens.errors import BackboneError, InvalidInput
from fixtures.learning import draw_classes, network

QUICK = Tuning(epochs=3, head_epochs=3, batch_size=8, unfreeze_every=1, rank=2)


def same(a: TorchBackbone, b: TorchBackbone) -> bool:
    pairs = zip(a.module.state_dict().values(), b.module.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("plan", PLANS)
def test_every_plan_learns_and_keeps_the_given_network_as_it_was(
    plan: str, small: TorchBackbone, photos: Path
) -> None:
    before = {k: v.clone() for k, v in small.module.state_dict().items()}
    tuned = finetune(photos, small, replace(QUICK, plan=plan))
    assert all(torch.equal(v, before[k]) for k, v in small.module.state_dict().items())
    assert tuned.classes == ("leaf", "sand", "sky")
    assert tuned.scores is not None
    assert tuned.scores.n == len(tuned.test) == 6
    assert tuned.scores.accuracy > 0.5
    assert len(tuned.history) == 3
    assert all(one.frozen_checked > 0 for one in tuned.history if plan != "frozen")
    moved = [
        k
        for k, v in tuned.backbone.module.state_dict().items()
        if k in before and not torch.equal(v, before[k])
    ]
    heads = {"fc.weight", "fc.bias"}
    assert set(moved) <= heads if plan == "frozen" else set(moved) - heads
    chances = tuned.predict([photos / name for name in tuned.test])
    wanted = torch.from_numpy(tuned.logits).softmax(1).numpy()
    assert np.allclose(chances, wanted, atol=1e-4), "the network itself says what was counted"


def test_the_frozen_head_is_as_good_as_scikit_learns(small: TorchBackbone, photos: Path) -> None:
    tuned = finetune(photos, small, replace(QUICK, epochs=60, weight_decay=0.0))
    taught, asked = (
        small.embed(np.stack([_fitted(photos / n, small) for n in ids])) for ids in (tuned.teach, tuned.test)
    )
    centre, spread = taught.mean(0), np.sqrt(taught.var(0).mean())
    labels = [name.partition("/")[0] for name in tuned.teach]
    peer = LogisticRegression(max_iter=500).fit((taught - centre) / spread, labels)
    theirs = peer.predict((asked - centre) / spread)
    assert tuned.scores is not None
    ours = np.array(tuned.classes)[tuned.logits.argmax(1)]
    assert (ours == theirs).mean() >= 5 / 6


@pytest.mark.parametrize("change", [{"lr": 1e-6}, {"weight_decay": 20.0}])
def test_rate_and_decay_reach_the_frozen_head(
    change: dict[str, float], small: TorchBackbone, photos: Path
) -> None:
    """A tiny rate and a strong decay both leave smaller weights than the defaults do."""
    sizes = []
    for some in ({}, change):
        tuned = finetune(photos, small, replace(QUICK, epochs=20, **some))
        sizes.append(float(tuned.backbone.module.state_dict()["fc.weight"].norm()))
    assert sizes[1] < 0.9 * sizes[0]


def _fitted(path: Path, net: TorchBackbone) -> np.ndarray:
    from featurelens.images import decode

    return decode(path, fit=net.spec.fit).pixels


def test_accumulated_batches_teach_as_one_large_batch_does(small: TorchBackbone, photos: Path) -> None:
    options = replace(
        QUICK, plan="last", stages=1, head_epochs=0, epochs=1, area=1.0, flip=0.0, clip=0.0, warmup=0.0
    )
    large = finetune(photos, small, replace(options, batch_size=12))
    several = finetune(photos, small, replace(options, batch_size=4, accumulate=3))
    other = finetune(photos, small, replace(options, batch_size=4))
    # Adam turns the rounding of a gradient near zero into a step, so that a few weights lie apart
    assert apart(large.backbone, several.backbone) < 0.01 * apart(other.backbone, several.backbone)


def apart(a: TorchBackbone, b: TorchBackbone) -> float:
    """The mean distance of weights and statistics."""
    pairs = zip(a.module.state_dict().values(), b.module.state_dict().values(), strict=True)
    gaps = torch.cat([(x.float() - y.float()).abs().flatten() for x, y in pairs])
    return float(gaps.mean())


@pytest.mark.parametrize(("plan", "stops"), [("frozen", (2, 5)), ("last", (14, 17)), ("lora", (14, 17))])
def test_a_stopped_run_goes_on_to_the_same_weights(
    plan: str, stops: tuple[int, ...], small: TorchBackbone, photos: Path, tmp_path: Path
) -> None:
    """12 steps of the head and, unless it is all, 12 of the network."""
    tuning = replace(QUICK, plan=plan, ema=0.9, mixup=0.2, batch_norm="train")
    whole = finetune(photos, small, tuning, out=tmp_path / "whole")
    for stop_at in stops:
        left = iter([True] * stop_at + [False] * 99)
        with pytest.raises(KeyboardInterrupt):
            finetune(photos, small, tuning, out=tmp_path / "stopped", keep_going=lambda left=left: next(left))
        assert (tmp_path / "stopped" / "checkpoint.pt").exists()
    again = finetune(photos, small, tuning, out=tmp_path / "stopped")
    assert same(again.backbone, whole.backbone)
    assert [replace(e, seconds=0) for e in again.history] == [replace(e, seconds=0) for e in whole.history]
    assert not same(finetune(photos, small, replace(tuning, seed=1)).backbone, whole.backbone), (
        "a seed is seen"
    )


RUN = """
import sys
from fixtures.learning import network
from featurelens.adapt.finetune import finetune
from featurelens.adapt.tuning import Tuning
tuning = Tuning(plan="last", epochs=6, head_epochs=2, batch_size=4)
finetune(sys.argv[1], network(), tuning, out=sys.argv[2], save_seconds=0.0, on_step=lambda *a: print(a[0], flush=True))
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(photos: Path, tmp_path: Path) -> None:
    """SIGKILL, twice, at moments that the run does not choose; the checkpoint is written after every step."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUN, str(photos)]
    for steps in (7, 21):
        with subprocess.Popen(
            [*command, str(tmp_path / "killed")], stdout=subprocess.PIPE, env=environment
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                if int(line) >= steps:
                    time.sleep(0.003)
                    child.send_signal(signal.SIGKILL)
                    break
        assert child.returncode == -signal.SIGKILL
    for out in ("killed", "whole"):
        subprocess.run([*command, str(tmp_path / out)], check=True, capture_output=True, env=environment)
    killed, whole = (
        torch.load(tmp_path / out / "checkpoint.pt", weights_only=True) for out in ("killed", "whole")
    )
    assert killed["at"] == whole["at"] == [6, 0]
    assert all(torch.equal(v, killed["module"][k]) for k, v in whole["module"].items())


def test_other_settings_do_not_go_on_with_a_checkpoint(
    small: TorchBackbone, photos: Path, tmp_path: Path
) -> None:
    finetune(photos, small, QUICK, out=tmp_path)
    with pytest.raises(InvalidInput, match="run with weight_decay"):
        finetune(photos, small, replace(QUICK, weight_decay=0.3), out=tmp_path)
    last = replace(QUICK, plan="last")
    finetune(photos, small, last, out=tmp_path / "last")
    with pytest.raises(InvalidInput, match="run with head_epochs"):  # and not with the digest of its head
        finetune(photos, small, replace(last, head_epochs=last.head_epochs + 1), out=tmp_path / "last")
    (tmp_path / "checkpoint.pt").write_bytes(b"PK nothing")
    with pytest.raises(BackboneError, match="Delete it"):
        finetune(photos, small, QUICK, out=tmp_path)


def test_the_result_is_a_backbone_again(photos: Path, tmp_path: Path) -> None:
    """Both engines load it, give the same vectors, and the class scores and names come with it."""
    tuned = finetune(photos, network(), replace(QUICK, plan="full"), out=tmp_path)
    bundle = tuned.save(tmp_path)
    pixels = np.stack([_fitted(photos / name, tuned.backbone) for name in tuned.test])
    wanted = tuned.backbone.embed(pixels)
    for engine in ("openvino", "torch"):
        found = load_backbone(f"bundle:{bundle}", engine=engine, device="cpu")
        vectors = found.embed(pixels)
        cosine = (vectors * wanted).sum(1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(wanted, axis=1)
        assert cosine.min() > 0.9999, engine
    assert isinstance(found, TorchBackbone)
    assert found.spec.weights == tuned.backbone.spec.weights
    with torch.inference_mode():
        logits = found.logits(found.normalize(found.prepare(pixels))).numpy()
    assert np.allclose(logits, tuned.logits, atol=1e-4)
    from featurelens.see.class_names import class_by_name

    assert class_by_name(found, "sand") == 1
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["scores"]["accuracy"] == tuned.scores.accuracy
    assert (tmp_path / "confusion.csv").read_text().splitlines()[0] == "true \\ said,leaf,sand,sky"
    assert "95 %" in (tmp_path / "MODEL_CARD.md").read_text()
    assert (tmp_path / "curves.svg").read_text().startswith("<svg")
    again = finetune(photos, found, replace(QUICK, plan="last"))
    assert again.classes == tuned.classes


def test_files_that_cannot_be_read_are_listed_and_stop_nothing(tmp_path: Path, small: TorchBackbone) -> None:
    folder = draw_classes(tmp_path / "photos", each=4)
    (folder / "sky" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    (folder / "notes.txt").write_text("no picture")
    tuned = finetune(folder, small, replace(QUICK, plan="last"))
    assert {name for name, _ in tuned.skipped} == {"sky/broken.jpg", "notes.txt"}
    assert len(tuned.teach) + len(tuned.test) == 12


def test_a_class_whose_images_cannot_be_read_is_no_class_and_none_at_all_is_told(
    tmp_path: Path, small: TorchBackbone
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(b"\xff\xd8 no")
    with pytest.raises(InvalidInput, match="None of 2 files"):
        finetune(tmp_path, small, QUICK)
    Image.new("RGB", (40, 40)).save(tmp_path / "a" / "2.png")
    with pytest.raises(InvalidInput, match="all have the label 'a'"):
        finetune(tmp_path, small, QUICK)


def test_classes_without_a_test_image_are_told(
    tmp_path: Path, small: TorchBackbone, capsys: pytest.CaptureFixture[str]
) -> None:
    """A class with one image teaches with it; where that is so of all of them there is no accuracy at all."""
    folder = draw_classes(tmp_path / "photos", each=5)
    (folder / "sky").rename(folder / "sky's")
    for image in sorted((folder / "sky's").iterdir())[1:]:
        image.unlink()
    tuned = finetune(folder, small, QUICK)
    assert tuned.untested == ("sky's",)
    card = model_card(tuned, Parity(1.0, 0.0))
    assert "Nothing is known of sky's: no test image." in card
    show_result(tuned)
    assert "1 of 3 classes have no test image" in capsys.readouterr().err
    alone = finetune(
        [folder / "leaf" / "00.png", folder / "sand" / "00.png"], small, QUICK, labels=["'", "b"]
    )
    assert alone.scores is None
    card = model_card(alone, Parity(1.0, 0.0))
    assert "took no part" not in card, "there are no figures to doubt"
    assert "--target ''\"'\"''" in card, "the class ' as a shell takes it"
    show_result(alone)
    told = capsys.readouterr().err
    assert "split none" not in told
    assert "never its last image" in " ".join(told.split())


def test_an_empty_folder_is_told(tmp_path: Path, small: TorchBackbone) -> None:
    with pytest.raises(InvalidInput, match=f"There is no image in {tmp_path}"):
        finetune(tmp_path, small, QUICK)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(
    small: TorchBackbone, photos: Path, tmp_path: Path
) -> None:
    tuning = replace(QUICK, plan="full", lr=1e25, warmup=0.0, clip=0.0, head_epochs=1)
    with pytest.raises(TrainingDiverged, match=r"epoch \d+, batch \d+ .*png.*--lr"):
        finetune(photos, small, tuning, out=tmp_path, save_seconds=0.0)
    kept = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert all(v.isfinite().all() for v in kept["module"].values())


def test_too_little_memory_suggests_a_batch_that_learns_the_same() -> None:
    with (
        pytest.raises(OutOfMemory, match="--batch-size 16 --accumulate 2"),
        enough_memory(32, smaller_batch(32, 1)),
    ):
        torch.empty(1 << 50)
    with pytest.raises(OutOfMemory, match="Even one image"), enough_memory(1, smaller_batch(1, 4)):
        raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="shape"), enough_memory(1, smaller_batch(1, 4)):
        raise RuntimeError("shape")


def test_a_command_that_cannot_accumulate_is_not_told_to() -> None:
    assert smaller_batch(32, None).startswith("Give --batch-size 16: ")
    assert "accumulate" not in smaller_batch(32, None) + smaller_batch(2, None)
    assert "smaller network" in smaller_batch(2, None)


def test_a_report_without_test_images_is_refused_before_any_work(tmp_path: Path) -> None:
    words = ["tune", str(tmp_path), "--split", "none", "--report"]
    command = [Path(sys.executable).with_name("featurelens"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "--split" in done.stderr


def test_early_stopping_keeps_the_best_epoch(small: TorchBackbone, photos: Path) -> None:
    tuned = finetune(photos, small, replace(QUICK, epochs=40, patience=2, lr=0.05))
    assert len(tuned.history) < 40
    assert tuned.scores is not None
    assert tuned.scores.accuracy == pytest.approx(max(one.accuracy or 0 for one in tuned.history))


def test_the_rate_test_finds_a_rate_and_changes_nothing(small: TorchBackbone, photos: Path) -> None:
    course = rate_course(photos, small, replace(QUICK, plan="last"))
    before = {k: v.clone() for k, v in course.module.state_dict().items()}
    found = find_rate(course, replace(QUICK, plan="last"), steps=30)
    assert 1e-6 < found.suggested < 0.5
    assert len(found.rates) == len(found.losses)
    assert all(torch.equal(v, before[k]) for k, v in course.module.state_dict().items())

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_rate(course, replace(QUICK, plan="last"), steps=30, on_step=stop)
    assert all(torch.equal(v, before[k]) for k, v in course.module.state_dict().items())
    assert not any(part.training for part in course.module.modules())


def test_a_backbone_that_cannot_learn_is_told(photos: Path) -> None:
    with pytest.raises(InvalidInput, match="engine='torch'"):
        finetune(photos, load_backbone("classic:colour"), QUICK)


def test_other_images_under_the_same_names_do_not_go_on_with_a_checkpoint(
    small: TorchBackbone, photos: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "photos"
    shutil.copytree(photos, mine)
    finetune(mine, small, QUICK, out=tmp_path / "run")
    first, second, *_ = sorted(mine.rglob("*.png"))
    first.write_bytes(second.read_bytes())
    with pytest.raises(InvalidInput, match="images"):
        finetune(mine, small, QUICK, out=tmp_path / "run")
