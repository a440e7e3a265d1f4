"""What times of flight mean: calibration of the mass scale, shapes of peaks, ranges, compositions."""
