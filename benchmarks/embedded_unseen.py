"""The embedded backbone on pictures that nothing was chosen by: the photo stamps of Tux Paint, a Debian package.

python benchmarks/embedded_unseen.py [STAMPS], after `apt install tuxpaint-stamps-default` (some 160 MB). Classes are the
two upper folders (animals/birds, food/fruit ...), those with at least 8 pictures; drawings (cartoon), letters and
seasonal symbols are left out. Cosine retrieval over the whole set: mAP and nearest neighbour.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from _harness import report, table
from embedded_quality import SHARED, embed, retrieval

STAMPS = Path("/usr/share/tuxpaint/stamps")
FEWEST = 8
PEERS = ("classic:hog", "classic:colour")
SUPERVISED = SHARED.parent / "weights" / "mobilenetv2_100.tflite_in1k"


def stamps(folder: Path) -> dict[str, list[Path]]:
    """The pictures of each class."""
    classes = defaultdict(list)
    for file in sorted(folder.rglob("*.png")):
        at = file.relative_to(folder).parts
        drawn = "cartoon" in at or at[0] in ("symbols", "seasonal")
        if not drawn and not file.stem.endswith(("_mirror", "_flip")):
            classes["/".join(at[:2]) if len(at) > 2 else at[0]].append(file)
    return {name: files for name, files in classes.items() if len(files) >= FEWEST}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=STAMPS)
    classes = stamps(parser.parse_args().folder)
    if not classes:
        raise SystemExit(f"There are no stamps; {__doc__}")
    files = [file for group in classes.values() for file in group]
    labels = np.array([name for name, group in classes.items() for _ in group])
    names = ["embedded", *PEERS, *([f"local-dir:{SUPERVISED}"] if SUPERVISED.exists() else [])]
    vectors = {name: embed(name, files) for name in names}
    vectors["both classic"] = np.hstack([vectors[name] for name in PEERS])
    found = {name.rpartition("/")[2]: retrieval(rows, labels) for name, rows in vectors.items()}
    print(table(["backbone", "mAP", "1-NN"], [[name, *one] for name, one in found.items()]))
    ours, beaten = found["embedded"], [found[name] for name in (*PEERS, "both classic")]
    met = all(mine > max(theirs) for mine, *theirs in zip(ours, *beaten, strict=True))
    report(
        f"embedded backbone on {len(files)} unseen pictures in {len(classes)} classes, mAP and nearest neighbour",
        [round(one, 3) for one in ours],
        "above HOG, colour histogram and both together",
        met,
        {name: [round(m, 3), round(n, 3)] for name, (m, n) in found.items()},
    )


if __name__ == "__main__":
    main()
