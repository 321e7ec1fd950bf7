"""What ``cuvee run`` concludes (floor 4)."""
