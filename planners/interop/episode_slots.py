"""`EpisodeSlots`: which episode has which slot of a memory."""

from __future__ import annotations

from collections.abc import Sequence

from world_model.api import Memory


class EpisodeSlots:
    """Gives every episode a slot of its own, by the number that names it.

    stable-worldmodel plans for some of its environments at a time, in any order, and
    names episodes by a random number (`info["id"]`).

    Args:
        memory: Reset here, once.
        num_episodes: Most episodes that will be seen; their `World` begins up to one
            per environment more than it is asked to evaluate.
        seed: Of the first slot; the others follow.
    """

    def __init__(self, memory: Memory, num_episodes: int, *, seed: int = 0) -> None:
        self.memory = memory
        self.num_episodes = num_episodes
        self._slots: dict[int, int] = {}
        memory.reset(num_episodes, seeds=range(seed, seed + num_episodes))

    def of(self, episodes: Sequence[int]) -> tuple[int, ...]:
        """The slots of some episodes; new ones are given the next.

        Raises:
            ValueError: If there are more episodes than slots.
        """
        for episode in episodes:
            self._slots.setdefault(episode, len(self._slots))
        if len(self._slots) > self.num_episodes:
            raise ValueError(
                f"`num_episodes` must cover all episodes, got {self.num_episodes} and "
                "one more: raise it."
            )
        return tuple(self._slots[episode] for episode in episodes)
