"""HTTP under `/access/v1`: parse, call one function, render. A router of another kind of work is a line in `app.py`."""
