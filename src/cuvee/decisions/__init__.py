"""What flows conclude: decisions as values, their verdicts and first lines (floor 4)."""
