"""The Python of the pages runs, and what they point to exists."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "results" / "README.md"]


def python_of(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def anchors(page):
    """Names of a page's headings, as they are linked."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    kept = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_a_walk_is_imagined_from_ones_own_image(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((80, 60, 3), np.uint8)).save("first.png")
    (code,) = [block for block in python_of("docs/interop.md") if "write_mp4" in block]
    ours = {
        "world_model/weights/video": str(ROOT / "world_model" / "weights" / "rooms"),
        "open the door": "forward",
        "go in": "backward",
    }
    for theirs, here in ours.items():
        assert theirs in code
        code = code.replace(theirs, here)
    names = {}
    exec(compile(code, "interop.md", "exec"), names)
    assert names["rollout"].frames.shape == (1, 1, 3, 4, 3, 64, 64)
    assert Path("imagined.mp4").stat().st_size > 0


def test_a_gymnasium_loop_plays_an_episode(capsys):
    blocks = [x for x in python_of("docs/interop.md") if "gymnasium.make" in x]
    loop, imagined, remembered = blocks
    exec(compile(loop, "interop.md", "exec"), {})
    assert capsys.readouterr().out.strip() in ("success", "no success")
    names = {}
    exec(compile(imagined, "interop.md", "exec"), names)
    assert re.fullmatch(
        r"the last view is [01]\.\d\d from home\n", capsys.readouterr().out
    )
    exec(compile(remembered, "interop.md", "exec"), names)
    stored = re.fullmatch(r"(\d+) bytes of the tour\n", capsys.readouterr().out)
    assert stored
    assert int(stored[1]) > 0


def test_the_readmes_planner_plans():
    import torch

    from world_model.core import Goal
    from world_model.testing import random_chunks
    from world_model.toy import DotWorldModel

    (code,) = python_of("README.md")
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    model = DotWorldModel()
    context = random_chunks(model)[-1].context
    count = len(context.actions)

    def first_is_best(rollout, goal):
        return rollout.actions.float()

    plan = names["GreedyPlanner"](model, first_is_best).plan(
        context,
        Goal(instructions=("anything",) * count),
        generator=[torch.Generator() for _ in range(count)],
        horizon=3,
    )
    assert plan.actions.tolist() == [[0]] * count


def test_the_weights_that_ship_are_at_most_25_megabytes():
    files = (ROOT / "world_model" / "weights").rglob("*")
    assert sum(path.stat().st_size for path in files if path.is_file()) <= 25e6
