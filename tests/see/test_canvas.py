"""Canvases and spectra: closed forms of what pictures start from, and what MACO never changes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from featurelens.errors import InvalidInput, UnknownName

torch = pytest.importorskip("torch")

from featurelens.see import canvas as canvases  # noqa: E402
from featurelens.see.canvas import CANVASES, fourier, maco, pixel  # noqa: E402
from featurelens.see.spectrum import frequencies, natural_spectrum, spectrum_from, spectrum_of  # noqa: E402
from featurelens.see.streams import stream  # noqa: E402
from fixtures.drawn import drawing  # noqa: E402

SIZE = (64, 48)


def independent(spectrum, x01: torch.Tensor) -> torch.Tensor:
    return spectrum.from_rgb(x01.double())


def slope(planes: torch.Tensor, size: tuple[int, int]) -> float:
    """The exponent of power over frequency, by least squares in the logarithm."""
    power = torch.fft.rfft2(planes).abs().square().mean((0, 1)).numpy()
    f = frequencies(size)
    inside = (f > 2 / min(size)) & (f < 0.4)
    return float(np.polyfit(np.log(f[inside]), np.log(power[inside]), 1)[0])


def test_fourier_pictures_start_with_the_spectrum_of_photos_and_pixels_with_a_flat_one() -> None:
    spectrum = natural_spectrum(SIZE)
    for kind, expected in ((fourier, -2.0), (pixel, 0.0)):
        board = kind(spectrum)
        starts = torch.stack([board.start(stream(i), 1.0) for i in range(40)])
        assert slope(independent(spectrum, board.draw(starts)), SIZE) == pytest.approx(expected, abs=0.08)


def test_colours_start_as_correlated_as_in_photos() -> None:
    spectrum = natural_spectrum(SIZE)
    board = pixel(spectrum)
    x = board.draw(torch.stack([board.start(stream(i), 1.0) for i in range(20)])).double().logit()
    wanted = (spectrum.colours @ spectrum.colours.T).double().numpy()
    found = np.cov(x.permute(1, 0, 2, 3).flatten(1).numpy())
    np.testing.assert_allclose(found / found[0, 0], wanted / wanted[0, 0], atol=0.03)
    assert found[0, 1] / found[0, 0] > 0.7  # red and green go together; without the mix it would be 0


def test_a_drawn_picture_is_the_sum_of_its_waves() -> None:
    """The slow twin: each coefficient as a wave, added up pixel by pixel."""
    rows, cols = 5, 6
    spectrum = natural_spectrum((rows, cols))
    board = fourier(spectrum)
    coefficients = board.start(stream("waves"), 3.0)
    drawn = independent(spectrum, board.draw(coefficients[None]))[0]
    for colour in range(3):
        for y in range(rows):
            for x in range(cols):
                total = 0.0
                for v in range(rows):
                    for u in range(cols // 2 + 1):
                        a, b = (coefficients[colour, v, u] * spectrum.magnitude[colour, v, u]).tolist()
                        turn = 2 * math.pi * (u * x / cols + v * y / rows)
                        twice = 1 if u in (0, cols // 2) else 2
                        total += twice * (a * math.cos(turn) - b * math.sin(turn))
                assert float(drawn[colour, y, x]) == pytest.approx(total / math.sqrt(rows * cols), abs=2e-3)


@pytest.mark.parametrize("size", [(32, 32), (15, 22), (16, 9)])
def test_maco_keeps_every_magnitude_whatever_the_phases(size: tuple[int, int], monkeypatch) -> None:
    spectrum = natural_spectrum(size)
    spectrum = type(spectrum)(spectrum.magnitude, 0.3 * spectrum.colours, spectrum.mean, size, "weak colours")
    board = maco(spectrum)
    phases = torch.stack([board.start(stream(i), 1.0) for i in range(3)]) * torch.tensor(3.0)

    def largest_gap() -> float:
        kept = torch.fft.rfft2(independent(spectrum, board.draw(phases)), norm="ortho").abs()
        return float((kept - spectrum.magnitude).abs().max() / spectrum.magnitude.max())

    assert largest_gap() < 1e-3
    monkeypatch.setattr(canvases, "_odd", lambda phases, spectrum: phases)  # sabotage: phases not odd
    assert largest_gap() > 0.05


def test_the_spectrum_of_images_finds_how_they_were_made() -> None:
    random = np.random.default_rng(0)
    size, mix = (48, 48), np.array([[0.5, 0.1, 0.0], [0.5, 0.0, 0.1], [0.5, -0.1, 0.0]])
    planes = np.fft.irfft2(
        np.fft.rfft2(random.normal(size=(60, *size, 3)), axes=(1, 2))
        / np.maximum(frequencies(size), 1 / 48)[None, ..., None] ** 0.7,
        s=size,
        axes=(1, 2),
    )
    planes /= planes.std((1, 2), keepdims=True)
    logits = planes @ mix.T + np.array([0.5, 0.0, -0.5])
    spectrum = spectrum_from(np.rint(255 / (1 + np.exp(-logits))).astype(np.uint8))
    np.testing.assert_allclose(spectrum.mean.numpy(), [0.5, 0.0, -0.5], atol=0.02)
    np.testing.assert_allclose((spectrum.colours @ spectrum.colours.T).numpy(), mix @ mix.T, atol=0.02)
    f = frequencies(size)
    inside = (f > 0.06) & (f < 0.4)
    strongest = np.log(spectrum.magnitude[0].numpy()[inside])
    assert np.polyfit(np.log(f[inside]), strongest, 1)[0] == pytest.approx(-0.7, abs=0.06)
    assert spectrum.source == "60 images"


def test_spectra_have_unit_variance_and_no_constant_part() -> None:
    images = [drawing(i, SIZE) for i in range(6)]
    for spectrum in (natural_spectrum(SIZE), spectrum_of(images, SIZE)):
        z = torch.fft.irfft2(
            torch.polar(spectrum.magnitude, torch.zeros(3, SIZE[0], 25)), s=SIZE, norm="ortho"
        )
        torch.testing.assert_close(z.square().mean((1, 2)), torch.ones(3), rtol=1e-4, atol=1e-4)
        assert spectrum.magnitude[:, 0, 0].tolist() == [0, 0, 0]
        x = torch.rand(2, 3, *SIZE) * 0.9 + 0.05
        torch.testing.assert_close(spectrum.to_rgb(spectrum.from_rgb(x)), x, rtol=1e-3, atol=1e-3)


def test_errors() -> None:
    with pytest.raises(InvalidInput, match="at least two images"):
        spectrum_of([drawing(0)], SIZE)
    with pytest.raises(UnknownName, match="fourier"):
        CANVASES.load("furier")
