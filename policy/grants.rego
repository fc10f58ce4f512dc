# METADATA
# description: |
#   Whether a role that a token carries also counts here and now. A person's role needs a grant that
#   lives, or none at all where an identity provider's group may give it; a service's role needs
#   its client to have it. So a grant dies on time in a token that still names its role.
package tradepulse.authz.grants

import data.tradepulse.authz.bundle
import data.tradepulse.iam

faults(role) := {"role_not_granted_to_client"} if {
	input.subject.kind == "service"
	not role in iam.clients[input.subject.client].roles
} else := set() if {
	input.subject.kind == "service"
} else := {"grant_expired"} if {
	held[role]
	not _live(role)
} else := set() if {
	held[role]
} else := set() if {
	role in iam.federated_roles[input.environment]
} else := {"grant_missing"}

# The instant from which a person's role is dead; nothing for one that does not end.
default ends(_) := set()

ends(role) := {max(instants)} if {
	input.subject.kind == "person"
	instants := {grant.not_after | some grant in held[role]}
	not 0 in instants
}

held := iam.grants[input.environment][_email]

# Letters outside ASCII can become ASCII ones when case is folded, and would name somebody else.
_email := lower(input.subject.email) if regex.match(`^[!-~]+$`, input.subject.email)

_live(role) if {
	some grant in held[role]
	_lives(grant.not_after)
}

_lives(not_after) if not_after == 0

_lives(not_after) if not_after > bundle.now
