"""One byte-level instrument per driver, written from the protocol on paper; `registry` has them by name."""
