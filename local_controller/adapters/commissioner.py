"""Who carries out step tests in a running gateway? One at a time, as long as somebody listens to how it goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from local_controller.adapters.commissioning_file import Record, keep_record, record, rotation_of
from local_controller.adapters.site_driver import SiteDriver
from local_controller.clock import Clock
from local_controller.errors import LocalControllerError
from local_controller.site.commissioning import SiteStepTest, UntestableError
from local_controller.site.effects import Notice
from local_controller.site.step_verdict import Conclusion, Verdict
from local_controller.station.words import EvseId

LOOK_S: Final = 0.5
"""A meter is read every 0.2 to 2 s: this tells its delay well enough, and costs two reactions a second."""

LONGEST_S: Final = 900.0
"""No test takes so long: waiting, four moves and pauses are 9 min."""

log = structlog.get_logger(__name__)


class Commissioner:
    """product: vendor, model and firmware of a station, as far as it has said. directory: where results are kept, if anywhere."""

    def __init__(self, driver: SiteDriver, clock: Clock, product: Callable[[str], str], directory: Path | None) -> None:
        self._driver = driver
        self._clock = clock
        self._product = product
        self._directory = directory
        self._running: EvseId | None = None
        self._stopped = asyncio.Event()

    async def stop(self) -> None:
        """A test that runs ends with its next look."""
        self._stopped.set()

    def begin(self, evse: EvseId, *, may_pause: bool) -> AsyncGenerator[dict[str, Any], None]:
        """How it goes, twice a second, and last its result. It goes on only while somebody asks for more. Raises UntestableError."""
        if self._driver.observation is not None:
            text = "the site file says mode: observe, so no station is told anything"
            raise UntestableError(text, "commission it in mode: control")
        if self._running is not None:
            raise UntestableError(f"a step test of {self._running} is running", "wait until it has ended")
        test = SiteStepTest(self._driver.site, evse, self._clock.now(), may_pause=may_pause)
        return self._told(evse, test)

    async def _told(self, evse: EvseId, test: SiteStepTest) -> AsyncGenerator[dict[str, Any], None]:
        if self._running is not None:
            yield {"error": f"a step test of {self._running} is running: wait until it has ended"}
            return
        self._running = evse
        text = f"a step test of {evse} begins, at meter {test.test.meter}"
        self._driver.tell(Notice("info", "step_test_begins", text, {"evse": str(evse)}))
        begun = self._clock.now()
        try:
            while test.test.verdict is None:
                if self._stopped.is_set() or self._clock.now().since(begun) > LONGEST_S:
                    yield {"error": "the gateway has ended the test: repeat it"}
                    return
                self._driver.tested(test.step)
                yield self._progress(evse, test, self._clock.now().since(begun))
                await asyncio.sleep(LOOK_S)
            yield await self._ended(evse, test, test.test.verdict)
        finally:
            self._running = None
            self._driver.tested(test.stop)

    def _progress(self, evse: EvseId, test: SiteStepTest, elapsed_s: float) -> dict[str, Any]:
        reading = test.meter.reading
        return {
            "evse": str(evse),
            "elapsed_s": round(elapsed_s, 1),
            "doing": test.test.doing,
            "limit_a": round(test.state.ordered_a, 1),
            "measured_a": round(test.state.drawn_a(self._clock.now()), 1),
            "meter": test.meter.id,
            "meter_a": None if reading is None else [round(amperes, 1) for amperes in reading.current_a],
        }

    async def _ended(self, evse: EvseId, test: SiteStepTest, verdict: Verdict) -> dict[str, Any]:
        """The result; kept: in which file, None where there is none, and why not where it could not be written."""
        site = self._driver.site
        at = self._clock.now().utc.isoformat(timespec="seconds")
        where = test.meter.id, test.node, rotation_of(site.topology, evse)
        one = record(evse, at, self._product(evse.station), where, verdict)
        self._driver.tell(Notice(*_word(one), {"evse": one.evse, "conclusion": one.conclusion}))
        told: dict[str, Any] = {"result": msgspec.to_builtins(one), "kept": None}
        if self._directory is not None:
            try:
                await asyncio.to_thread(keep_record, self._directory, one)
                told["kept"] = str(self._directory)
            except LocalControllerError as error:
                log.warning("step_test_not_kept", reason=str(error))
                told["not_kept"] = str(error)
        return told


def _word(one: Record) -> tuple[str, str, str]:
    """Level, code and text of the event that people see on the page."""
    remedy = f": {one.remedy}" if one.remedy else ""
    level = "info" if one.conclusion is Conclusion.PROVEN else "warning"
    return level, "step_test_ended", f"step test of {one.evse}: {one.conclusion}; {one.text}{remedy}"
