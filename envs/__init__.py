"""Environments: `SlowFast/<Domain><Task>-v0` and `SlowFast/WorldModel-v0`."""

import os

import gymnasium

# MuJoCo reads it when it is imported; a user's own choice stands.
os.environ.setdefault("MUJOCO_GL", "egl")
for _domain in ("MiniWorld", "Rooms", "Scroll"):
    for _task, _name in (("FindSeen", "find_seen"), ("ReturnHome", "return_home")):
        gymnasium.register(
            id=f"SlowFast/{_domain}{_task}-v0",
            entry_point="envs.memory_task_env:MemoryTaskEnv",
            kwargs={"domain": _domain.lower(), "task": _name},
        )
for _task, _name in (
    ("RestoreCubes", "restore_cubes"),
    ("ShellGame", "shell_game"),
    ("SwapBack", "swap_back"),
):
    gymnasium.register(
        id=f"SlowFast/{_task}-v0",
        entry_point="envs.memory_task_env:MemoryTaskEnv",
        kwargs={"domain": "tabletop", "task": _name},
    )
for _domain in ("Arm", "Fetch", "Point"):
    gymnasium.register(
        id=f"SlowFast/{_domain}Reach-v0",
        entry_point="envs.goal_task_env:GoalTaskEnv",
        kwargs={"domain": _domain.lower(), "task": "reach"},
    )
gymnasium.register(
    id="SlowFast/WorldModel-v0", entry_point="envs.world_model_env:WorldModelEnv"
)
