"""Training: what is shown and asked (`masking`), with which noise (`noise`), and the `loop`."""
