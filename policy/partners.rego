# METADATA
# description: |
#   Roles inside a partner. They come from the caller's membership of exactly the partner that is
#   asked about, count only if that partner may hand them out, and reach nothing else.
package tradepulse.authz.partners

import data.tradepulse.authz.bundle
import data.tradepulse.authz.request
import data.tradepulse.iam

# The caller's roles there that grant the permission, each with the rank it needs.
routes[role] := iam.partner_routes[input.permission][role] if {
	request.partner_scoped
	input.subject.kind == "person"
	some role in input.subject.organizations[input.partner]
}

# A role that is lent there counts until its end, which the token carries.
routes[role] := iam.partner_routes[input.permission][role] if {
	request.partner_scoped
	input.subject.kind == "person"
	some role, _ in input.subject.lent[input.partner]
}

admits(role) if {
	role in iam.partners[input.partner].roles
	end(role) > bundle.now
}

# The instant from which the role is over.
end(role) := bundle.never if {
	role in input.subject.organizations[input.partner]
} else := input.subject.lent[input.partner][role]

faults(role) := set() if {
	admits(role)
} else := {"partner_role_ended"} if {
	end(role) <= bundle.now
} else := {"partner_role_not_allowed"}

outsider if {
	request.partner_scoped
	input.subject.kind == "person"
	not input.subject.organizations[input.partner]
}
