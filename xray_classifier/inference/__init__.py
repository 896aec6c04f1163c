"""A radiograph to its result: probability, verdict, warnings and heatmap."""
