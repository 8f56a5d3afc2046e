"""Make the pictures of the gallery: train the embedded demo, run the commands, and photograph their pages.

    python docs/gallery/make.py --work /tmp/gallery                # minutes to an hour; finished steps are not repeated
    python docs/gallery/make.py --work /tmp/gallery --small        # few images: whether the script works
    python docs/gallery/make.py --work /tmp/gallery --only look    # one picture

Pages are photographed by Chromium (--browser), in the light style. Pictures are JPEG files of at most 900 pixels.
"""

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RUN = "runs/objects-cornet_s/seed0"
WIDTH = 900
SMALL = ["data.train_images=128", "data.val_images=64", "recipe.epochs=1", "loader.workers=0"]


@dataclass(frozen=True)
class Shot:
    """A picture. words: of the cornet command. made: what it writes. height: of the page's window, in pixels."""

    name: str
    words: str
    made: str
    height: int = 900


SHOTS = [
    Shot("report", f"report {RUN}", f"{RUN}/report.html", 1300),
    Shot("look", f"look {RUN} --image objects:1 --out look", "look/look.png"),
    Shot(
        "rank",
        f"score pixels gabor {RUN} {RUN}?untrained --on simulated.V1 simulated.IT --rank --out rank",
        "rank/ranking.html",
        760,
    ),
    Shot(
        "neuron",
        f"neuron my-bundle --neuroid 3 --models pixels gabor {RUN} --out neuron",
        "neuron/neuron.html",
        1030,
    ),
    Shot("drive", f"drive {RUN} --on simulated.V1 --neuroid 0 1 --out drive", "drive/drive.html", 1085),
    Shot("compare", f"report compare {RUN}", "", 1450),
    Shot("tradeoff", "report tradeoff --score IT", "tradeoff.html", 950),
]


def cornet(work: Path, *words: str) -> str:
    """Run a cornet command in the working folder; return what it prints."""
    environment = {**os.environ, "CORNET_CACHE": str(work / "cache"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "cornet", *words], cwd=work, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"cornet {' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def photograph(page: Path, height: int, browser: str) -> Image.Image:
    """Return a page as a browser shows it, without a scroll bar."""
    shot = page.with_suffix(".shot.png")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--window-size=1100,{height}",
    ]
    subprocess.run(
        [browser, *options, f"--screenshot={shot}", page.as_uri()],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return Image.open(shot)


def save(picture: Image.Image, path: Path) -> None:
    """Write a JPEG file of at most WIDTH pixels, without information about where it was made."""
    picture = picture.convert("RGB")
    if picture.width > WIDTH:
        picture = picture.resize(
            (WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS
        )
    picture.save(path, "JPEG", quality=80, optimize=True, progressive=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for runs and pages; it is kept")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the pictures")
    parser.add_argument("--only", nargs="*", help="names of pictures")
    parser.add_argument("--small", action="store_true", help="few images, one epoch")
    parser.add_argument("--browser", default="chromium")
    given = parser.parse_args()
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    cornet(work, "train", *(SMALL if given.small else []))
    if not (work / "my-bundle").exists():
        subprocess.run([sys.executable, str(ROOT / "examples/own_bundle.py")], cwd=work, check=True)
    for shot in SHOTS:
        if given.only and shot.name not in given.only:
            continue
        printed = cornet(work, *shot.words.split())
        made = work / (shot.made or printed.split()[-1])
        picture = photograph(made, shot.height, given.browser) if made.suffix == ".html" else Image.open(made)
        save(picture, given.out / f"{shot.name}.jpg")
        print(f"{shot.name}.jpg: {(given.out / f'{shot.name}.jpg').stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
