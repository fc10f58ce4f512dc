# METADATA
# description: |
#   How well a person must have proven who they are, and how long ago. The rank that each way to a
#   permission needs is worked out by the renderer. Services have no login to repeat, so nothing here
#   binds them.
package tradepulse.authz.assurance

import data.tradepulse.authz.bundle
import data.tradepulse.iam

name := ["", "aal1", "aal2", "aal3"]

# The faults that a stronger or fresher login cures.
curable := {"assurance_too_low", "authentication_too_old"}

# How well the caller has proven who they are; a service does by its key, which no level describes.
rank := {"aal1": 1, "aal2": 2, "aal3": 3}[input.subject.assurance_level] if {
	input.subject.kind == "person"
} else := 3 if {
	input.subject.kind == "service"
}

# A permission that does not say it is harmless is sensitive.
sensitive if not iam.permissions[input.permission].sensitive == false

fresh if not sensitive

fresh if input.subject.kind == "service"

# The issuer's clock may run ahead of ours by as much as the verification of a token tolerates. More
# than that would lengthen the time a login counts as fresh.
fresh if {
	input.subject.auth_time <= bundle.now + 30
	input.subject.auth_time + iam.assurance.sensitive.max_age > bundle.now
}

faults(level) := {"assurance_too_low" | rank < level} | {"authentication_too_old" | not fresh}

# When the login stops being fresh enough, where that matters.
default ends := set()

ends := {input.subject.auth_time + iam.assurance.sensitive.max_age} if {
	input.subject.kind == "person"
	sensitive
}

default max_age := null

max_age := iam.assurance.sensitive.max_age if sensitive
