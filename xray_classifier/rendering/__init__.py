"""How machines render radiographs, and what their rendering alone tells of the label."""
