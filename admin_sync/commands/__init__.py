"""What each command does, between the parsed options and the exit code.

options.py   what all commands share, and the session that reaches Keycloak
planning.py  validate, plan, drift, apply
asking.py    explain, who-can
bundle.py    bundle build, publish, freeze, thaw
checking.py  audit verify, doctor
"""

from admin_sync.commands.asking import explain, who_can
from admin_sync.commands.checking import audit_verify, doctor
from admin_sync.commands.options import Command, Options
from admin_sync.commands.planning import apply, plan, validate

__all__ = ["Command", "Options", "apply", "audit_verify", "doctor", "explain", "plan", "validate", "who_can"]
