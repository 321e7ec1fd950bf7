"""Names of the metrics that studies measure: a unit, and the name of an evaluation."""

NATS = "nats_per_token/"
BITS = "bits_per_byte/"
