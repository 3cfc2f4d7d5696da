"""Fusion against closed forms and scikit-learn; whoever shuffles the batch gets the same vectors, shuffled."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as SklearnPCA
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from featurelens.errors import InvalidInput, UnknownName
from featurelens.nn import PCA, AttentionFusion, Concat, Weighted, make_fusion
from featurelens.nn.fusion import FUSIONS

DIMS = [6, 10, 4]


@pytest.fixture(scope="module")
def sources() -> list[torch.Tensor]:
    source = torch.Generator().manual_seed(0)
    return [torch.randn(80, d, generator=source) * (1 + 50 * n) + n for n, d in enumerate(DIMS)]


def units(sources: list[torch.Tensor]) -> list[np.ndarray]:
    return [F.normalize(s, dim=1).double().numpy() for s in sources]


@pytest.mark.parametrize("kind", FUSIONS)
def test_shuffling_the_batch_shuffles_the_vectors(kind: str, sources) -> None:
    fusion = make_fusion(kind, DIMS, dim=8, heads=2).fit(sources).eval()
    order = torch.randperm(80, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole, shuffled = fusion(sources), fusion([s[order] for s in sources])
        one = fusion([s[7:8] for s in sources])
    assert (shuffled - whole[order]).abs().max() <= 1e-5
    assert (one[0] - whole[7]).abs().max() <= 1e-5, "and one image alone gets the vector it has in a batch"


def test_sabotage_attention_along_the_batch_is_noticed(sources) -> None:
    """Tokens laid out [source, batch, width], as torch's own default reads them: images would mix."""
    fusion = AttentionFusion(DIMS, 8, 2).fit(sources).eval()
    order = torch.randperm(80, generator=torch.Generator().manual_seed(1))

    def wrong(given: list[torch.Tensor]) -> torch.Tensor:
        tokens = fusion.tokens(given)
        mixed = fusion.attention(fusion.norm(tokens).transpose(0, 1)).transpose(0, 1)
        return (tokens + mixed).mean(1)

    with torch.no_grad():
        alone, within = wrong([s[7:8] for s in sources])[0], wrong(sources)[7]
    assert (alone - within).abs().max() > 1e-4
    assert len(order) == 80


def test_concat_is_standardised_and_each_source_counts_alike(sources) -> None:
    found = Concat(DIMS).fit(sources)(sources).numpy()
    expected = np.hstack([StandardScaler().fit_transform(u) / u.shape[1] ** 0.5 for u in units(sources)])
    assert np.abs(found - expected).max() <= 1e-4
    shares = [(part**2).sum() for part in np.split(found, np.cumsum(DIMS)[:-1], axis=1)]
    assert np.allclose(shares, shares[0], rtol=1e-4)
    plain = np.hstack([s.numpy() for s in sources])  # sabotage: without it the loudest source is all there is
    loud = [(part**2).sum() for part in np.split(plain, np.cumsum(DIMS)[:-1], axis=1)]
    assert max(loud) > 100 * min(loud)


def test_a_number_that_never_changes_counts_nothing() -> None:
    constant = torch.ones(20, 1)
    found = Concat([1, 3]).fit([constant, torch.randn(20, 3)])([constant, torch.randn(20, 3)])
    assert bool(found.isfinite().all())
    assert bool((found[:, 0] == 0).all())


def test_pca_equals_scikit_learn(sources) -> None:
    fusion = PCA(DIMS, 5, whiten=False).fit(sources)
    joined = Concat(DIMS).fit(sources)(sources).double().numpy()
    expected = SklearnPCA(5, svd_solver="full").fit_transform(joined)
    assert np.abs(np.abs(fusion(sources).numpy()) - np.abs(expected)).max() <= 1e-4
    white = PCA(DIMS, 5, whiten=True).fit(sources)(sources)
    spread = white.std(0, unbiased=False)
    assert bool(((spread > 0.98) & (spread <= 1.0 + 1e-4)).all())
    assert fusion(sources).std(0).max() > 1.2 * fusion(sources).std(0).min(), "unwhitened directions differ"


def test_weights_are_those_of_the_cosines(sources) -> None:
    fusion = Weighted(DIMS)
    with torch.no_grad():
        fusion.logits.copy_(torch.tensor([0.3, -1.0, 2.0]))
        fused = fusion(sources)
    cosines = torch.stack([F.normalize(s, dim=1) @ F.normalize(s, dim=1).mT for s in sources])
    expected = (cosines * fusion.weights.detach()[:, None, None]).sum(0)
    assert (fused @ fused.mT - expected).abs().max() <= 1e-5
    assert abs(float(fusion.weights.detach().sum()) - 1) < 1e-6
    flat = cosines.mean(0)  # sabotage: equal weights are other ones
    assert (fused @ fused.mT - flat).abs().max() > 1e-2


def test_a_source_that_never_changes_gets_no_weight_and_no_slope(sources) -> None:
    """With a weight it would only make the others count less."""
    equal = torch.ones(len(sources[0]), 5)
    fusion = Weighted([DIMS[0], 5]).fit([sources[0], equal])
    fused = fusion([sources[0], equal])
    (fused * torch.rand_like(fused)).sum().backward()
    assert fusion.weights[1] < 1e-12
    assert fused.norm(dim=1).detach() == pytest.approx(torch.ones(len(fused)))
    assert fusion.logits.grad is not None
    assert fusion.logits.grad.abs().max() < 1e-9


def test_the_attention_weights_are_those_between_sources(sources) -> None:
    fusion = AttentionFusion(DIMS, 12, 3).fit(sources).eval()
    weights = fusion.weights(sources)
    assert weights.shape == (80, 3, 3, 3)
    assert torch.allclose(weights.sum(-1), torch.ones(80, 3, 3))


@pytest.mark.parametrize("kind", FUSIONS)
def test_half_precision_gives_the_same_vectors_but_for_its_rounding(kind: str, sources) -> None:
    fusion = make_fusion(kind, DIMS, dim=8, heads=2).fit(sources).eval()
    with torch.no_grad():
        expected = fusion(sources)
        low = fusion.half()([s.half() for s in sources])
    assert low.dtype == torch.float16
    assert (low.float() - expected).abs().max() <= 0.01 * expected.abs().max()


def test_a_fusion_is_fitted_where_its_sources_are(monkeypatch: pytest.MonkeyPatch, sources) -> None:
    """On the meta device, which like a GPU refuses to compute with tensors of the CPU (and holds no values to check)."""
    monkeypatch.setattr("featurelens.nn.fusion._examples", lambda given, dims: torch.cat(given, 1))
    fusion = Concat(DIMS).to("meta").fit([s.to("meta") for s in sources])
    assert fusion.scale.is_meta


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: make_fusion("attention", DIMS, dim=10, heads=3), "divide"),
        (lambda: Concat([2]).fit([torch.tensor([[1.0, torch.nan], [0.0, 1.0]])]), "not finite"),
        (lambda: Weighted([2]).fit([torch.rand(1, 2)]), "1 examples are all alike"),
        (lambda: PCA([2, 3], 2, whiten=True).fit([torch.ones(9, 2), torch.ones(9, 3)]), "all alike"),
        (lambda: PCA([2, 2], 5), "between 1 and 4"),
        (lambda: PCA([4, 4], 5).fit([torch.rand(5, 4), torch.rand(5, 4)]), "too few"),
        (lambda: Concat([]), "at least one source"),
        (lambda: Concat([2, 3])([torch.rand(4, 2), torch.rand(5, 3)]), "same number of rows"),
        (lambda: Concat([2, 3])([torch.rand(4, 3), torch.rand(4, 2)]), r"\[2, 3\] numbers"),
    ],
)
def test_what_does_not_fit_is_told(call, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        call()
    with pytest.raises(UnknownName, match="concat"):
        make_fusion("concatenate", DIMS)
