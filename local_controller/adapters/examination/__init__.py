"""Does everything that a site file names answer? Each is asked once, side by side, and nothing is changed by it.

No station is played: a CSMS is asked for its address only, as any browser would. Brokers know this client by another
name than the running gateway, which therefore keeps its connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from local_controller.adapters.examination.csms import addresses, examine_csms
from local_controller.adapters.examination.finding import Finding, State
from local_controller.adapters.examination.inputs import examine_inputs
from local_controller.adapters.examination.kept import examine_journal
from local_controller.adapters.examination.machine import certificates, own_things
from local_controller.adapters.examination.step_tests import step_tests
from local_controller.adapters.settings import tls_legs
from local_controller.clock import Clock
from local_controller.config.models import SiteConfig
from local_controller.errors import LocalControllerError


async def examine(config: SiteConfig, clock: Clock, patience_s: float) -> AsyncIterator[Finding]:
    """Findings as they come; the whole takes about `patience_s`: that long meters and limits are waited for."""
    for finding in (*own_things(config), *step_tests(config), *examine_journal(config)):
        yield finding
    try:
        legs = tls_legs(config)
    except LocalControllerError as error:
        yield Finding("certificates", State.ERROR, str(error), "correct the file that it names")
        return
    for finding in certificates(legs, clock.now().utc):
        yield finding
    examinations = [
        *(examine_csms(one, url, legs.get(one.label), clock) for one, url in addresses(config)),
        examine_inputs(config, clock, patience_s, legs),
    ]
    for done in asyncio.as_completed(examinations):
        for finding in await done:
            yield finding
