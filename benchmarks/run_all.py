"""Run every benchmark (or those named), list what is not met, and with --write keep the table in docs/figures.md.

python benchmarks/run_all.py [NAME ...] [--write docs/figures.md]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HEAD = """# Figures

Written by `make bench`; every row is the last line that its script prints, and can be had again with
`python benchmarks/NAME.py`. Peers run in the same process run, in turns; values are medians. A row that says
**no** is a miss.

| what | measured | target | met | script | when, where |
|---|---|---|---|---|---|
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="benchmarks; none: all")
    parser.add_argument("--write", type=Path, help="the page to bring up to date; rows of other scripts stay")
    options = parser.parse_args()
    wanted = options.names or sorted(
        p.stem for p in HERE.glob("*.py") if p.stem != "run_all" and not p.stem.startswith("_")
    )
    claims, broken = [], []
    for name in wanted:
        print(f"\n== {name}", flush=True)
        found, finished = run(name)
        claims += found
        if not finished:
            broken.append(name)
        elif options.write and found:
            write(options.write, name, found)
    missed = [claim for claim in claims if not claim["met"]]
    print(f"\n{len(claims)} claims, {len(missed)} not met, {len(broken)} scripts did not finish.")
    for claim in missed:
        print(f"  not met: {claim['name']}: {claim['value']} (target {claim['target']})")
    for name in broken:
        print(f"  did not finish: {name}")
    sys.exit(bool(broken))


def run(name: str) -> tuple[list[dict[str, Any]], bool]:
    """The claims that a script prints, each with the line of its machine, and whether it ended well."""
    command = [sys.executable, HERE / f"{name}.py"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, end="", flush=True)
    lines, claims = done.stdout.splitlines(), []
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith('{"name"'):
            claims.append(json.loads(line) | {"machine": before})
    return claims, done.returncode == 0


def write(page: Path, name: str, claims: list[dict[str, Any]]) -> None:
    """Replace the rows of one script; the table is sorted by script."""
    old = page.read_text(encoding="utf-8").splitlines() if page.exists() else []
    rows = [
        line
        for line in old
        if line.startswith("| ") and line.split("|")[5].strip() not in ("script", f"`{name}`")
    ]
    for claim in claims:
        where = " · ".join(claim["machine"].split(" · ")[:3])
        met = "yes" if claim["met"] else "**no**"
        cells = [claim["name"], plain(claim["value"]), plain(claim["target"]), met, f"`{name}`", where]
        rows.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    rows.sort(key=lambda row: row.split("|")[5])
    page.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


def plain(value: Any) -> str:
    """A figure as people write it; several with their names."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {plain(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(plain(one) for one in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
