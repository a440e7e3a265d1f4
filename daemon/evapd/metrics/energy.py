"""Metrics of what the guard says: energy, law, rules, instruments, alarms. All are NaN while it is silent."""

from collections.abc import Mapping
from typing import Any

from evapd.metrics.model import (
    NAN,
    Metric,
    Sample,
    Snapshot,
    by_key,
    guard,
    loop,
    number,
    one_of,
    status,
    within,
)

ENERGY_STATES = (
    "off", "standby", "ramping", "evaporating", "holding", "paused", "aligning", "inhibited", "ramping_down", "safe",
    "fault_latched",
)  # fmt: skip
DEVICE_STATES = ("connecting", "online", "unknown")


def _devices(key: str) -> Any:
    def read(snapshot: Snapshot) -> list[Sample]:
        devices = snapshot.status.get("devices") or {}
        return [((str(name),), number(within(device, key))) for name, device in devices.items()]

    return read


def _device_state(snapshot: Snapshot) -> list[Sample]:
    devices = snapshot.status.get("devices") or {}
    return [
        ((str(name), str(within(device, "role") or ""), state), float(within(device, "state") == state))
        for name, device in devices.items()
        for state in DEVICE_STATES
    ]


def _device_errors(snapshot: Snapshot) -> list[Sample]:
    devices = snapshot.status.get("devices") or {}
    return [
        ((str(name), str(kind)), number(n))
        for name, device in devices.items()
        for kind, n in dict(within(device, "errors") or {}).items()
    ]


def _alarms(snapshot: Snapshot) -> list[Sample]:
    found: dict[tuple[str, ...], float] = {}
    for alarm in snapshot.status.get("alarm_list") or ():
        if isinstance(alarm, Mapping):
            labels = tuple(str(alarm.get(key, "")) for key in ("source", "name", "severity"))
            found[labels] = max(found.get(labels, 0.0), float(bool(alarm.get("active"))))
    return list(found.items())


def _alarm_count(snapshot: Snapshot) -> list[Sample]:
    listed = snapshot.status.get("alarms")
    return [((), float(len(listed)) if isinstance(listed, list) else NAN)]


def _realtime(snapshot: Snapshot) -> list[Sample]:
    told = snapshot.guard.get("realtime")
    return [((), float(told) if isinstance(told, bool) else NAN)]


ENERGY = (
    Metric("evapd_guard_up", "gauge", "1 while the guard answers; 0: nobody guards the specimen.",
           lambda s: [((), float(bool(s.guard)))]),
    Metric("evapd_energy_state", "gauge", "1 for the present state of the specimen's energy; all NaN while the guard is silent.",
           one_of(ENERGY_STATES, lambda s: s.guard.get("energy_state")), ("state",)),
    Metric("evapd_verified_down", "gauge", "1 when readings show that the specimen carries no energy.", guard("verified_down")),
    Metric("evapd_v_dc_volts", "gauge", "V_dc as read.", guard("v_dc_v")),
    Metric("evapd_v_dc_set_volts", "gauge", "V_dc as commanded.", guard("v_dc_set_v")),
    Metric("evapd_v_p_volts", "gauge", "Pulse amplitude as read.", guard("v_p_v")),
    Metric("evapd_v_p_set_volts", "gauge", "Pulse amplitude as commanded.", guard("v_p_set_v")),
    Metric("evapd_pulse_fraction_ratio", "gauge", "V_p / V_dc that is asked for.", guard("pulse_fraction")),
    Metric("evapd_pulse_rate_hertz", "gauge", "Pulses per second that are asked for.", guard("pulse_rate_hz")),
    Metric("evapd_pulse_energy_joules", "gauge", "Energy of a laser pulse by its own monitor; NaN without a laser.",
           loop("pulse_energy_pj", 1e-12)),
    Metric("evapd_specimen_current_amperes", "gauge", "Current of the specimen supply.", loop("i_a")),
    Metric("evapd_rate_hits_per_pulse", "gauge", "Detected hits per live pulse.", status("rate_per_pulse")),
    Metric("evapd_target_hits_per_pulse", "gauge", "The rate that the law holds.", guard("target_rate")),
    Metric("evapd_target_now_hits_per_pulse", "gauge", "The part of it that is asked for now, after a resume.", guard("target_now")),
    Metric("evapd_sensitivity", "gauge", "d ln(rate) / d ln(V) as identified.", loop("sensitivity")),
    Metric("evapd_log_rate_sd", "gauge", "Standard deviation of ln(rate) as the law believes it.", loop("log_rate_sd")),
    Metric("evapd_background_hits", "gauge", "Background hits of the last tick, in the time-of-flight window.", loop("background")),
    Metric("evapd_amplitude_clamped", "gauge", "1 while the pulse amplitude is at its floor or ceiling.", guard("clamped")),
    Metric("evapd_guard_margin_ratio", "gauge", "Margin of each rule: 1 far from triggering, 0 triggers now, NaN cannot be told.",
           by_key(lambda s: s.guard.get("margins")), ("rule",)),
    Metric("evapd_explosiveness", "gauge", "chi: by how many e-folds the rate may grow within the loop's latency.", guard("explosive", "chi")),
    Metric("evapd_guard_lateness_seconds", "gauge", "Lateness of the guard's loop: p50 and p99 of the newest ticks, and the largest.",
           lambda s: [((key,), number(within(s.guard, "lateness_us", key), 1e-6)) for key in ("p50", "p99", "max")], ("part",)),
    Metric("evapd_guard_skipped_ticks_total", "counter", "Ticks of the guard's loop that were left out.", guard("lateness_us", "skipped")),
    Metric("evapd_guard_realtime", "gauge", "1 when the guard has its real-time priority.", _realtime),
    Metric("evapd_guard_journal_lost_frames_total", "counter", "Frames that the guard's journal could not take.", guard("journal_lost")),
    Metric("evapd_link_connected", "gauge", "1 while the guard hears acquire.", guard("link", "connected")),
    Metric("evapd_link_disconnects_total", "counter", "How often the guard has lost acquire.", guard("link", "disconnects")),
    Metric("evapd_link_damaged_total", "counter", "Damaged records of acquire.", guard("link", "damaged")),
    Metric("evapd_link_refused_total", "counter", "Connections to the guard's link that were refused.", guard("link", "refused")),
    Metric("evapd_link_foreign_total", "counter", "Records of an acquire with another configuration.", guard("link", "foreign")),
    Metric("evapd_link_record_age_seconds", "gauge", "Age of the newest record of acquire.", guard("link", "record_age_s")),
    Metric("evapd_tdc_heartbeat_age_seconds", "gauge", "Age of the TDC's newest heartbeat, as the guard knows it.",
           guard("link", "heartbeat_age_s")),
    Metric("evapd_device_state", "gauge", "1 for the present state of each instrument; unknown is never off.",
           _device_state, ("device", "role", "state")),
    Metric("evapd_device_reading_age_seconds", "gauge", "Age of each instrument's newest reading.", _devices("age_s"), ("device",)),
    Metric("evapd_device_last_command_seconds", "gauge", "How long the newest command of an instrument took.",
           _devices("last_command_s"), ("device",)),
    Metric("evapd_device_errors_total", "counter", "Errors of each instrument by class.", _device_errors, ("device", "kind")),
    Metric("evapd_alarm_active", "gauge", "1 while the cause of an alarm is there, 0 when it is over.",
           _alarms, ("source", "name", "severity"), "zero"),
    Metric("evapd_alarms_listed", "gauge", "Alarms in the list of `status`, also those that are over and not acknowledged.", _alarm_count),
)  # fmt: skip
"""In the order of docs/metrics.md."""
