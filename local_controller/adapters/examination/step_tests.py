"""Has a step test proven each EVSE at its meter, as the site file says it now?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from local_controller.adapters.commissioning_file import read_records, unproven
from local_controller.adapters.examination.finding import Finding, State
from local_controller.config.build import topology
from local_controller.config.models import SiteConfig
from local_controller.errors import LocalControllerError

NAMED: Final = 5
_SUBJECT: Final = "step tests"


def step_tests(config: SiteConfig) -> Iterator[Finding]:
    """Nothing where no meter is, or no folder to keep results in."""
    if config.state_directory is None or not config.meters or not Path(config.state_directory).is_dir():
        return
    try:
        missing = list(unproven(topology(config), read_records(Path(config.state_directory))))
    except LocalControllerError as error:
        text, _, remedy = str(error).rpartition("; ")
        yield Finding(_SUBJECT, State.WARNING, text, remedy)
        return
    if not missing:
        yield Finding(_SUBJECT, State.OK, "every EVSE behind a meter is proven there")
        return
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    text = f"nothing has proven yet that its meter sees {', '.join(missing[:NAMED])}{more} as this file says"
    yield Finding(_SUBJECT, State.WARNING, text, "plug a car in and run `local-controller commission`, with this file")
