"""What ``cuvee scale`` concludes (floor 4)."""
