"""The evidence of a campaign: four files that say the same, and a signature over all of them.

outcomes ─ content ─▶ report.json ─┬ text ─▶ report.md
                                   ├ page ─▶ report.html
                                   └ envelope ─▶ evidence.dsse.json

content.py   the whole campaign as JSON
figures.py   what is counted from it: fates, signs, and how every reviewer worked
text.py      Markdown, for a pull request or a ticket
page.py      one HTML file without scripts, links or anything from elsewhere
envelope.py  the signature: an in-toto statement about the three files, in a DSSE envelope, by Ed25519
folder.py    written as a whole, and verified file by file
"""
