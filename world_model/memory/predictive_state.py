"""`PredictiveStateMemory`: follows what is hidden while it is moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from world_model.api import Memory, WorldModel
from world_model.core import Chunk, Context, Reading
from world_model.predictive_state import PredictiveStateNet, own_rows


class PredictiveStateMemory(Memory):
    """Keeps what each action would uncover, and lets every action move it.

    The state M (n, d) has a row for each test, an action whose end hangs on what is
    hidden. Action a with end view x writes

        M <- g(x) v(x) + (1 - g(x)) T(a) M

    with T(a) a learned stochastic matrix, v(x) codes of what x shows at each test's
    place and g(x) in [0, 1] whether that place is open to view. Reading test a hands
    over the end view that its row of M foretells; imagined actions carry M along
    before. So a cube is followed under a cup that is moved, though no image shows it,
    which memories of views cannot do: that is composing permutations, and needs state
    transitions that depend on the action (Merrill, Petty & Sabharwal, ICML 2024, arXiv
    2404.08819). State as predictions of tests: Littman, Sutton & Singh (NIPS 2001);
    actions that act on memory by learned matrices: Whittington et al. (Cell 2020).
    SlowFast-VGen has no such memory.

    All of it is learned from images and actions of the data the world model was
    trained on, see `world_model.training.predictive_state`. It stores no frames and
    has one size whatever the episode's length.

    Args:
        world_model: Decodes views that are known as latents only.
        net: The learned parts.
        min_known: Share of a row that must come from what was seen for the memory to
            speak.
        carries: False for the ablation in which actions move nothing.
    """

    stores_frames: ClassVar[bool] = False

    def __init__(
        self,
        world_model: WorldModel,
        net: PredictiveStateNet,
        *,
        min_known: float = 0.5,
        carries: bool = True,
    ) -> None:
        if not 0 < min_known < 1:
            raise ValueError(f"`min_known` must be between 0 and 1, got {min_known}.")
        self.world_model = world_model
        self.net = net.eval().requires_grad_(False)
        self.min_known = min_known
        self.carries = carries
        self._states: dict[int, Tensor] = {}

    def reset(self, num_episodes: int, *, seeds: Sequence[int]) -> None:
        """Forgets everything."""
        self._states = {}

    @torch.no_grad()
    def write(self, chunk: Chunk) -> None:
        """Carries the active slots' states along, then looks."""
        slots = chunk.active.nonzero()[:, 0].tolist()
        device = self.net.code.weight.device
        fresh = [slot for slot in slots if slot not in self._states]
        if fresh:
            first = self.net.look(self._before(chunk)[fresh].to(device))
            states = self.net.see(self.net.blank(), first)
            self._states |= dict(zip(fresh, states, strict=True))
        if slots:
            before = torch.stack([self._states[slot] for slot in slots])
            carried = self._carry(before, chunk.actions[slots].to(device))
            seen = self.net.look(chunk.frames[slots, -1].to(device))
            self._states |= dict(zip(slots, self.net.see(carried, seen), strict=True))

    @torch.no_grad()
    def read(self, context: Context, actions: Tensor) -> Reading | None:
        """How each candidate's action ends, where it is a test and that is known."""
        if not any(slot in self._states for slot in context.memory_slots):
            return None
        assert context.latents is not None
        assert context.imagined is not None
        blank = self.net.blank()
        rows = [self._states.get(slot, blank) for slot in context.memory_slots]
        states = torch.stack(rows)[:, None].expand(-1, actions.shape[1], -1, -1)
        for done in context.imagined.to(blank.device).unbind(dim=-1):
            states = self._carry(states, done)
        tests = self._tests(actions.to(blank.device))
        told = own_rows(states, tests)
        known = ((tests >= 0) & (told[..., -1] > self.min_known)).cpu()
        views = context.latents[:, :, -1]
        ends = torch.zeros_like(views)
        ends[known] = self.net.end(views[known], tests[known], told[known][:, :-1])
        return Reading(
            frames=ends[:, :, None], frames_valid=known, frames_recalled=True
        )

    def snapshot(self) -> dict[int, Tensor]:
        """See `Memory.snapshot`; states are replaced, never changed in place."""
        return dict(self._states)

    def restore(self, state: dict[int, Tensor]) -> None:
        """See `Memory.restore`."""
        self._states = dict(state)

    @property
    def num_bytes(self) -> int:
        """Bytes of one state."""
        return self.net.blank().nbytes

    def _before(self, chunk: Chunk) -> Tensor:
        """The views before a chunk, (B, C, H, W)."""
        last = chunk.context.last(1)
        if last.frames is not None:
            return last.frames[:, 0]
        assert last.latents is not None
        return self.world_model.decode(last.latents[:, 0])

    def _carry(self, states: Tensor, actions: Tensor) -> Tensor:
        """States (*, n, d + 1) after actions (*,) at whose ends nobody looks."""
        if not self.carries:
            return states
        known = actions < len(self.net.slots)
        carried = self.net.carry(states, actions.clamp(max=len(self.net.slots) - 1))
        # Goals in words: nobody knows what is moved on the way there.
        return torch.where(known[..., None, None], carried, self.net.blank())

    def _tests(self, actions: Tensor) -> Tensor:
        """Slot of each action, -1 where it has none."""
        known = actions < len(self.net.slots)
        return torch.where(known, self.net.slots[actions * known], -1)
