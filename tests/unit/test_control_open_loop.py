"""Laws hold, ramp and monitor."""

import pytest

from evapd.control import ControlSettings, RateObservation, create
from evapd.errors import ConfigError

SETTINGS = ControlSettings(target_rate=0.01, pulse_rate_hz=2e5, v_min_v=500, v_max_v=3000, ramp_v_per_s=20.0)
SEEN = RateObservation(
    t_s=0, pulses=10_000, hits=100, v_dc_v=1234.0, valid=True, pulser_ok=True, saturated=False
)


def test_hold_keeps_its_voltage() -> None:
    law = create("hold", SETTINGS)
    law.reset(2000.0, 0.0)
    assert [law.step(SEEN, t).v_dc_v for t in (1.0, 2.0)] == [2000.0, 2000.0]


def test_ramp_climbs_at_its_slope_and_stops_at_the_ceiling() -> None:
    law = create("ramp", SETTINGS)
    law.reset(2990.0, 0.0)
    v_v = [law.step(SEEN, 0.05 * k).v_dc_v for k in range(1, 21)]
    assert v_v[0] == pytest.approx(2991.0)
    assert v_v[-1] == 3000.0


def test_ramp_stands_still_when_blind() -> None:
    law = create("ramp", SETTINGS)
    law.reset(1000.0, 0.0)
    assert [law.step(None, 0.05 * k).v_dc_v for k in range(1, 5)] == [1000.0] * 4


def test_ramp_stands_still_while_inhibited() -> None:
    law = create("ramp", SETTINGS)
    law.reset(1000.0, 0.0)
    law.inhibited(0.0, 10.0)
    assert law.step(SEEN, 0.05).v_dc_v == 1000.0
    law.resumed(1.0)
    assert law.step(SEEN, 1.05).v_dc_v > 1000.0


def test_monitor_follows_what_is_measured() -> None:
    law = create("monitor", SETTINGS)
    law.reset(0.0, 0.0)
    assert law.step(SEEN, 0.05).v_dc_v == 1234.0


def test_unknown_law_names_those_that_exist() -> None:
    with pytest.raises(ConfigError, match=r"no law 'pid'.*pi-log"):
        create("pid", SETTINGS)
