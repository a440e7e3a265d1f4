"""The whole simulated atom probe, stepped in virtual time: plant in, TDC words out. No clock, no thread."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from evapd.config.model import Rig
from evapd.units import NS_PER_S
from evapd_sim.anode import AnodeFile
from evapd_sim.converter import TdcInputs
from evapd_sim.cryostat import Cryostat
from evapd_sim.detector import dark_hits, plate_gain, seen_in_crowd
from evapd_sim.disturb.influence import Influence
from evapd_sim.elements import species_of
from evapd_sim.evaporation import Evaporation, Ions
from evapd_sim.flight import Flight
from evapd_sim.outburst import outburst
from evapd_sim.plant import Plant
from evapd_sim.projection import project
from evapd_sim.settings import AtomProbeTwin
from evapd_sim.signals import DelayLines
from evapd_sim.specimen import Specimen
from evapd_sim.step import StepResult, Truth

_PS_PER_S = 1e12


@dataclass(frozen=True, slots=True)
class _State:
    """What holds during one step, taken at its middle."""

    v_dc_v: float
    v_p_v: float
    counted_hz: float  # triggers that the TDC counts, live or inhibited
    live: bool
    temperature_k: float
    heating_k: float  # rise of the apex at a laser pulse
    lit: float  # share of the triggers that bring light; 1 without a laser
    gain: float  # share of the hits that the plates make large enough; 1 without plates


class Experiment:
    """Specimen, pulser, detector and TDC of one rig.

    Attributes:
        plant: what the instruments and the physics share; the experiment advances its supplies.
        specimen: the tip; `radius_nm` and `field_factor` may be set between steps.
        species: the ions it can give.
        laser_energy_pj: energy of a laser pulse where no simulated laser drives the plant; may be set between steps.
        influence: what disturbs the next step; may be set between steps.
        plates: supplies of the micro-channel plates by name, with the voltage at which they see everything.
        detected_ions: so far, dark hits not among them.
        evaporated_ions: from the imaged cap so far.
    """

    def __init__(self, rig: Rig, settings: AtomProbeTwin, anode: AnodeFile, plant: Plant) -> None:
        """Build the instrument; sets the plant's supply constants, temperatures and set point."""
        self.plant = plant
        self.settings = settings
        self.influence = Influence()
        supplies_on = {} if rig.detector is None else rig.detector.supplies
        self.plates = {
            name: one.v_v for name, one in supplies_on.items() if rig.devices[name].role == "mcp" and one.v_v
        }
        self.detected_ions = 0
        self.evaporated_ions = 0
        self.species = species_of(settings.specimen.composition)
        self.laser_energy_pj = rig.pulse.energy_pj or 0.0
        self._laser = rig.pulse.mode == "laser"
        self._anode = anode
        self._path_mm = rig.instrument.flight_path_mm
        self._rng = np.random.default_rng(settings.seed)
        self.specimen = Specimen(
            settings.specimen,
            self.species,
            efficiency=settings.detector.efficiency,
            pulse_temperature_k=settings.specimen.temperature_k + self._heating_k(self.laser_energy_pj),
        )
        self._evaporation = Evaporation(
            self.species, settings.multi_hit, view_angle_deg=settings.specimen.view_angle_deg
        )
        self._flight = Flight(rig.instrument, settings.flight, laser=self._laser)
        detector = settings.detector
        self.bin_ps = Fraction(*detector.bin_ps)
        self._lines = DelayLines(
            anode,
            jitter_ps=anode.jitter_ps if detector.jitter_ps is None else detector.jitter_ps,
            missing=detector.missing,
            noise_hz=detector.noise_hz,
            effects=detector,
        )
        self._inputs = TdcInputs(
            bin_ps=float(self.bin_ps),
            dead_time_ps=anode.dead_time_ps if detector.dead_time_ps is None else detector.dead_time_ps,
        )
        self._mass_to_charge_da = self.species.mass_to_charge_da
        self._phase = 0.0  # part of a pulse period that has passed since the last pulse
        self._arrivals = 0  # on the detector so far
        self.time_s = 0.0
        supplies = settings.supplies
        plant.specimen.tau_up_s, plant.specimen.tau_down_s = supplies.tau_up_s, supplies.tau_down_s
        plant.pulse.tau_up_s, plant.pulse.tau_down_s = supplies.pulse_tau_up_s, supplies.pulse_tau_down_s
        self.cryostat = Cryostat(settings.cryostat, plant, tip_k=settings.specimen.temperature_k)

    def step(self, dt_s: float) -> StepResult:
        """Advance supplies, tip and detector by `dt_s` seconds; gives the words of the pulses that fell into it."""
        state = self._advance_plant(dt_s)
        self.time_s += dt_s
        pulses = self._count_pulses(state.counted_hz, dt_s)
        rate = self.specimen.rate(
            state.v_dc_v,
            state.v_dc_v + state.v_p_v,
            rate_hz=state.counted_hz if state.live else 0.0,
            temperature_k=state.temperature_k,
            pulse_temperature_k=state.temperature_k + state.heating_k,
        )
        influence = self.influence
        factor = math.exp(influence.log_rate)
        per_pulse = factor * state.lit * float(rate.per_pulse.sum()) if state.live else 0.0
        dc_per_s = factor * influence.standing_factor * float(rate.per_s.sum()) + influence.flash_ions_per_s
        radius_nm = self.specimen.radius_nm
        ceiling = self.settings.specimen.ceiling_ions_per_s * dt_s
        cascades = self._evaporation.cascades(
            self._rng, min(per_pulse * pulses, ceiling), min(dc_per_s * dt_s, ceiling)
        )
        evaporated = cascades.ions + sum(cluster.ions for cluster in influence.clusters)
        self.specimen.blunt(evaporated)
        self.evaporated_ions += evaporated
        truth = Truth(
            first_arrival=self._arrivals,
            evaporated=evaporated,
            ions_per_pulse=per_pulse,
            dc_ions_per_s=dc_per_s,
            v_dc_v=state.v_dc_v,
            v_p_v=state.v_p_v,
            radius_nm=radius_nm,
        )
        if pulses == 0:
            # A TDC that gets no start measures nothing, and its clock is not read out.
            self._inputs.forget()
            return StepResult(pulses=0, t_device_ns=self._device_ns(), truth=truth)
        period_ps = _PS_PER_S / state.counted_hz
        if evaporated:
            ions = self._evaporation.place(
                self._rng,
                rate,
                cascades,
                pulses=pulses,
                period_ps=period_ps,
                radius_nm=radius_nm,
                seen=self.settings.detector.efficiency,
            )
            for cluster in influence.clusters:
                ions = outburst(
                    self._rng,
                    self._evaporation,
                    rate,
                    cluster,
                    ions,
                    pulses=pulses,
                    period_ps=None if state.live else period_ps,
                    radius_nm=radius_nm,
                    seen=self.settings.detector.efficiency,
                )
            truth = self._detect(ions, state, truth)
            self.detected_ions += truth.hits
        truth = self._add_dark(truth, dt_s * state.gain, pulses, period_ps)
        self._inputs.push(self._lines.signals(self._rng, truth.arrivals, truth.first_arrival))
        self._arrivals += truth.hits
        self._inputs.push(self._lines.noise(self._rng, dt_s, pulses, period_ps))
        words = self._inputs.take(pulses, period_ps)
        return StepResult(
            pulse_offsets=words.pulse,
            channels=words.channel,
            times=words.time,
            owners=words.owner,
            pulses=pulses,
            inhibited=0 if state.live else pulses,
            t_device_ns=self._device_ns(),
            saturated=truth.hits > self.settings.detector.fifo_hits_per_s * dt_s,
            truth=truth,
        )

    def _advance_plant(self, dt_s: float) -> _State:
        plant = self.plant
        with plant.lock:
            v_dc_v, v_pulse_v = plant.specimen.v_v, plant.pulse.v_v
            plant.specimen.advance(dt_s)
            plant.pulse.advance(dt_s)
            plant.advance_supplies(dt_s)
            v_p_v = 0.5 * (v_pulse_v + plant.pulse.v_v) * self.settings.supplies.pulser_gain
            beam = plant.laser
            beam.drift = self.influence.laser_energy_factor
            there = self._laser and beam.present
            return _State(
                v_dc_v=0.5 * (v_dc_v + plant.specimen.v_v),
                v_p_v=0.0 if self._laser else v_p_v * self.influence.v_p_factor,
                counted_hz=plant.trigger.rate_hz
                if plant.trigger.running and self.influence.triggers
                else 0.0,
                live=plant.trigger.live,
                temperature_k=self.cryostat.advance(dt_s),
                heating_k=self._heating_k(beam.energy_pj if there else self.laser_energy_pj),
                lit=beam.lit(plant.trigger.rate_hz) if there else 1.0,
                gain=math.prod(plate_gain(plant.supply(name).v_v / v_v) for name, v_v in self.plates.items()),
            )

    def _detect(self, ions: Ions, state: _State, truth: Truth) -> Truth:
        """Fly the ions to the detector; those that miss the plate or find it saturated are gone."""
        x_mm, y_mm = project(
            ions.a,
            ions.b,
            flight_path_mm=self._path_mm,
            compression=self.settings.specimen.image_compression,
        )
        tof_ps = ions.wait_ps + self._flight.arrival_ps(
            self._rng,
            self._mass_to_charge_da[ions.species],
            x_mm,
            y_mm,
            v_dc_v=state.v_dc_v,
            v_p_v=state.v_p_v,
            pulsed=ions.pulsed,
        )
        seen = seen_in_crowd(self._rng, ions.pulse, self.settings.detector.saturation_ions)
        if state.gain < 1.0:
            seen &= self._rng.random(len(seen)) < state.gain
        seen &= x_mm * x_mm + y_mm * y_mm <= self._anode.radius_mm**2
        return replace(
            truth,
            pulse=ions.pulse[seen],
            tof_ps=tof_ps[seen],
            x_mm=x_mm[seen],
            y_mm=y_mm[seen],
            species=ions.species[seen],
            pulsed=ions.pulsed[seen],
        )

    def _add_dark(self, truth: Truth, dt_s: float, pulses: int, period_ps: float) -> Truth:
        n = int(self._rng.poisson(self.settings.detector.dark_rate_hz * self.influence.dark_factor * dt_s))
        if n == 0:
            return truth
        dark = dark_hits(self._rng, n, pulses=pulses, period_ps=period_ps, radius_mm=self._anode.radius_mm)
        return replace(
            truth,
            pulse=np.concatenate((truth.pulse, dark.pulse)),
            tof_ps=np.concatenate((truth.tof_ps, dark.t_ps)),
            x_mm=np.concatenate((truth.x_mm, dark.x_mm)),
            y_mm=np.concatenate((truth.y_mm, dark.y_mm)),
            species=np.concatenate((truth.species, np.full(n, -1))),
            pulsed=np.concatenate((truth.pulsed, np.zeros(n, dtype=np.bool_))),
        )

    def _heating_k(self, energy_pj: float) -> float:
        if not self._laser:
            return 0.0
        influence = self.influence
        factor = influence.laser_energy_factor * influence.heating_factor
        return energy_pj * self.settings.flight.laser_heating_k_per_pj * factor

    def _device_ns(self) -> int:
        return round(self.time_s * NS_PER_S)

    def _count_pulses(self, rate_hz: float, dt_s: float) -> int:
        due = self._phase + rate_hz * dt_s
        # A product such as 200e3 * 0.005 must not lose a pulse to rounding.
        pulses = math.floor(due + 1e-9)
        self._phase = due - pulses
        return pulses
