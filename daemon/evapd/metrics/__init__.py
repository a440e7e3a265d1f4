"""Counters, ages and margins in the form that Prometheus scrapes."""
