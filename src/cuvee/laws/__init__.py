"""Laws: from observations to the metrics of any mixture, with their spread (floor 4)."""
