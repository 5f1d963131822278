"""Imports the parts of robosuite that `tabletop` needs, or says what is missing."""

from __future__ import annotations

import logging

from envs.gl import mujoco
from world_model.errors import MachineError

_INSTALL = (
    "run `make setup`, or `pip install --no-deps robosuite==1.5.2` beside "
    "mujoco>=3.3,<3.9, numba and termcolor"
)


def check_mujoco(version: str) -> None:
    """Refuses versions of MuJoCo that robosuite 1.5.2 does not run on.

    Raises:
        MachineError: If `version` is none of 3.3 to 3.8.
    """
    major, minor = (int(part) for part in version.split(".")[:2])
    if not (3, 3) <= (major, minor) < (3, 9):
        raise MachineError(
            f"`domain=tabletop` needs MuJoCo 3.3 to 3.8, got {version}: {_INSTALL}."
        )


def check_robosuite(version: str) -> None:
    """Refuses other versions than the one whose physics the rows were run on.

    Raises:
        MachineError: If `version` is not 1.5.2.
    """
    if version != "1.5.2":
        raise MachineError(
            f"`domain=tabletop` needs robosuite 1.5.2, got {version}: {_INSTALL}."
        )


check_mujoco(mujoco.__version__)
# While it is imported robosuite reports packages that nothing here needs.
_before = logging.root.manager.disable
logging.disable(logging.WARNING)
try:
    from robosuite import __version__ as _version
    from robosuite.controllers import (
        load_composite_controller_config as load_composite_controller_config,
    )
    from robosuite.environments.manipulation.manipulation_env import (
        ManipulationEnv as ManipulationEnv,
    )
    from robosuite.models.arenas import Arena as Arena
    from robosuite.models.grippers import register_gripper as register_gripper
    from robosuite.models.grippers.panda_gripper import (
        PandaGripperBase as PandaGripperBase,
    )
    from robosuite.models.objects import BoxObject as BoxObject
    from robosuite.models.objects import CompositeObject as CompositeObject
    from robosuite.models.tasks import ManipulationTask as ManipulationTask
except ImportError as error:
    raise MachineError(
        f"`domain=tabletop` needs robosuite 1.5.2, got {error}: {_INSTALL}."
    ) from error
finally:
    logging.disable(_before)
check_robosuite(_version)
logging.getLogger("robosuite_logs").setLevel(logging.ERROR)
