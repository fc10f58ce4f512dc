"""The main job, told in the terminal as it happens: `python -m stack.demo` against a running stack.

`story.py` is the plot, `cast.py` makes the people that a partner's administrator would invite, `narrator.py` prints.
Every step is done for real, and a step that does not end as it must ends the story with exit 1.
"""
