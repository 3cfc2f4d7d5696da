"""What learns at which rate: the groups against timm's own, and what is frozen stays frozen."""

from __future__ import annotations

import math

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import nn

from featurelens.adapt.classifier import with_classes
from featurelens.adapt.finetune import dry_run, plan_for
from featurelens.adapt.plan import apply_plan, make_plan
from featurelens.adapt.stages import Stage, stages
from featurelens.adapt.training import make_optimizer
from featurelens.adapt.tuning import PLANS, Tuning
from featurelens.adapt.unchanged import FrozenChanged, check_unchanged, fingerprints
from featurelens.errors import BackboneError, InvalidInput
from fixtures.learning import network

NETWORKS = ("test_resnet", "test_efficientnet", "test_vit", "test_convnext", "test_byobnet")
SIZES = {"test_vit": 160}


def of(name: str, **tuning):
    settings = Tuning(**tuning)
    made = with_classes(network(name, SIZES.get(name, 32)), 3)
    return made, plan_for(made, settings), settings


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("plan", PLANS)
def test_every_parameter_is_in_exactly_one_group(name: str, plan: str) -> None:
    made, found, _ = of(name, plan=plan)
    listed = [one for group in found.groups for one in group.names]
    assert sorted(listed) == sorted(dict(made.module.named_parameters()))
    assert sum(g.count for g in found.groups) == sum(p.numel() for p in made.module.parameters())


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit", "test_byobnet"])
def test_rates_and_decays_by_layer_equal_timms(name: str) -> None:
    made, found, tuning = of(name, plan="full", decay_by="layer", decay=0.6, lr=1e-3, weight_decay=0.1)
    undecayed = getattr(made.module, "no_weight_decay", set)()
    wanted = param_groups_layer_decay(made.module, 0.1, no_weight_decay_list=undecayed, layer_decay=0.6)
    names = {id(p): n for n, p in made.module.named_parameters()}
    theirs = {names[id(p)]: (1e-3 * g["lr_scale"], g["weight_decay"]) for g in wanted for p in g["params"]}
    optimizer = make_optimizer(found.param_groups(made.module), tuning)
    ours = {names[id(p)]: (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    assert ours.keys() == theirs.keys()
    for one, (rate, decay) in theirs.items():
        assert math.isclose(ours[one][0], rate, rel_tol=1e-9), one
        assert ours[one][1] == decay, one


def test_last_stages_learn_and_lower_ones_do_not() -> None:
    _, found, _ = of("test_resnet", plan="last", stages=2, lr=1e-3, decay=0.5)
    rates = {g.stage: g.lr for g in found.groups}
    assert list(rates.values())[-3:] == [0.25e-3, 0.5e-3, 1e-3]
    assert set(list(rates.values())[:-3]) == {0.0}


def test_gradual_unfreezing_goes_down_from_the_head() -> None:
    made, found, _ = of("test_resnet", plan="gradual", unfreeze_every=3)
    sizes = [len(found.learning(epoch)) for epoch in range(20)]
    assert sizes[0] == sizes[2] == 2  # weight and bias of the head
    assert sizes[3] > sizes[2]
    assert sizes == sorted(sizes)
    assert sizes[-1] == len(list(made.module.parameters()))


def test_frozen_batch_norm_stays_in_eval_and_a_sabotage_is_noticed() -> None:
    made, found, _ = of("test_resnet", plan="last", stages=1, batch_norm="train")
    apply_plan(found, made.module, 0, batch_norm="train")
    norms = {n: m for n, m in made.module.named_modules() if isinstance(m, nn.BatchNorm2d)}
    frozen = [n for n, m in norms.items() if not any(p.requires_grad for p in m.parameters())]
    assert frozen
    assert len(frozen) < len(norms)
    assert all(norms[n].training == (n not in frozen) for n in norms)
    before = fingerprints(made.module)
    made.module(torch.randn(4, 3, 32, 32))
    assert check_unchanged(before, made.module) == len(before) > 0
    norms[frozen[0]].train()  # sabotage: one frozen norm follows the batch
    made.module(torch.randn(4, 3, 32, 32))
    norms[frozen[0]].eval()
    with pytest.raises(FrozenChanged, match=frozen[0]):
        check_unchanged(before, made.module)


def test_the_least_change_of_a_frozen_weight_is_noticed() -> None:
    made, found, _ = of("test_resnet", plan="frozen")
    apply_plan(found, made.module, 0)
    before = fingerprints(made.module)
    weight = next(iter(made.module.parameters())).data[0, 0, 0]
    weight[0] = torch.nextafter(weight[0], torch.tensor(math.inf))
    with pytest.raises(FrozenChanged):
        check_unchanged(before, made.module)


def test_batch_norm_in_learning_stages_is_frozen_by_default() -> None:
    made, found, _ = of("test_resnet", plan="full")
    apply_plan(found, made.module, 0)
    norms = [m for m in made.module.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not any(m.training for m in norms)
    assert all(m.weight.requires_grad for m in norms)
    assert {g.batch_norm for g in found.groups} <= {"", "eval"}


def test_a_parameter_that_no_stage_knows_is_an_error() -> None:
    made = with_classes(network(), 3)
    made.module.stray = nn.Parameter(torch.zeros(2))
    with pytest.raises(BackboneError, match="stray"):
        stages(made.module, made.names)
    rest = [Stage("all", ("weight",)), Stage("head", ("bias",)), Stage("head", ("bias",))]
    with pytest.raises(BackboneError, match="two stages"):
        make_plan(nn.Linear(2, 2), rest, Tuning())


def test_more_stages_than_there_are_is_told() -> None:
    with pytest.raises(InvalidInput, match="at most"):
        dry_run(network(), 3, Tuning(plan="last", stages=40))


@pytest.mark.parametrize("name", ["torchvision:mobilenet_v2", "torchvision:resnet18", "torchvision:vit_b_16"])
def test_torchvisions_networks_have_stages_by_their_structure(name: str) -> None:
    import torchvision

    with torch.device("meta"):
        module = torchvision.models.get_model(name.partition(":")[2])
    head = {"mobilenet_v2": "classifier.1", "resnet18": "fc", "vit_b_16": "heads.head"}[
        name.partition(":")[2]
    ]
    found = stages(module, [head])
    names = [one for stage in found for one in stage.parameters]
    assert sorted(names) == sorted(dict(module.named_parameters()))
    assert len(found) >= 6
    sizes = {p: module.get_parameter(p).numel() for p in names}
    largest = max(sum(sizes[p] for p in stage.parameters) for stage in found)
    assert largest < 0.8 * sum(sizes.values())


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"plan": "frosen"}, "frozen"), ({"epochs": 0}, "at least 1"), ({"lr": -1.0}, "above 0"), ({"decay": 0.0}, "above 0"),
        ({"warmup": 2.0}, "share"), ({"cutmix": 1.0}, "mixup"), ({"ema": 1.0}, "below 1"), ({"lr": math.nan}, "above 0"),
        ({"patience": 2, "split": "none"}, "keeps no test image"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_told(setting: dict, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Tuning(**setting)


@pytest.mark.parametrize(
    "name", ["mobilenetv3_small_050", "lcnet_035", "swin_tiny_patch4_window7_224", "densenet121"]
)
def test_what_follows_the_last_stage_that_timm_names_learns_with_it(name: str) -> None:
    module = timm.create_model(name, num_classes=3)
    head = tuple(n for n, _ in module.get_classifier().named_parameters(prefix=_place(module)))
    found = stages(module, head)
    assert sorted(n for stage in found for n in stage.parameters) == sorted(dict(module.named_parameters()))
    assert len(found) > 4


def _place(module: nn.Module) -> str:
    (place,) = (n for n, part in module.named_modules() if part is module.get_classifier())  # pyright: ignore
    return place


@pytest.mark.parametrize("name", ["dla34", "crossvit_9_240"])
def test_a_head_that_is_no_layer_on_the_embedding_is_refused_in_words(name: str) -> None:
    """A convolution (DLA) and a head per branch (CrossViT)."""
    with pytest.raises(BackboneError, match="not made from its embedding by one layer"):
        with_classes(network(name, {"dla34": 32}.get(name, 240)), 3)
