"""Which charging priority did the CSMS give a token, and which a transaction? (K03.FR.04 to .06)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from local_controller.rpc.recent import Recent

MOST: Final = 32
"""So many tokens and transactions are remembered, the latest; far more than a station has EVSEs."""

Token = tuple[str, str]
"""The identifier and its type, both in lower case (C01.FR.25)."""

_Key = TypeVar("_Key")


@dataclass(slots=True)
class ChargingPriorities:
    """From -9 to 9, the higher goes first; 0 is usual and not kept.

    of_transactions: by transaction id, those of an earlier run too, whose transactions may go on.
    """

    of_transactions: dict[str, int] = field(default_factory=dict)
    _of_tokens: dict[Token, int] = field(default_factory=dict)
    _own: Recent[str] = field(default_factory=lambda: Recent(MOST))

    def authorized(self, token: Token, priority: int) -> None:
        """The CSMS let this token in, with this priority."""
        _keep(self._of_tokens, token, priority)

    def told(self, transaction_id: str, own: int | None, of_token: int | None, token: Token | None) -> None:
        """An event of a transaction names this token, and the CSMS answered: its own priority, and that of the token.

        None where it says nothing. Its own one overrules that of the token, also one that comes later.
        """
        if of_token is not None and token is not None:
            self.authorized(token, of_token)
        if own is not None:
            self._own.append(transaction_id)
        elif transaction_id in self._own:
            return
        said = of_token if own is None else own
        if said is None and token is not None:
            said = self._of_tokens.get(token)
        if said is not None:
            _keep(self.of_transactions, transaction_id, said)

    def recall(self, of_transactions: Mapping[str, int]) -> None:
        """What an earlier run knew."""
        self.of_transactions.update(of_transactions)

    def ended(self, transaction_id: str) -> None:
        """Nobody will ask for it any more."""
        self.of_transactions.pop(transaction_id, None)
        self._own[:] = [one for one in self._own if one != transaction_id]

    def forget(self, identifier: str) -> None:
        """Nothing here names this driver any more (LC-146)."""
        self._of_tokens = {one: value for one, value in self._of_tokens.items() if one[0] != identifier.lower()}


def _keep(kept: dict[_Key, int], key: _Key, priority: int) -> None:
    """Among the latest."""
    kept.pop(key, None)
    if priority:
        kept[key] = priority
    if len(kept) > MOST:
        del kept[next(iter(kept))]
