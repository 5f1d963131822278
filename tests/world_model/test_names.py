import pytest

from world_model.names import check_group_names, choices


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["planner=mpc", "memory=temp_lora", "task=rooms_find_seen"],
        ["--multirun", "planner=mpc,random", "memory=none,anchor"],
        ["+memory=none", "memory.rank=3", "outputs=mpcc", "--help", "episodes=2"],
        ["planner=choice(mpc,random)", "memory=glob(temp*)"],
        ["paired=null", "paired=anchor", "paired=[none,anchor]"],
        ["metric=[]", "planner/optimizer=icem"],
    ],
)
def test_known_names_pass(arguments):
    check_group_names(arguments)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("planner=mpcc", "Unknown planner 'mpcc'. Did you mean 'mpc'? Available: "),
        ("memory=templora", "Unknown memory 'templora'. Did you mean 'temp_lora'?"),
        ("task=rooms_find", "Unknown task 'rooms_find'. Did you mean 'rooms_find_se"),
        (
            "world_model=simulatr",
            "Unknown world_model 'simulatr'. Did you mean 'simulator'?",
        ),
        ("planner=mpc,randon", "Unknown planner 'randon'. Did you mean 'random'?"),
        ("paired=nnone", "Unknown paired 'nnone'. Did you mean 'none'?"),
        ("planner=", "Unknown planner ''. Available: "),
        ("planner/optimizer=icemm", "Unknown planner/optimizer 'icemm'. Did you mean "),
        ("metric=mine", "Unknown metric 'mine'. Available: rearrangement."),
        ("metric=[mine,other]", "Unknown metric 'mine'. Available: rearrangement."),
    ],
)
def test_an_unknown_name_gets_the_nearest_one(argument, message):
    with pytest.raises(ValueError, match="^Unknown") as error:
        check_group_names(["episodes=2", argument])
    assert str(error.value).startswith(message)


def test_choices_are_the_files_of_a_group(tmp_path):
    for name in ("b.yaml", "a.yaml", "notes.md"):
        (tmp_path / "group").mkdir(exist_ok=True)
        (tmp_path / "group" / name).touch()
    assert choices("group", tmp_path) == ["a", "b"]


@pytest.mark.parametrize("option", [["--config-dir", "{}"], ["--config-dir={}"]])
def test_config_folders_of_the_command_line_count(tmp_path, option):
    (tmp_path / "planner").mkdir()
    (tmp_path / "planner" / "mine.yaml").touch()
    words = [word.format(tmp_path) for word in option]
    check_group_names([*words, "planner=mine", "memory=none"])
    with pytest.raises(ValueError, match="Unknown planner 'min'. Did you mean 'mine'"):
        check_group_names([*words, "planner=min"])
    check_group_names(["hydra.searchpath=[file:///x]", "planner=min"])
