"""What ``cuvee simulate`` concludes (floor 4)."""
