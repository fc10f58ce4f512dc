# METADATA
# description: |
#   How well a person must have proven who they are, and how long ago. Services have no login to
#   repeat, so nothing here binds them. Levels are compared by rank.
package tradepulse.authz.assurance

import data.tradepulse.authz.bundle
import data.tradepulse.iam

rank := {"aal1": 1, "aal2": 2, "aal3": 3}

name := ["", "aal1", "aal2", "aal3"]

# The faults that a stronger or fresher login cures.
curable := {"assurance_too_low", "authentication_too_old"}

# The rank that a role of the given level needs for this permission.
required(level) := max({rank[level], rank[iam.assurance.interactive], rank[iam.assurance.sensitive.level]}) if {
	sensitive
} else := max({rank[level], rank[iam.assurance.interactive]})

faults(_) := set() if {
	input.subject.kind == "service"
}

faults(level) := _level_faults(level) | _age_faults if input.subject.kind == "person"

_level_faults(level) := set() if {
	rank[input.subject.assurance_level] >= level
} else := {"assurance_too_low"}

_age_faults := set() if {
	not sensitive
} else := set() if {
	_fresh
} else := {"authentication_too_old"}

# The issuer's clock may run ahead of ours by as much as the verification of a token tolerates. More
# than that would lengthen the time a login counts as fresh.
_fresh if {
	input.subject.auth_time <= bundle.now + 30
	input.subject.auth_time + iam.assurance.sensitive.max_age > bundle.now
}

# When the login stops being fresh enough.
default ends := set()

ends := {input.subject.auth_time + iam.assurance.sensitive.max_age} if {
	input.subject.kind == "person"
	sensitive
	_fresh
}

default max_age := null

max_age := iam.assurance.sensitive.max_age if sensitive

# A permission that does not say it is harmless is sensitive.
sensitive if not iam.permissions[input.permission].sensitive == false
