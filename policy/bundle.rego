# METADATA
# description: |
#   What the bundle says of itself, and what is left of it in a freeze or after its own expiry: the
#   emergency roles of persons. A bundle that does not say that it is open and valid counts as
#   neither, because OPA keeps serving an old bundle when a new one cannot be had.
package tradepulse.authz.bundle

import data.tradepulse.iam

# Unix seconds; every comparison of instants is one of numbers.
now := floor(time.now_ns() / 1000000000)

present if iam.meta

default revision := ""

revision := iam.meta.revision

default serial := 0

serial := iam.meta.serial

restrictions contains "frozen" if not iam.meta.frozen == false

restrictions contains "bundle_expired" if not _valid

_valid if iam.meta.valid_until > now

# The restrictions that bind a platform role.
faults(role) := set() if {
	input.subject.kind == "person"
	role in iam.meta.emergency_roles
} else := restrictions

# The instant at which an answer may change because the bundle runs out.
ends := {iam.meta.valid_until | _valid}
