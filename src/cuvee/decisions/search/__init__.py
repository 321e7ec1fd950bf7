"""What ``cuvee search`` concludes (floor 4)."""
