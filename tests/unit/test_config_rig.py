"""Rig files: sections, drivers, twin and cross checks, on plugins of the test's own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from pydantic import BaseModel, ConfigDict

from evapd.config import LoadedRig, check_rig, load_rig
from evapd.config.plugins import DriverClass
from evapd.device import (
    DriverConfig,
    Gauge,
    HighVoltageSupply,
    PulseAmplitude,
    Pulser,
    TdcSource,
    build_device,
)
from evapd.errors import ConfigError
from evapd.units import Volt

RIG = """\
name: bench
folder: data
devices:
  supply: { driver: hv, role: specimen, settings: { connect: "serial:twin/hv:9600-8N1", v_max_v: 15 kV } }
  trigger: { driver: trigger, role: pulser, settings: { connect: "tcp:127.0.0.1:5025" } }
  pulses: { driver: amplitude, role: pulse, settings: { connect: "serial:/dev/ttyUSB1:9600-8N1" } }
  tdc: { driver: words, role: tdc, settings: { connect: "unix:twin/tdc.sock" } }
anode: anode.yaml
instrument: { flight_path_mm: 110 }
specimen: { name: tungsten, v_dc_max_v: 8 kV, v_tot_max_v: 10 kV }
pulse: { rate_hz: 200 kHz, fraction: 0.2 }
control: { law: pi-log, v_start_v: 1600, v_min_v: 500, v_max_v: 7 kV }
twin: { kind: toy, settings: { seed: 7 } }
"""


class HvConfig(DriverConfig):
    v_max_v: Volt


class Driver:
    Config: ClassVar[type[DriverConfig]] = DriverConfig

    def __init__(self, config: DriverConfig) -> None:
        self.config = config


class ToyTwin(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 1


def _driver(wanted: type, config: type[DriverConfig] = DriverConfig) -> Any:
    return type("Toy" + wanted.__name__, (Driver,), {"protocol": wanted, "Config": config})


class Toys:
    """Plugins that need no installation."""

    drivers: ClassVar[dict[str, Any]] = {
        "hv": _driver(HighVoltageSupply, HvConfig),
        "trigger": _driver(Pulser),
        "amplitude": _driver(PulseAmplitude),
        "words": _driver(TdcSource),
        "gauge": _driver(Gauge),
    }

    def driver_names(self) -> tuple[str, ...]:
        return tuple(sorted(self.drivers))

    def find_driver(self, name: str) -> DriverClass:
        if name not in self.drivers:
            raise ConfigError(f"no driver is named '{name}', known are {', '.join(self.driver_names())}")
        found: DriverClass = self.drivers[name]
        return found

    def twin_kinds(self) -> tuple[str, ...]:
        return ("toy",)

    def find_twin(self, kind: str) -> type[BaseModel]:
        if kind != "toy":
            raise ConfigError(f"no twin is named '{kind}', known are toy")
        return ToyTwin


@pytest.fixture
def rig_file(tmp_path: Path) -> Callable[..., Path]:
    """Write the rig with some texts replaced by others."""

    def write(*pairs: tuple[str, str], anode: str = "kind: quad\n") -> Path:
        text = RIG
        for old, new in pairs:
            assert old in text, f"the test wants to replace {old}, which is not there"
            text = text.replace(old, new)
        (tmp_path / "anode.yaml").write_text(anode)
        path = tmp_path / "rig.yaml"
        path.write_text(text)
        return path

    return write


Write = Callable[..., Path]


def load(path: Path, folder: str | None = "/var/lib/evapd") -> LoadedRig:
    return load_rig(path, folder, Toys())


def problems_of(path: Path, folder: str | None = "/var/lib/evapd") -> list[str]:
    loaded, problems = check_rig(path, folder, Toys())
    assert (loaded is None) == bool(problems)
    return [str(problem).removeprefix(f"{path}:") for problem in problems]


def test_a_good_rig_gives_checked_settings_of_driver_and_twin(rig_file: Write) -> None:
    loaded = load(rig_file())
    assert loaded.devices["supply"].v_max_v == 15000.0  # type: ignore[attr-defined]
    assert loaded.twin == ToyTwin(seed=7)
    assert loaded.rig.pulse.rate_hz == 200e3
    assert loaded.anode_path == loaded.path.parent / "anode.yaml"


def test_relative_ports_lie_below_the_folder_and_others_stay(rig_file: Write) -> None:
    connects = {name: config.connect for name, config in load(rig_file()).devices.items()}  # type: ignore[attr-defined]
    assert connects == {
        "supply": "serial:/var/lib/evapd/twin/hv:9600-8N1",
        "trigger": "tcp:127.0.0.1:5025",
        "pulses": "serial:/dev/ttyUSB1:9600-8N1",
        "tdc": "unix:/var/lib/evapd/twin/tdc.sock",
    }


def test_without_a_folder_of_its_own_the_rig_lies_below_the_working_directory(
    rig_file: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(rig_file(("folder: data\n", "folder: d\n")), None).layout.folder == tmp_path / "d"


def test_ipc_addresses_lie_below_the_folder(rig_file: Write) -> None:
    loaded = load(rig_file(("twin:", "sockets: { control: 'ipc://run/control.ipc' }\ntwin:")))
    assert loaded.rig.sockets.control == "ipc:///var/lib/evapd/run/control.ipc"


def test_the_digest_ignores_how_values_are_written_and_where_the_rig_lies(rig_file: Write) -> None:
    first = load(rig_file()).digest
    second = load(rig_file(("15 kV", "15000"), ("name: bench", "name: 'bench' # same")), "/elsewhere").digest
    assert first == second
    assert len(first) == 64


@pytest.mark.parametrize("change", [("15 kV", "14 kV"), ("seed: 7", "seed: 8"), ("200 kHz", "100 kHz")])
def test_the_digest_follows_every_value(rig_file: Write, change: tuple[str, str]) -> None:
    assert load(rig_file()).digest != load(rig_file(change)).digest


def test_the_digest_follows_the_anode_file(rig_file: Write) -> None:
    assert load(rig_file()).digest != load(rig_file(anode="kind: hex\n")).digest


@pytest.mark.parametrize(("old", "new", "at", "wanted"), [
    ("driver: hv", "driver: hvv", "hvv,", "devices.supply.driver: no driver is named 'hvv', known are amplitude, gauge"),
    ("v_max_v: 15 kV", "v_max_v: 15 kA", "15 kA", "devices.supply.settings.v_max_v: wrong unit 'kA'"),
    (", v_max_v: 15 kV", "", "settings", "devices.supply.settings.v_max_v: missing"),
    ("v_max_v: 15 kV", "v_max_v: 1, v_mx: 2", "v_mx", "devices.supply.settings.v_mx: unknown key, did you mean 'v_max_v'?"),
    ("hv:9600", "hv", '"serial:twin/hv-', "devices.supply.settings.connect: 'serial:twin/hv-8N1' is not a serial"),
    ("serial:twin", "pty:twin", '"pty:twin', "devices.supply.settings.connect: pty:twin/hv:9600-8N1 is the listening side"),
    ("driver: words", "driver: gauge", "gauge", "devices.tdc.driver: driver 'gauge' is a Gauge, allowed for the role 'tdc' is"),
    ("anode: a", '  two: { driver: words, role: tdc, settings: { connect: "tcp:h:1" } }\nanode: a', "tdc, ",
     "devices.two.role: 'tdc' has the role 'tdc' already"),
    ("driver: words, role: tdc", "driver: gauge, role: vacuum", "devices", "devices: no device has the role 'tdc'"),
    ("driver: hv, role: specimen", "driver: hv, role: mcp", "devices", "devices: no device has the role 'specimen'"),
    ("driver: trigger, role: pulser", "driver: gauge, role: vacuum", "devices", "devices: no device has the role 'pulser'"),
    ("driver: amplitude, role: pulse,", "driver: gauge, role: vacuum,", "0.2 }", "pulse.fraction: 0.2 needs a device with"),
    ("{ rate_hz: 200 kHz, fraction: 0.2 }", "{ mode: laser, rate_hz: 9, energy_pj: 2, energy_min_pj: 1, energy_max_pj: 3, actuator: split }", "split",
     "pulse.actuator: 'split' moves the energy of a laser, allowed without a device of role 'laser' is 'voltage'"),
    ("/dev/ttyUSB1:9600", "twin/hv:115200", '"serial', "devices.pulses.settings.connect: 'supply' is connected at"),
    ("anode: anode", "anode: nope", "nope.yaml", "anode: there is no file"),
    ("anode: anode.yaml", "anode: .", ".", "anode: there is no file"),
    ("110 }", "110, tof_window_ns: [9, 9] }", "tof_window_ns", "instrument.tof_window_ns: the window ends at 9 ns"),
    ("110 }", "110, background_window_ns: [1, 60] }", "background", "instrument.background_window_ns: overlaps"),
    ("v_tot_max_v: 10 kV", "v_tot_max_v: 7 kV", "7 kV }", "specimen.v_tot_max_v: 7000 V is below v_dc_max_v"),
    ("v_max_v: 7 kV", "v_max_v: 9 kV", "9 kV }", "control.v_max_v: 9000 V exceeds specimen.v_dc_max_v"),
    ("v_start_v: 1600", "v_start_v: 400", "400,", "control.v_start_v: 400 V is not between v_min_v and v_max_v"),
    ("v_start_v: 1600, ", "", "control", "control.v_start_v: 0 V is not between v_min_v and v_max_v"),
    ("1600, v_min_v: 500", "7 kV, v_min_v: 500", "0.5 }", "pulse.fraction: V_tot is 10500 V at v_start_v already"),
    ("kind: toy", "kind: tyo", "tyo", "twin.kind: no twin is named 'tyo'"),
    ("seed: 7", "sed: 7", "sed", "twin.settings.sed: unknown key, did you mean 'seed'?"),
    ("folder: data", "foldr: data", "foldr", "foldr: unknown key, did you mean 'folder'?"),
    ("name: bench\n", "", "folder", "name: missing, wanted is a text"),
])  # fmt: skip
def test_what_does_not_fit_is_named_where_it_stands(
    rig_file: Write, old: str, new: str, at: str, wanted: str
) -> None:
    fraction = [("fraction: 0.2", "fraction: 0.5")] if at == "0.5 }" else []
    path = rig_file((old, new), *fraction)
    loaded, problems = check_rig(path, "/var/lib/evapd", Toys())
    assert loaded is None
    assert [f"{problem.where}: {problem.what}"[: len(wanted)] for problem in problems] == [wanted]
    line = path.read_text().splitlines()[problems[0].line - 1]
    assert line[problems[0].column - 1 :].startswith(at)


def test_the_law_monitor_needs_neither_pulser_nor_pulse(rig_file: Write) -> None:
    changes = [
        ("law: pi-log", "law: monitor"),
        ("driver: trigger, role: pulser", "driver: gauge, role: vacuum"),
    ]
    assert problems_of(rig_file(*changes, ("driver: amplitude, role: pulse", "driver: hv, role: mcp"),
                                ("ttyUSB1:9600-8N1\"", "ttyUSB1:9600-8N1\", v_max_v: 3 kV"))) == []  # fmt: skip


@pytest.mark.parametrize(("address", "wanted"), [
    ("tcp://0.0.0.0:5", "CURVE"), ("tcp://*:5", "CURVE"), ("tcp://192.168.1.2:5", "CURVE"), ("tcp://lab.example:5", "CURVE"),
    ("tcp://127.0.0.1:0", "1 to 65535"), ("tcp://127.0.0.1:70000", "1 to 65535"), ("tcp://127.0.0.1", "1 to 65535"),
    ("tcp://127.0.0.1:*", "1 to 65535"), ("udp://127.0.0.1:5", "1 to 65535"), ("127.0.0.1:5", "1 to 65535"),
    ("tcp://eth0;127.0.0.1:5", "1 to 65535"), ("tcp://[::1:5", "1 to 65535"), ("", "1 to 65535"),
    ("ipc://", "names no file"), ("ipc://@x", "names no file"), ("ipc://" + "x" * 100, "shorter folder"),
    ("tcp://127.0.0.1:17602", "is the address of live too"),
])  # fmt: skip
def test_a_socket_that_others_could_reach_or_that_is_none_is_refused(
    rig_file: Write, address: str, wanted: str
) -> None:
    found = problems_of(rig_file(("twin:", f"sockets: {{ stream: '{address}' }}\ntwin:")))
    assert wanted in "\n".join(found)
    assert found[0].startswith("13:")


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:5", "tcp://localhost:5", "tcp://[::1]:5", "ipc:///tmp/x"]
)
def test_loopback_addresses_are_taken(rig_file: Write, address: str) -> None:
    assert problems_of(rig_file(("twin:", f"sockets: {{ stream: '{address}' }}\ntwin:"))) == []


def test_a_folder_too_deep_for_sockets_is_said_before_anything_starts(rig_file: Write) -> None:
    found = problems_of(rig_file(), "/" + "d" * 95)
    assert found[0].startswith("2:9: folder: the socket path /ddd")
    assert "devices.tdc.settings.connect" in found[1]


def test_errors_of_all_sections_come_at_once(rig_file: Write) -> None:
    changes = [("rate_hz: 200 kHz", "rate_hz: 200 V"), ("driver: hv", "driver: none"), ("seed: 7", "seed: x"),
               ("v_max_v: 7 kV", "v_max_v: 9 kV"), ("tcp:127.0.0.1:5025", "tcp:host")]  # fmt: skip
    where = [problem.split(": ")[1] for problem in problems_of(rig_file(*changes))]
    assert where == ["devices.supply.driver", "devices.trigger.settings.connect", "pulse.rate_hz", "control.v_max_v",
                     "twin.settings.seed"]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["[]\n", "5\n", "devices: 5\n", "devices: {a: 5}\n", "devices: {a: {settings: []}}\n", ""]
)
def test_a_file_of_another_shape_gives_problems_not_exceptions(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rig.yaml"
    path.write_text(text)
    assert problems_of(path)


def test_load_rig_raises_with_every_problem_in_the_message(rig_file: Write) -> None:
    path = rig_file(("driver: hv", "driver: none"), ("seed: 7", "seed: x"))
    with pytest.raises(ConfigError, match=r"(?s)rig\.yaml:4:21: .*rig\.yaml:13:38: ") as caught:
        load(path)
    assert len(caught.value.problems) == 2


def test_any_single_damaged_line_is_found_or_harmless(rig_file: Write) -> None:
    for number in range(len(RIG.splitlines())):
        lines = RIG.splitlines()
        lines[number] = lines[number].replace(":", " ", 1)
        path = rig_file()
        path.write_text("\n".join(lines))
        problems_of(path)


def test_build_device_makes_the_driver_from_its_checked_settings(rig_file: Write) -> None:
    class Complete(Driver):
        Config = HvConfig
        protocol = Gauge

        def open(self) -> None: ...
        def close(self) -> None: ...
        def read(self) -> None: ...
        def make_safe(self) -> None: ...

    toys = Toys()
    loaded = load(rig_file())
    toys.drivers = {**toys.drivers, "hv": Complete}  # type: ignore[misc]
    device = build_device("supply", loaded, toys)
    assert device.config is loaded.devices["supply"]  # type: ignore[attr-defined]


def test_build_device_refuses_a_driver_that_lacks_a_method(rig_file: Write) -> None:
    with pytest.raises(ConfigError, match="lacks a method of Pulser"):
        build_device("trigger", load(rig_file()), Toys())


def test_build_device_says_which_devices_there_are(rig_file: Write) -> None:
    with pytest.raises(ConfigError, match="has no device 'laser', it has supply, trigger, pulses, tdc"):
        build_device("laser", load(rig_file()), Toys())


def test_checking_the_demo_opens_nothing_and_imports_no_numba() -> None:
    program = (
        "import sys, socket, serial\n"
        "def refuse(*a, **k): raise SystemExit('a port was opened')\n"
        "socket.socket.connect = serial.Serial.open = refuse\n"
        "from evapd.config import load_rig\n"
        "load_rig('config/sim.yaml')\n"
        "print([name for name in ('numba', 'h5py', 'asyncio', 'pyvisa') if name in sys.modules])\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert (done.stderr, done.stdout) == ("", "[]\n")


def test_the_rig_of_these_tests_is_what_a_yaml_library_reads_too() -> None:
    assert set(yaml.safe_load(RIG)) >= {"devices", "control", "twin"}
