"""The workspace as people feel it: from the click on a login to the page, a thousand logins, and what each page weighs.

__main__.py  runs it all and writes the table
people.py    members of a partner, each with a password and a security key in software
visitor.py   what a browser does over HTTP, measured: redirects, the realm's forms, the page at the end
weight.py    a page with everything that it fetches: bytes, requests, time to the first byte
"""
