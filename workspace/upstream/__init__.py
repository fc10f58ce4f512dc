"""The services behind the pages, asked over their public APIs with the person's own token.

answer.py   what came back: a document, a problem, or a demand for a stronger login
service.py  one service: its address, and how it is asked
"""
