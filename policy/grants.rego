# METADATA
# description: |
#   Whether a role that a token carries also counts here and now. A person's role needs a grant that
#   lives, or none at all where an identity provider's group may give it; a service's role needs
#   its client to have it. So a grant dies on time in a token that still names its role.
package tradepulse.authz.grants

import data.tradepulse.authz.bundle
import data.tradepulse.iam

# The instant from which the role is dead; undefined for one that the caller does not hold here.
end(role) := _held[role] if {
	input.subject.kind == "person"
} else := 0 if {
	input.subject.kind == "person"
	_lapsed[role] > bundle.now
} else := bundle.never if {
	input.subject.kind == "person"
	role in iam.federated_roles[input.environment]
} else := bundle.never if {
	input.subject.kind == "service"
	role in iam.clients[input.subject.client].roles
}

faults(role) := set() if {
	end(role) > bundle.now
} else := {"grant_expired"} if {
	end(role)
} else := {"role_not_granted_to_client"} if {
	input.subject.kind == "service"
} else := {"grant_missing"}

_held := iam.grants[input.environment][_email]

# Until when a token may be alive that was issued while a grant of the role was on record, which it is no more.
_lapsed := iam.lapsed[input.environment][_email]

# Letters outside ASCII can become ASCII ones when case is folded, and would name somebody else.
_email := lower(input.subject.email) if regex.match(`^[!-~]+$`, input.subject.email)
