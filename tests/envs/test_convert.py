"""`envs.convert`: what goes out comes back, and users' own recordings come in."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from envs.collect import collect
from envs.convert import NAMES, convert, main
from envs.formats.api import ReadOptions
from envs.formats.hdf5 import HDF5Format
from envs.formats.mp4 import frame_times, read_frames, write_video
from envs.formats.plan import MAX_ACTIONS, make_plan
from envs.formats.registry import FORMATS
from world_model.shards import (
    ShardMeta,
    read_meta,
    read_shards,
    write_meta,
    write_shard,
)
from world_model.train import check_data

PHRASES = ("open the door", "go in")


def frames_of(num_frames: int, seed: int = 0, height: int = 64, width: int = 96):
    """A camera that glides over a smooth landscape, (num_frames, H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, : width + num_frames] / 12
    waves = [np.sin(x * a + y * b + c) for a, b, c in rng.uniform(0.2, 1, (3, 3))]
    wide = (np.stack(waves, axis=-1) * 100 + 128).astype(np.uint8)
    return np.stack([wide[:, i : i + width] for i in range(num_frames)])


def data_set(folder, num_episodes=3, num_actions=6, chunk_length=4):
    """Our own format without labels, smooth enough for a video codec."""
    rng = np.random.default_rng(0)
    size = 1 + num_actions * chunk_length
    arrays = {
        "frames": np.stack([frames_of(size, s) for s in range(num_episodes)]),
        "actions": rng.integers(2, size=(num_episodes, num_actions)).astype(np.int16),
    }
    folder.mkdir()
    write_shard(folder, 0, arrays)
    meta = ShardMeta(
        "toy", chunk_length, PHRASES, (None, None), (), {"revision": "abc"}, labels=()
    )
    write_meta(folder, meta)
    return folder


def clips(folder, *actions, fps=10, num_frames=41):
    """A folder of clips with their JSON files."""
    folder.mkdir()
    for number, said in enumerate(actions):
        write_video(folder / f"clip{number}.mp4", frames_of(num_frames, number), fps)
        text = json.dumps({"actions": said})
        (folder / f"clip{number}.json").write_text(text)
    return folder


def arrays_of(folder):
    shards = list(read_shards(folder))
    return {name: np.concatenate([s[name] for s in shards]) for name in shards[0]}


def psnr(a, b):
    """Peak signal-to-noise ratio of uint8 images [dB]."""
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collected") / "data"
    collect("scroll", folder, episodes=4, actions=6, shard_size=2, workers=1)
    return folder


def test_hdf5_brings_everything_back(collected, tmp_path):
    convert(collected, tmp_path / "out.hdf5")
    convert(tmp_path / "out.hdf5", tmp_path / "back")
    before, after = arrays_of(collected), arrays_of(tmp_path / "back")
    assert before.keys() == after.keys()
    for name, array in before.items():
        assert np.array_equal(array, after[name])
        assert array.dtype == after[name].dtype
    old, new = read_meta(collected), read_meta(tmp_path / "back")
    assert replace(new, provenance=old.provenance) == old


@pytest.mark.parametrize(
    ("options", "known"),
    [({}, True), ({"chunk_length": 1}, False), ({"stride": 2}, False)],
)
def test_actions_that_are_cut_otherwise_have_no_known_motions(
    collected, tmp_path, options, known
):
    convert(collected, tmp_path / "out.hdf5")
    back = tmp_path / "back.hdf5"
    convert(tmp_path / "out.hdf5", back, options=ReadOptions(**options))
    motions = HDF5Format().meta(back).motions
    assert motions == (read_meta(collected).motions if known else None)


@pytest.mark.parametrize("name", ["video", "lerobot"])
def test_videos_bring_the_actions_back_and_nearly_the_frames(tmp_path, name):
    source = data_set(tmp_path / "data")
    convert(source, tmp_path / "out", target_format=name)
    convert(tmp_path / "out", tmp_path / "back")
    before, after = arrays_of(source), arrays_of(tmp_path / "back")
    assert np.array_equal(before["actions"], after["actions"])
    assert psnr(before["frames"], after["frames"]) > 38
    for a, b in zip(before["frames"], after["frames"], strict=True):
        # No frame is early or late: the camera moves by a pixel a frame.
        for i in range(1, len(a) - 1):
            errors = [psnr(a[i + shift], b[i]) for shift in (-1, 0, 1)]
            assert np.argmax(errors) == 1
    old, new = read_meta(source), read_meta(tmp_path / "back")
    assert replace(new, provenance=old.provenance) == old


def test_clips_keep_labels_and_lerobot_drops_them(collected, tmp_path):
    for name, labels in (("video", ("moved", "visible", "found")), ("lerobot", ())):
        convert(collected, tmp_path / name, target_format=name)
        convert(tmp_path / name, tmp_path / f"{name}_back")
        assert read_meta(tmp_path / f"{name}_back").labels == labels
        before, after = arrays_of(collected), arrays_of(tmp_path / f"{name}_back")
        assert all(np.array_equal(before[x], after[x]) for x in labels)


def test_any_format_becomes_any_other(tmp_path):
    source = path = data_set(tmp_path / "data")
    for step, name in enumerate(("lerobot", "hdf5", "video", "lerobot", "shards")):
        target = tmp_path / f"step{step}{'.h5' if name == 'hdf5' else ''}"
        convert(path, target, target_format=name)
        path = target
    before, after = arrays_of(source), arrays_of(path)
    assert np.array_equal(before["actions"], after["actions"])
    assert psnr(before["frames"], after["frames"]) > 35


def test_a_data_set_knows_where_it_comes_from(collected, tmp_path):
    convert(collected, tmp_path / "out.hdf5")
    convert(tmp_path / "out.hdf5", tmp_path / "back")
    made = read_meta(tmp_path / "back").provenance
    origin = made["converted_from"]
    assert made["libraries"]["numpy"] == np.__version__
    assert (origin["format"], origin["path"]) == ("hdf5", "out.hdf5")
    assert (origin["files"], len(origin["listing_sha256"])) == (1, 64)
    first = origin["provenance"]["converted_from"]
    assert first["format"] == "shards"
    assert first["provenance"]["split"] == "train"


def test_what_is_there_to_be_judged_on_stays_so(tmp_path):
    collected = tmp_path / "val"
    sizes = {"episodes": 2, "actions": 6, "shard_size": 2, "workers": 1}
    collect("scroll", collected, **sizes, split="val")
    convert(collected, tmp_path / "out.hdf5")
    convert(tmp_path / "out.hdf5", tmp_path / "back")
    back = tmp_path / "back"
    assert read_meta(back).provenance["split"] == "val"
    with pytest.raises(ValueError, match="must hold training episodes, got .*=val"):
        check_data(read_meta(back), back)


def test_actions_that_are_all_called_alike_are_noted(tmp_path, capsys):
    convert(clips(tmp_path / "one", *[["go on"] * 5] * 2), tmp_path / "data")
    assert "note: all actions are called 'go on': a model" in capsys.readouterr().out


def test_actions_share_a_clip_evenly(tmp_path):
    source = clips(tmp_path / "clips", [*PHRASES] * 2, [*PHRASES] * 3)
    convert(source, tmp_path / "data", options=ReadOptions(chunk_length=5))
    arrays = arrays_of(tmp_path / "data")
    meta = read_meta(tmp_path / "data")
    assert (meta.domain, meta.chunk_length, meta.labels) == ("video", 5, ())
    assert meta.phrases == PHRASES
    assert arrays["actions"].tolist() == [[0, 1] * 2] * 2
    # 40 steps for 4 actions of 5 frames: every other frame.
    assert psnr(arrays["frames"][0], frames_of(41)[::2]) > 38


def test_actions_may_say_when_they_happen(tmp_path):
    said = [
        {"text": "go  in", "start": 0.4 + 0.5 * i, "end": 0.9 + 0.5 * i}
        for i in range(4)
    ]
    source = clips(tmp_path / "clips", said, said)
    convert(source, tmp_path / "data", options=ReadOptions(chunk_length=1))
    arrays = arrays_of(tmp_path / "data")
    assert read_meta(tmp_path / "data").phrases == ("go in",)
    assert psnr(arrays["frames"][1], frames_of(41, 1)[4:25:5]) > 38


def test_time_between_actions_ends_an_episode(tmp_path):
    said = [{"text": "go", "start": 0.3 * i, "end": 0.3 * (i + 1)} for i in range(4)]
    later = [{**x, "start": x["start"] + 2, "end": x["end"] + 2} for x in said]
    source = clips(tmp_path / "clips", said + later)
    convert(source, tmp_path / "data", options=ReadOptions(chunk_length=3))
    frames = arrays_of(tmp_path / "data")["frames"]
    assert len(frames) == 2
    assert psnr(frames[0], frames_of(41)[:13]) > 38
    assert psnr(frames[1], frames_of(41)[20:33]) > 38


def test_frames_are_cropped_and_scaled(tmp_path):
    source = clips(tmp_path / "clips", ["go"] * 4, ["go"] * 4)
    convert(source, tmp_path / "data", options=ReadOptions(size=(32, 32)))
    frames = arrays_of(tmp_path / "data")["frames"]
    assert frames.shape == (2, 17, 32, 32, 3)
    # The middle 64 x 64 of 96 x 64, averaged over 2 x 2.
    middle = frames_of(41)[np.linspace(0, 40, 17).round().astype(int), :, 16:80]
    small = middle.reshape(17, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    assert psnr(small, frames[0]) > 38


def test_long_clips_become_several_episodes(tmp_path):
    source = clips(tmp_path / "clips", ["a", "b"] * 5, ["a"] * 4 + ["c"])
    plan = convert(source, tmp_path / "data", num_actions=4)
    assert str(plan) == (
        "2 episodes -> 3 of 4 actions; 12 of 15 actions kept, 2 different"
    )
    arrays = arrays_of(tmp_path / "data")
    assert read_meta(tmp_path / "data").phrases == ("a", "b")  # "c" was in the rest
    assert arrays["actions"].tolist() == [[0, 1, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0]]
    first, second = arrays["frames"][:2]
    assert np.array_equal(first[-1], second[0])


@pytest.mark.parametrize(
    ("lengths", "size"), [([9, 7], 7), ([2, 40, 5], 4), ([100, 90], MAX_ACTIONS)]
)
def test_the_shortest_clip_decides_within_limits(tmp_path, lengths, size):
    texts = [("go",) * n for n in lengths]
    plan = make_plan(texts, tmp_path, None, is_cut=True)
    assert plan.num_actions == size
    assert plan.num_pieces == sum(n // size for n in lengths)


def test_labels_that_would_be_wrong_are_dropped(collected, tmp_path):
    convert(collected, tmp_path / "a.h5", options=ReadOptions(size=(16, 16)))
    convert(tmp_path / "a.h5", tmp_path / "a")
    assert read_meta(tmp_path / "a").labels == ("moved", "found")  # counts no pixels
    convert(tmp_path / "a.h5", tmp_path / "b", options=ReadOptions(chunk_length=1))
    assert read_meta(tmp_path / "b").labels == ()


def test_a_failure_leaves_nothing_behind(tmp_path):
    source = clips(tmp_path / "clips", ["go"] * 4, ["go"] * 4)
    whole = (source / "clip1.mp4").read_bytes()
    (source / "clip1.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"clip1.mp4 must be"):
        convert(source, tmp_path / "data")
    assert [x.name for x in tmp_path.iterdir()] == ["clips"]


def test_what_a_killed_run_left_is_removed(tmp_path):
    (tmp_path / ".data.part").mkdir()
    (tmp_path / ".data.part" / "shard-00099.npz").write_text("old")
    convert(clips(tmp_path / "clips", ["go"] * 4, ["go"] * 4), tmp_path / "data")
    names = sorted(x.name for x in (tmp_path / "data").iterdir())
    assert names == ["meta.json", "shard-00000.npz"]


def test_frames_of_two_sizes_are_refused(tmp_path):
    source = clips(tmp_path / "clips", ["go"] * 4)
    write_video(source / "wide.mp4", frames_of(20, width=128), 10)
    (source / "wide.json").write_text('{"actions": ["go", "go", "go", "go"]}')
    with pytest.raises(ValueError, match="one size, got 96x64 and 128x64.*--size 64x6"):
        convert(source, tmp_path / "data")


def test_large_frames_are_refused_without_a_size(tmp_path):
    source = tmp_path / "clips"
    source.mkdir()
    write_video(source / "a.mp4", frames_of(9, height=64, width=640), 10)
    (source / "a.json").write_text('{"actions": ["go", "go", "go", "go"]}')
    with pytest.raises(ValueError, match="at most 256 px .* got 640x64: give a size"):
        convert(source, tmp_path / "data", num_actions=None, target_format="hdf5")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "data"], "The source must exist, got nowhere: correct the path"),
        (["empty", "data"], "got empty, which looks like none: see docs/interop.md"),
        (["clips", "clips"], "The target must be new, got clips, which is there"),
        (["ours", "out"], "`--to` must name the format of out, got none: one of shar"),
        (
            ["clips", "x", "--size", "64"],
            "must be WIDTHxHEIGHT in multiples of 16 .*'64'",
        ),
        (
            ["clips", "x", "--size", "60x64"],
            "multiples of 16 .* got '60x64': e.g. --s",
        ),
        (["clips", "x", "--size", "512x64"], "at most 256, got '512x64'"),
        (["clips", "x", "--fps", "0"], "`--fps` must be at least 1, got 0"),
        (
            ["clips", "x", "--actions", "3"],
            "`--actions` must be at least 4, which slow",
        ),
        (
            ["clips", "x", "--actions", "5"],
            "at least 2 episodes of 5 actions, got 0 in",
        ),
        (["clips", "x", "--stride", "2"], "got 2 for a source of format video: leave"),
        (
            ["clips", "x.hdf5", "--actions", "4"],
            "got a target of format hdf5, which",
        ),
        (["bare", "x"], 'got clip0.mp4 without clip0.json: write one, e.g. {"actions"'),
    ],
)
def test_impossible_wishes_are_answered_in_one_line(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    clips(tmp_path / "clips", ["go"] * 4, ["go"] * 4)
    (tmp_path / "empty").mkdir()
    clips(tmp_path / "bare", ["go"])
    (tmp_path / "bare" / "clip0.json").unlink()
    data_set(tmp_path / "ours")
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    with pytest.raises(ValueError, match=message):
        raise ValueError(error)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        '{"actions": []}',
        '{"actions": [""]}',
        '{"actions": [3]}',
        '{"actions": [{"text": "go", "start": 1}]}',
        '{"actions": [{"text": "go", "start": 1, "end": 1}]}',
        '{"actions": [{"text": "go", "start": -1, "end": 1}]}',
        '{"actions": [{"text": "go", "start": 0, "end": 99}]}',
        '{"actions": [{"text": "go", "start": 1, "end": 2},'
        ' {"text": "go", "start": 0, "end": 1}]}',
    ],
)
def test_a_json_file_that_says_something_else_is_named(tmp_path, text):
    source = clips(tmp_path / "clips", ["go"])
    (source / "clip0.json").write_text(text)
    with pytest.raises(ValueError, match=r"clip0.json must list actions .*got .*write"):
        convert(source, tmp_path / "data")


def test_of_mixed_entries_the_wrong_one_is_named(tmp_path):
    folder = clips(tmp_path / "clips", ["lift the ball", 3])
    with pytest.raises(ValueError, match="got the entry 3 among texts"):
        convert(folder, tmp_path / "data")


def test_more_actions_than_frames_are_refused(tmp_path):
    source = clips(tmp_path / "clips", ["go"] * 4, num_frames=4)
    with pytest.raises(
        ValueError, match="clip0.mp4 must have more frames than .* got 4"
    ):
        convert(source, tmp_path / "data")


@pytest.mark.parametrize("text", ["no JSON", "{}", '{"phrases": 3}'])
def test_a_description_of_another_version_is_refused(tmp_path, text):
    source = clips(tmp_path / "clips", ["go"] * 4, ["go"] * 4)
    (source / "slowfast.json").write_text(text)
    with pytest.raises(
        ValueError, match="must describe itself as this version does, go"
    ):
        convert(source, tmp_path / "data")


def test_a_file_that_is_no_video_is_named(tmp_path):
    source = clips(tmp_path / "clips", ["go"])
    (source / "clip0.mp4").write_text("hello")
    with pytest.raises(ValueError, match=r"clip0.mp4 must be a video, got a file that"):
        convert(source, tmp_path / "data")


def test_the_names_on_the_command_line_are_those_of_the_formats():
    assert list(NAMES) == list(FORMATS)


def test_help_does_not_load_heavy_packages():
    code = (
        "import sys, envs.convert; "
        "print([x for x in ('torch', 'av', 'pandas', 'h5py') if x in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"chunk_length": 2}, "keep their 4 frames per action, got --frames-per-acti"),
        ({"stride": 2}, "`--stride` is for lerobot and hdf5, got 2 for a source of f"),
        ({"camera": "top"}, "`--camera` is for lerobot and hdf5, got top for a source"),
    ],
)
def test_shards_are_not_cut_anew(tmp_path, options, text):
    source, target = data_set(tmp_path / "a"), tmp_path / "b"
    with pytest.raises(ValueError, match=text):
        convert(source, target, options=ReadOptions(**options), target_format="hdf5")
    assert not target.exists()


def test_the_last_frame_is_shown_as_long_as_the_others(tmp_path):
    times = np.linspace(0, 1.5, 5).tolist()
    spans = zip(times[:-1], times[1:], strict=True)
    said = [{"text": "go in", "start": a, "end": b} for a, b in spans]
    folder = clips(tmp_path / "a", said, said, fps=8, num_frames=12)
    convert(folder, tmp_path / "b")
    assert read_meta(tmp_path / "b").phrases == ("go in",)


def test_frames_that_an_edit_list_cuts_away_do_not_count(tmp_path):
    path, grey = tmp_path / "cut.mp4", np.full((32, 32, 3), 1, np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        stream.options = {"bf": "0"}
        for index in range(-5, 10):  # what lies before 0 is cut away
            frame = av.VideoFrame.from_ndarray(grey * (100 + 10 * index))
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert frame_times(path).tolist() == pytest.approx(np.arange(10) / 10)
    seen = read_frames(path, [0, 4, 8], None)[:, 0, 0, 0]
    assert seen.tolist() == pytest.approx([100, 140, 180], abs=3)


def test_a_clip_that_was_replaced_is_read_anew(tmp_path):
    path = tmp_path / "clip.mp4"
    for count in (12, 20):
        write_video(path, frames_of(count), 10)
        assert len(frame_times(path)) == count
