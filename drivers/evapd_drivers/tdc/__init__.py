"""Time-to-digital converters: anything that speaks tdc-stream."""
