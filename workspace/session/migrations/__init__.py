"""The schema `workspace`: who is logged in, in text that only their browser can open."""
