"""Pure: what the access service says of how logins go, in words, tables and charts for a page.

words.py   shares, times and codes for people
charts.py  each chart, with the table that says the same
"""
