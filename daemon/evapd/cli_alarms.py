"""Commands of `evapd alarms`."""
