"""What documents and sources of a study are worth for a target."""
