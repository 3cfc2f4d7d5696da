"""Run every benchmark (or those named), one after the other, and list what is not met."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    wanted = sys.argv[1:] or sorted(
        p.stem for p in HERE.glob("*.py") if p.stem not in ("_harness", "run_all")
    )
    claims, broken = [], []
    for name in wanted:
        print(f"\n== {name}", flush=True)
        done = subprocess.run(
            [sys.executable, HERE / f"{name}.py"], stdout=subprocess.PIPE, text=True, check=False
        )
        print(done.stdout, end="", flush=True)
        if done.returncode:
            broken.append(name)
        claims += [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"name"')]
    missed = [claim for claim in claims if not claim["met"]]
    print(f"\n{len(claims)} claims, {len(missed)} not met, {len(broken)} scripts did not finish.")
    for claim in missed:
        print(f"  not met: {claim['name']}: {claim['value']} (target {claim['target']})")
    for name in broken:
        print(f"  did not finish: {name}")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
