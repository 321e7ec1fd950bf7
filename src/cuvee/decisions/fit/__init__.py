"""What ``cuvee fit`` concludes (floor 4)."""
