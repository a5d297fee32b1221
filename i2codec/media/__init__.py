"""Media files in and out: each module turns one kind of file into a Signal and back."""
