"""What is known of a model, as typed records, and their JSON files."""
