"""Lets LeRobot and robomimic read what we write, and reads what LeRobot writes.

Not part of the tests: both pin older libraries. In a virtual environment that also sees
this project's packages:

    pip install --no-deps lerobot==0.4.4 robomimic==0.3.0 egl_probe==1.0.2
    pip install datasets==5.2.0 jsonlines draccus deepdiff termcolor six
    python tests/interop/real_data.py data/rooms/train

What it printed is in docs/interop.md.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/interop/stub")]
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np  # noqa: E402
import robomimic.utils.obs_utils as obs_utils  # noqa: E402
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402
from robomimic.utils.dataset import SequenceDataset  # noqa: E402

from envs.convert import convert  # noqa: E402
from envs.formats.api import ReadOptions  # noqa: E402
from world_model.shards import read_meta, read_shards, shard_path  # noqa: E402

CAMERA = "observation.images.front"


def psnr(errors):
    return round(float(10 * np.log10(255**2 / np.mean(errors))), 1)


def lerobot_reads(folder, meta, shard):
    """Every row's task and action, every 31st frame's pixels."""
    everything = LeRobotDataset("local/ours", root=folder, video_backend="pyav")
    errors, index = [], 0
    for frames, actions in zip(shard["frames"], shard["actions"], strict=True):
        for number, frame in enumerate(frames):
            row = everything.hf_dataset[index]
            action = actions[min(number // meta.chunk_length, len(actions) - 1)]
            assert row["action"].argmax() == action
            task = everything.meta.tasks.iloc[row["task_index"].item()].name
            assert task == meta.phrases[action]
            if index % 31 == 0:
                item = everything[index]
                assert item["task"] == task
                image = item[CAMERA].numpy().transpose(1, 2, 0) * 255
                errors.append(np.square(image - frame).mean())
            index += 1
    assert index == len(everything)
    print(f"LeRobot: {index} rows right, {psnr(errors)} dB in {len(errors)} frames")
    one = LeRobotDataset("x/y", root=folder, video_backend="pyav", episodes=[1])
    window = {CAMERA: [-1 / one.fps, 0.0], "action": [0.0, 1 / one.fps]}
    two = LeRobotDataset(
        "x/y", root=folder, video_backend="pyav", delta_timestamps=window
    )
    print(
        "LeRobot: one episode", len(one), "rows; windows", tuple(two[5][CAMERA].shape)
    )


def lerobot_writes(folder, use_videos):
    """Three episodes of a moving square, two tasks."""
    kind = "video" if use_videos else "image"
    camera = {"dtype": kind, "shape": (96, 128, 3), "names": ["height", "width", "c"]}
    action = {"dtype": "float32", "shape": (2,), "names": ["x", "y"]}
    made = LeRobotDataset.create(
        "local/theirs",
        fps=10,
        root=folder,
        use_videos=use_videos,
        features={"observation.images.top": camera, "action": action},
        vcodec="h264",
    )
    for number in range(3):
        for step in range(41):
            image = np.full((96, 128, 3), 40 * number, np.uint8)
            image[40:60, 2 * step : 2 * step + 20] = [255, 200, 0]
            task = "push the block" if number < 2 else "lift the block"
            zeros = np.zeros(2, np.float32)
            made.add_frame(
                {"observation.images.top": image, "action": zeros, "task": task}
            )
        made.save_episode()
    made.finalize()
    target = folder.with_name(f"{folder.name}_shards")
    convert(folder, target, options=ReadOptions(size=(64, 48), stride=2))
    (shard,) = read_shards(target)
    assert read_meta(target).phrases == ("push the block", "lift the block")
    assert shard["actions"].tolist() == [[0] * 5, [0] * 5, [1] * 5]
    centres = (shard["frames"][0, :, 25, :, 0] > 128).argmax(axis=1)
    assert np.allclose(centres, np.arange(21) * 2, atol=1)  # 4 px a frame, halved
    print(f"LeRobot's own data set ({kind}): read")


def robomimic_reads(path, shard):
    obs_utils.initialize_obs_utils_with_obs_specs({"obs": {"rgb": ["agentview_image"]}})
    found = SequenceDataset(
        str(path),
        obs_keys=("agentview_image",),
        dataset_keys=("actions",),
        seq_length=4,
        load_next_obs=False,
        hdf5_use_swmr=False,
    )
    for number in range(found.n_demos):
        demo = int(found.demos[number].removeprefix("demo_"))
        views = found.get_trajectory_at_index(number)["obs"]["agentview_image"]
        assert np.array_equal(views, shard["frames"][demo][:-1])
    print(
        "robomimic:",
        found.n_demos,
        "demonstrations bit for bit;",
        len(found),
        "samples",
    )


def main():
    for name in ("lerobot", "robomimic"):
        print(name, importlib.metadata.version(name))
    source = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        data = scratch / "data"
        data.mkdir()
        shutil.copy(source / "meta.json", data)
        shutil.copy(shard_path(source, 0), data)
        meta, (shard,) = read_meta(data), read_shards(data)
        for name, target in (
            ("lerobot", "out"),
            ("video", "clips"),
            ("hdf5", "out.hdf5"),
        ):
            convert(data, scratch / target, target_format=name)
            convert(scratch / target, scratch / f"{name}_back")
            (back,) = read_shards(scratch / f"{name}_back")
            assert np.array_equal(back["actions"], shard["actions"])
            errors = np.square(back["frames"].astype(float) - shard["frames"])
            exact = np.array_equal(back["frames"], shard["frames"])
            print(
                f"{name}: back again", "bit for bit" if exact else f"{psnr(errors)} dB"
            )
        lerobot_reads(scratch / "out", meta, shard)
        for use_videos in (True, False):
            lerobot_writes(scratch / f"theirs_{use_videos}", use_videos)
        robomimic_reads(scratch / "out.hdf5", shard)


if __name__ == "__main__":
    main()
