"""What each command does, between the command line and the exit code: a module for each group.

options.py    what a run knows: the configuration, the environments, the console; the session with Keycloak
arguments.py  how a function becomes a command, with the five global options
planning.py   validate, plan, drift; showing.py is a plan as it is shown, saved and compared
applying.py   apply
adopting.py   adopt
asking.py     explain, who-can
doctor.py     doctor; probes.py is what it looks at
measuring.py  metrics
monitoring.py monitor
reporting.py  report auth-health
linking.py    link
bundle.py     bundle build, publish, freeze, thaw
auditing.py   audit verify
schema.py     schema
completion.py completion

A new command is a function with `@command(app)` in one of these, and for a new module a line in
`admin_sync.cli.GROUPS`.
"""
