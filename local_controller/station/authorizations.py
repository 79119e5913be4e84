"""What has the CSMS said of identifiers to one station, and what follows from it while it cannot be asked?"""

from __future__ import annotations

from datetime import datetime

from local_controller.station.authorization import IdToken, LocalListUpdate, UnknownPolicy, Verdict


class Authorizations:
    """Of one station. Made by `AuthorizationMemory.of`, which keeps it. Times are UTC by the CSMS's clock."""

    def learn(self, token: IdToken, verdict: Verdict, now: datetime) -> None:
        """The CSMS has answered so."""
        raise NotImplementedError

    def clear_cache(self, now: datetime) -> None:
        """The station has cleared its cache (C11); what others are told from now on counts here as well."""
        raise NotImplementedError

    def local_list_sent(self, update: LocalListUpdate) -> None:
        """The station has taken this update of its local list."""
        raise NotImplementedError

    def local_list_is(self, version: int) -> None:
        """The station says which list it has (GetLocalListVersion); 0 or less is none."""
        raise NotImplementedError

    def decide(self, token: IdToken, unknown: UnknownPolicy, now: datetime) -> Verdict:
        """What to answer to this driver."""
        raise NotImplementedError
