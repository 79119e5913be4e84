"""Which blocks are asked about a message, by its action? The same for all stations with the same blocks.

What a block does not override, and an action that it does not name, costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from local_controller.station.block import Block

Asked = tuple[tuple[int, bool], ...]
"""The number of each block that is to be asked, and whether this block may have a deadline."""


class Audience:
    """Which blocks are asked by one of their methods about a message, by its action? The same for all stations."""

    def __init__(self, blocks: Sequence[type[Block]], method: str) -> None:
        """Those that override `method`, each for the actions that it names; the order is that of the blocks."""
        chosen = [
            ((number, _has_deadline(block)), getattr(block, f"{method}_only"))
            for number, block in enumerate(blocks)
            if getattr(block, method) is not getattr(Block, method)
        ]
        named = {action for _, only in chosen for action in only or ()}
        self.of_rest: Asked = tuple(asked for asked, only in chosen if only is None)
        """Those who are asked about an action that nobody names."""
        self.of: Mapping[str | None, Asked] = {
            action: tuple(asked for asked, only in chosen if only is None or action in only) for action in named
        }


class Roles:
    """Which of these blocks does what, by their numbers? The same for all stations."""

    def __init__(self, blocks: Sequence[type[Block]]) -> None:
        """As above, what a block does not override costs nothing."""
        self.claims, self.called, self.observe = (
            Audience(blocks, method) for method in ("claims", "called", "observe")
        )
        self.clocked = [number for number, block in enumerate(blocks) if _has_deadline(block)]
        self.greeters, self.senders, self.hearers = (
            [number for number, block in enumerate(blocks) if getattr(block, method) is not getattr(Block, method)]
            for method in ("connected", "sent", "answered")
        )
        actions = {action for block in blocks for action in block.REVISES}
        self.revisers: Mapping[str | None, list[int]] = {
            action: [number for number, block in enumerate(blocks) if action in block.REVISES] for action in actions
        }


@lru_cache(maxsize=64)
def roles_of(blocks: tuple[type[Block], ...]) -> Roles:
    """Theirs, worked out once for all stations that have these blocks in this order."""
    return Roles(blocks)


def _has_deadline(block: type[Block]) -> bool:
    return block.deadline is not Block.deadline
