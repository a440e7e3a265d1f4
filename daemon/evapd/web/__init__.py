"""The live display: a page in a browser, fed by the stream and acting through the control socket."""
