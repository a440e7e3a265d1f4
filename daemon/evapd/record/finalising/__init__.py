"""What finalising is made of: compressed chunks in a spool that survives a kill, and the HDF5 file made from it."""
