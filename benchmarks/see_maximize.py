"""Pictures of 32 channels of a middle layer against lucent's method, one channel after the other.

The peer is lucent's `render_vis` written out (its defaults: Fourier canvas with decorrelated colours, pad 12,
jitter 8, scale 0.9-1.1, rotation of 10 degrees, jitter 4, Adam 0.05): one picture at a time, the whole network
forward, gradients also for the weights. It draws PEER_CHANNELS of the channels; its time is scaled up.

python benchmarks/see_maximize.py [--device cuda] [--steps 128] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import time

THREADS = 2
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, str(THREADS))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from _harness import alternate, report, table  # noqa: E402
from torch.nn import functional as F  # noqa: E402

NETWORK, LAYER, CHANNELS, SIDE = "torchvision:googlenet", "inception4a", 32, 128
PEER_CHANNELS = 4


def lucent_picture(module: torch.nn.Module, channel: int, steps: int, device: str) -> torch.Tensor:
    """One picture as lucent makes it."""
    kept: dict[str, torch.Tensor] = {}
    hook = module.get_submodule(LAYER).register_forward_hook(lambda _m, _i, out: kept.update(out=out))
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    scale = torch.tensor(1 / np.maximum(frequency, 1 / SIDE), dtype=torch.float32, device=device)[
        None, None, ..., None
    ]
    spectrum = (0.01 * torch.randn(1, 3, SIDE, SIDE // 2 + 1, 2, device=device)).requires_grad_()
    mix = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], device=device)
    mix = mix / mix.norm(dim=0).max()
    mean = torch.tensor([0.485, 0.456, 0.406], device=device).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], device=device).view(3, 1, 1)
    optimizer = torch.optim.Adam([spectrum], lr=0.05)

    def jitter(x: torch.Tensor, reach: int) -> torch.Tensor:
        top, left = np.random.default_rng().integers(0, reach + 1, 2)
        return x[..., top : x.shape[-2] - reach + top, left : x.shape[-1] - reach + left]

    def turned(x: torch.Tensor) -> torch.Tensor:
        angle = np.radians(np.random.default_rng().integers(-10, 11))
        cos, sin = np.cos(angle), np.sin(angle)
        theta = torch.tensor([[[cos, -sin, 0], [sin, cos, 0]]], dtype=torch.float32, device=device)
        return F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)

    def drawn() -> torch.Tensor:
        image = torch.fft.irfftn(torch.view_as_complex(spectrum * scale), s=(SIDE, SIDE), norm="ortho") / 4
        return torch.einsum("ij,bjrc->birc", mix, image).sigmoid()

    for _ in range(steps):
        optimizer.zero_grad()
        x = jitter(F.pad(drawn(), [12] * 4, value=0.5), 8)
        share = 1 + (np.random.default_rng().integers(0, 11) - 5) / 50
        x = F.interpolate(x, scale_factor=float(share), mode="bilinear", align_corners=False)
        x = jitter(turned(x), 4)
        module((x - mean) / std)
        (-kept["out"][:, channel].mean()).backward()
        optimizer.step()
    hook.remove()
    return drawn().detach()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--channels", type=int, default=CHANNELS)
    args = parser.parse_args()

    from featurelens import load_backbone, see

    torch.set_num_threads(THREADS)
    net = load_backbone(NETWORK, engine="torch", device=args.device, pretrained=False)

    def wait() -> None:
        if args.device == "cuda":
            torch.cuda.synchronize()

    def ours() -> float:
        started = time.perf_counter()
        see.maximize(net, f"{LAYER}:0-{args.channels - 1}", size=SIDE, steps=args.steps)
        wait()
        return time.perf_counter() - started

    def one_by_one() -> float:
        count = min(PEER_CHANNELS, args.channels)
        net.module.requires_grad_(True)
        started = time.perf_counter()
        for channel in range(count):
            lucent_picture(net.module, channel, args.steps, args.device)
            net.module.zero_grad()
        wait()
        return (time.perf_counter() - started) * args.channels / count

    seconds = alternate(
        {"featurelens": ours, "lucent's method": one_by_one}, args.rounds, warm_up=args.device == "cuda"
    )
    ratio = seconds["lucent's method"] / seconds["featurelens"]
    print(table(["contender", f"seconds for {args.channels} channels"], list(seconds.items())))
    target = 10 if args.device == "cuda" else 2
    name = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
    report(
        f"{args.channels} channels of {NETWORK} {LAYER} maximised, {args.steps} steps at {SIDE} px, {name}",
        round(ratio, 2),
        f">= {target}x",
        ratio >= target,
        {"seconds": seconds},
    )


if __name__ == "__main__":
    main()
