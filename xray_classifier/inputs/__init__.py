"""Whatever a user gives, files, folders, ZIP archives or object stores, to decoded radiographs."""
