"""`local-controller` whose wall clock is set while it runs: SIGUSR1 puts it an hour forward, SIGUSR2 an hour back.

Everything that the product knows of the time of day comes from one place (`local_controller/clock.py`); there it is changed.
"""

from __future__ import annotations

import signal
from datetime import datetime, timedelta, tzinfo

from local_controller import clock
from local_controller.cli.main import app

HOUR_S = 3600.0


class SettableDatetime(datetime):
    """The time of day as this process sees it."""

    ahead_s = 0.0

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        """As far ahead as it was set."""
        return datetime.now(tz) + timedelta(seconds=cls.ahead_s)


def main() -> None:
    for number, by_s in ((signal.SIGUSR1, HOUR_S), (signal.SIGUSR2, -HOUR_S)):
        signal.signal(number, lambda *_, by_s=by_s: setattr(SettableDatetime, "ahead_s", by_s))
    clock.datetime = SettableDatetime
    app()


if __name__ == "__main__":
    main()
