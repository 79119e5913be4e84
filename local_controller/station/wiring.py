"""What do a station's samples mean where it is wired in another way than between 230 V phases and neutral?

A station between two lines has one phase, and OCPP has no name for it: it may be called L1, both L1 and L2 (each with the
one current that flows), "L1-L2" as the phase of a SampledValue, or nothing at all (2.0.1 PhaseEnumType, 1.6 ch. 7.44). Its
current is whatever it names, the largest of it if it names several; with power alone it is what that is at the nominal
voltage, as for any phase (`dialects.sampled`, rule 2). So all that follows sees a single-phase station, whose watts are those of one phase.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from local_controller.profiles.units import NOMINAL_VOLTAGE_V
from local_controller.station.dialects.sampled import LIVE_V
from local_controller.station.words import MeterSample, Phase


@dataclass(frozen=True, slots=True)
class Wiring:
    """phase_v: the nominal voltage of each of its phases. is_between: it stands between two lines. has_neutral: the grid.

    lines: on how many phases a car may charge there; 1 where nobody says so. most_lines: on how many at most; 3 where nobody says so.
    """

    phase_v: float = NOMINAL_VOLTAGE_V
    is_between: bool = False
    has_neutral: bool = True
    lines: int = 1
    most_lines: int = 3

    def phases(self, in_use: int) -> int:
        """Phases that share the watts of a car that loads so many: two lines without neutral are one phase."""
        return 1 if in_use == 2 and not self.has_neutral else in_use

    @property
    def is_usual(self) -> bool:
        """Whether a sample means what it says."""
        return not self.is_between and self.phase_v == NOMINAL_VOLTAGE_V

    def read(self, sample: MeterSample) -> MeterSample:
        """The sample as one of this station."""
        return self._between(sample) if self.is_between else self._derived(sample)

    def _between(self, sample: MeterSample) -> MeterSample:
        amperes = sample.told_a
        if amperes is None and sample.power_w is not None:
            amperes = sample.power_w / self.phase_v
        fed_back_a = min(sample.current_a.values(), default=0.0)
        if fed_back_a < 0.0:
            amperes = fed_back_a
        return msgspec.structs.replace(sample, current_a={} if amperes is None else {Phase.L1: amperes})

    def _derived(self, sample: MeterSample) -> MeterSample:
        """A current that was made of power at 230 V, because no voltage was told, is one at this voltage."""
        if sample.told_a is not None or not sample.current_a:
            return sample
        factor = NOMINAL_VOLTAGE_V / self.phase_v
        return msgspec.structs.replace(
            sample,
            current_a={
                phase: amperes if self._is_live(sample, phase) else amperes * factor
                for phase, amperes in sample.current_a.items()
            },
        )

    @staticmethod
    def _is_live(sample: MeterSample, phase: Phase) -> bool:
        return sample.voltage_v.get(phase, 0.0) > LIVE_V


USUAL: Final = Wiring()
"""Between 230 V phases and neutral."""
