"""What developers run by hand or by pre-commit."""
