"""The guard process: energy states, rules, control loop."""
