# METADATA
# description: |
#   What the bundle says of itself, and what is left of it in a freeze or after its own expiry: the
#   emergency roles of persons. A bundle that does not say that it is open and valid counts as
#   neither, because OPA keeps serving an old bundle when a new one cannot be had.
package tradepulse.authz.bundle

import data.tradepulse.iam

# Whole Unix seconds: OPA adds and compares small integers several times faster than others.
now := floor(time.now_ns() / 1000000000)

# Where an answer relies on nothing that ends by itself, or is a denial, it is good for a moment only.
soon := now + 2

# The end of what does not end: the last second of the year 9999, as the renderer writes it.
never := 253402300799

present if iam.meta

default revision := ""

revision := iam.meta.revision

default serial := 0

serial := iam.meta.serial

open if {
	iam.meta.frozen == false
	_valid
}

_valid if iam.meta.valid_until > now

# When an answer may change because the bundle runs out.
end := iam.meta.valid_until if {
	_valid
} else := soon

admits(_) if open

admits(role) if {
	input.subject.kind == "person"
	role in iam.meta.emergency_roles
}

faults(role) := set() if {
	admits(role)
} else := restrictions

restrictions contains "frozen" if not iam.meta.frozen == false

restrictions contains "bundle_expired" if not _valid
