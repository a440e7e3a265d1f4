"""`python -m evapd`: the same as the program `evapd`."""

from evapd.cli import main

main()
