"""The rig file: YAML in, checked and frozen objects out."""

from evapd.config.load import load_checked
from evapd.config.problem import Problem
from evapd.config.rig import LoadedRig, check_rig, load_rig
from evapd.config.schema import rig_schema, schema_text

__all__ = ["LoadedRig", "Problem", "check_rig", "load_checked", "load_rig", "rig_schema", "schema_text"]
