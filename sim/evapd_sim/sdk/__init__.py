"""Libraries of TDC makers as they behave towards a program, for drivers that have no cable: in C, fed from Python."""
