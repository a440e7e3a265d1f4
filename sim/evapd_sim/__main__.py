"""`python -m evapd_sim`: the same as the program `evapd-sim`."""

from evapd_sim.cli import main

main()
