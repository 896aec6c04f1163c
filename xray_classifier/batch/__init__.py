"""Many files to a row each: folders, archives, resumable runs, Ray."""
