"""What guards learn together: sightings out, verdicts, reviews and reloads back, over streams."""
