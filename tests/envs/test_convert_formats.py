"""What others wrote: robomimic's and LeRobot's data sets, by their published layout."""

from __future__ import annotations

import io
import json
import sys

import h5py
import imageio.v3 as iio
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.convert import convert, main
from envs.formats.api import ReadOptions
from envs.formats.image_size import fit
from envs.formats.mp4 import frame_times, read_frames, write_video
from envs.formats.spans import spans_of
from world_model.shards import read_meta, read_shards

FRAMES = np.random.default_rng(0).integers(0, 256, (60, 16, 32, 3)).astype(np.uint8)


def robomimic(path, *, count=11, key="agentview_image", width=32, **demo_attributes):
    """A file as robomimic 0.4 writes it: `next_obs`, `ep_meta`, no `language`."""
    samples = 20
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        for number in range(count):
            demo = data.create_group(f"demo_{number}")
            views = np.roll(FRAMES, -number, axis=0)[:, :, :width]
            demo["actions"] = np.zeros((samples, 7))
            demo[f"obs/{key}"] = views[:samples]
            demo["obs/robot0_eef_pos"] = np.zeros((samples, 3))
            demo[f"next_obs/{key}"] = views[1 : samples + 1]
            demo.attrs["num_samples"] = samples
            lang = {"lang": f"lift the {'can' if number % 2 else 'cube'}"}
            demo.attrs.update({"ep_meta": json.dumps(lang)} | demo_attributes)
    return path


def read_all(folder):
    shards = list(read_shards(folder))
    return {name: np.concatenate([s[name] for s in shards]) for name in shards[0]}


def test_a_robomimic_file_comes_in_with_its_last_frame(tmp_path):
    convert(robomimic(tmp_path / "lift.hdf5"), tmp_path / "data")
    arrays, meta = read_all(tmp_path / "data"), read_meta(tmp_path / "data")
    assert meta.phrases == ("lift the cube", "lift the can")
    assert arrays["actions"].tolist() == [[i % 2] * 5 for i in range(11)]
    for number, frames in enumerate(arrays["frames"]):  # demo_2 before demo_10
        assert np.array_equal(frames, np.roll(FRAMES, -number, axis=0)[:21])


def test_every_second_frame_can_be_taken(tmp_path):
    options = ReadOptions(chunk_length=2, stride=2)
    convert(robomimic(tmp_path / "lift.hdf5"), tmp_path / "data", options=options)
    arrays = read_all(tmp_path / "data")
    assert arrays["actions"].shape == (11, 5)
    assert np.array_equal(arrays["frames"][0], FRAMES[:21:2])


def test_liberos_instruction_is_read(tmp_path):
    path = robomimic(tmp_path / "libero.hdf5", ep_meta="{}")
    with h5py.File(path, "a") as file:
        said = {"language_instruction": ["open", " the", " drawer"]}
        file["data"].attrs["problem_info"] = json.dumps(said)
    convert(path, tmp_path / "data")
    assert read_meta(tmp_path / "data").phrases == ("open the drawer",)


def test_what_we_write_has_robomimics_layout(tmp_path):
    convert(robomimic(tmp_path / "lift.hdf5", count=2), tmp_path / "data")
    convert(tmp_path / "data", tmp_path / "out.hdf5")
    with h5py.File(tmp_path / "out.hdf5") as file:
        assert file["data"].attrs["total"] == 40
        assert set(json.loads(file["data"].attrs["env_args"])) == {
            "env_name",
            "type",
            "env_kwargs",
        }
        for name, demo in file["data"].items():
            assert name in ("demo_0", "demo_1")
            assert demo.attrs["num_samples"] == len(demo["actions"]) == 20
            assert demo["obs/agentview_image"].shape == (20, 16, 32, 3)
            assert (demo["actions"][:].sum(axis=1) == 1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"ep_meta": "{}"},
            "must say what is done, .* got neither in /data/demo_0: add",
        ),
        ({"key": "one/two"}, "must hold images, got an episode without any: render"),
    ],
)
def test_a_file_that_says_too_little_is_refused(tmp_path, change, message):
    path = robomimic(tmp_path / "lift.hdf5", **change)
    with pytest.raises(ValueError, match=message):
        convert(path, tmp_path / "data")


def test_one_of_several_cameras_must_be_named(tmp_path):
    path = robomimic(tmp_path / "lift.hdf5")
    with h5py.File(path, "a") as file:
        for demo in file["data"].values():
            demo["obs/wrist"] = demo["obs/agentview_image"][:] // 2
            demo["next_obs/wrist"] = demo["next_obs/agentview_image"][:] // 2
    with pytest.raises(
        ValueError, match=r"agentview_image, wrist\), got None: name one"
    ):
        convert(path, tmp_path / "data")
    convert(path, tmp_path / "data", options=ReadOptions(camera="wrist"))
    assert np.array_equal(read_all(tmp_path / "data")["frames"][0], FRAMES[:21] // 2)


@pytest.mark.parametrize("content", ["no HDF5", None])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "x.hdf5"
    if content:
        path.write_text(content)
    else:
        h5py.File(path, "w").close()
    with pytest.raises(
        ValueError, match=r"x.hdf5 must (be an HDF5 file|hold the group)"
    ):
        convert(path, tmp_path / "data")


@pytest.mark.parametrize("package", ["h5py", "pyarrow"])
def test_a_missing_package_is_named_with_its_extra(
    tmp_path, monkeypatch, capsys, package
):
    convert(robomimic(tmp_path / "lift.hdf5"), tmp_path / "data")
    monkeypatch.setitem(sys.modules, package, None)
    extra = {"h5py": "hdf5", "pyarrow": "lerobot"}[package]
    arguments = [str(tmp_path / "data"), str(tmp_path / "out"), "--to", extra]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert f"needs the package {package}" in error
    assert f"pip install 'slowfast-bench[{extra}]'" in error


def lerobot(folder, tmp_path):
    """A data set as LeRobot 0.4 writes it: one task per episode, no file of ours."""
    convert(robomimic(tmp_path / "lift.hdf5", count=4), folder, target_format="lerobot")
    (folder / "meta/slowfast.json").unlink()
    return folder


def test_lerobots_layout_is_kept(tmp_path):
    folder = lerobot(tmp_path / "out", tmp_path)
    info = json.loads((folder / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert (info["total_episodes"], info["total_frames"]) == (4, 84)
    rows = pq.read_table(folder / "data/chunk-000/file-000.parquet").to_pandas()
    features = set(info["features"]) - {"observation.images.front"}
    assert set(rows.columns) == features
    assert rows["index"].tolist() == list(range(84))
    assert rows["frame_index"].tolist() == list(range(21)) * 4
    assert np.allclose(rows["timestamp"], rows["frame_index"] / info["fps"])
    tasks = pd.read_parquet(folder / "meta/tasks.parquet")
    assert tasks.index.tolist() == ["lift the cube", "lift the can"]
    assert tasks["task_index"].tolist() == [0, 1]
    assert rows["task_index"].tolist() == [i % 2 for i in range(4) for _ in range(21)]
    episodes = pd.read_parquet(folder / "meta/episodes/chunk-000/file-000.parquet")
    starts = episodes["videos/observation.images.front/from_timestamp"] * info["fps"]
    assert np.allclose(starts, episodes["dataset_from_index"])
    video = folder / info["video_path"].format(
        video_key="observation.images.front", chunk_index=0, file_index=0
    )
    assert len(frame_times(video)) == 84
    stats = json.loads((folder / "meta/stats.json").read_text())
    assert set(stats) == set(info["features"])
    mean = np.concatenate([np.roll(FRAMES, -i, axis=0)[:21] for i in range(4)])
    channels = np.ravel(stats["observation.images.front"]["mean"])
    assert np.allclose(channels, (mean / 255).mean(axis=(0, 1, 2)))


def test_one_task_per_episode_is_what_every_action_is_called(tmp_path):
    convert(lerobot(tmp_path / "out", tmp_path), tmp_path / "back")
    assert read_all(tmp_path / "back")["actions"].tolist() == [
        [i % 2] * 5 for i in range(4)
    ]


def test_more_episodes_than_fit_a_file_are_found_again(tmp_path, monkeypatch):
    monkeypatch.setattr("envs.formats.lerobot_writer.EPISODES_PER_FILE", 3)
    convert(lerobot(tmp_path / "out", tmp_path), tmp_path / "back")
    files = sorted(x.name for x in (tmp_path / "out").rglob("*.mp4"))
    assert files == ["file-000.mp4", "file-001.mp4"]
    found = read_all(tmp_path / "back")["frames"].astype(float)
    for number, frames in enumerate(found):
        errors = [
            np.square(frames - np.roll(FRAMES, -i, axis=0)[:21]).mean()
            for i in range(5)
        ]
        assert np.argmin(errors) == number


def test_images_in_parquet_are_read(tmp_path):
    folder = lerobot(tmp_path / "out", tmp_path)
    info = json.loads((folder / "meta/info.json").read_text())
    info["features"]["observation.images.front"]["dtype"] = "image"
    (folder / "meta/info.json").write_text(json.dumps(info))
    path = folder / "data/chunk-000/file-000.parquet"
    rows = pd.read_parquet(path)
    views = [np.roll(FRAMES, -i, axis=0)[j] for i in range(4) for j in range(21)]
    cells = [{"bytes": png(view), "path": None} for view in views]
    rows["observation.images.front"] = cells
    rows.to_parquet(path)
    convert(folder, tmp_path / "back")
    frames = read_all(tmp_path / "back")["frames"]
    assert np.array_equal(frames.reshape(-1, 16, 32, 3), np.stack(views))


def png(image):
    buffer = io.BytesIO()
    iio.imwrite(buffer, image, extension=".png")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"codebase_version": "v2.1"},
            "format v3.0, got v2.1: convert it with `python",
        ),
        ({"features": {}}, "must hold images, got an episode without any: render"),
    ],
)
def test_another_version_of_lerobot_is_refused(tmp_path, change, message):
    folder = lerobot(tmp_path / "out", tmp_path)
    info = json.loads((folder / "meta/info.json").read_text()) | change
    (folder / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(ValueError, match=message):
        convert(folder, tmp_path / "back")


def test_an_incomplete_lerobot_data_set_is_refused(tmp_path):
    folder = lerobot(tmp_path / "out", tmp_path)
    (folder / "meta/tasks.parquet").unlink()
    with pytest.raises(
        ValueError, match="tasks.parquet must be part of .* copy the whole"
    ):
        convert(folder, tmp_path / "back")


def test_frames_must_fit_the_patches_of_the_networks(tmp_path):
    source = robomimic(tmp_path / "lift.hdf5", width=24)
    with pytest.raises(
        ValueError, match="16 px to train on, got 24x16 .demo_0.: give a"
    ):
        convert(source, tmp_path / "data")


@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=40),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_a_chunk_holds_one_text_and_spans_do_not_overlap(texts, length, step):
    end = 0
    for span in spans_of(texts, length, step):
        picks = list(span.picks)
        assert len(picks) == 1 + len(span.phrases) * length
        assert end <= picks[0]
        assert picks[-1] <= len(texts) - 1
        for number, phrase in enumerate(span.phrases):
            first = picks[number * length]
            assert set(texts[first : first + length * step]) == {phrase}
        end = picks[-1]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=10), st.integers(1, 4))
def test_whole_chunks_are_one_span(phrases, length):
    texts = [x for x in phrases for _ in range(length)]
    (span,) = spans_of([*texts, texts[-1]], length)
    assert span.phrases == tuple(phrases)
    assert (span.start, span.picks[-1]) == (0, len(texts))


@given(st.integers(8, 80), st.integers(8, 80), st.integers(1, 8), st.integers(1, 8))
def test_any_image_is_fitted_to_any_size(height, width, columns, rows):
    size = (8 * columns, 8 * rows)
    image = np.full((height, width, 3), 77, np.uint8)
    assert (fit(image, size) == np.full((*size[::-1], 3), 77)).all()


def test_an_image_of_the_right_size_is_left_alone():
    image = FRAMES[0]
    assert fit(image, (32, 16)) is image
    assert fit(image, None) is image


@given(st.lists(st.integers(0, 59), min_size=1, max_size=8).map(sorted))
def test_any_frames_of_a_video_can_be_read(tmp_path_factory, picks):
    path = tmp_path_factory.getbasetemp() / "steps.mp4"
    if not path.exists():
        levels = np.linspace(0, 255, 60).astype(np.uint8)
        write_video(path, (np.full((16, 16, 3), x, np.uint8) for x in levels), 30)
    frames = read_frames(path, picks, None)
    levels = frames.mean(axis=(1, 2, 3)) / 255 * 59
    assert np.allclose(levels, picks, atol=0.5)


def test_a_video_that_is_too_short_is_refused(tmp_path):
    write_video(tmp_path / "a.mp4", FRAMES[:5], 30)
    with pytest.raises(ValueError, match="must have at least 8 frames, got 5: it does"):
        read_frames(tmp_path / "a.mp4", [0, 7], None)


def test_a_video_of_odd_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must be even, got 31x16: give a size"):
        write_video(tmp_path / "a.mp4", FRAMES[:, :, 1:], 30)
