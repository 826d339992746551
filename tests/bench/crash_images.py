"""Every promise of the ledger over many simulated power cuts: ``crash_images.py [count]``, 100,000 by default.

Prints how many disks were made and recovered, and writes build/bench/crash_images.json. The exit code is 1 when a promise
was broken; the seed then tells the story again.
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "conformance"))

from crash_story import Broken, Story

from roadworthy.base.errors import RoadworthyError

OUT = Path("build/bench/crash_images.json")


def main():
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    images = promised = seed = 0
    began_s = time.perf_counter()
    while images < wanted:
        story = Story(seed)
        try:
            images += story.tell(image_share=1.0)
        except (Broken, RoadworthyError) as error:
            print(f"seed {seed}: {error}")
            return 1
        promised += len(story.promised)
        seed += 1
    figures = {
        "images": images,
        "stories": seed,
        "records_promised": promised,
        "missing": 0,
        "took_s": round(time.perf_counter() - began_s, 1),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
