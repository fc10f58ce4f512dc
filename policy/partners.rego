# METADATA
# description: |
#   Roles inside a partner. They come from the caller's membership of exactly the partner that is
#   asked about, count only if that partner may hand them out, and reach nothing else.
package tradepulse.authz.partners

import data.tradepulse.authz.request
import data.tradepulse.iam

# The caller's roles there that grant the permission, each with the rank it needs.
routes[role] := iam.partner_routes[input.permission][role] if {
	request.partner_scoped
	input.subject.kind == "person"
	some role in input.subject.organizations[input.partner]
}

admits(role) if role in iam.partners[input.partner].roles

faults(role) := set() if {
	admits(role)
} else := {"partner_role_not_allowed"}

outsider if {
	request.partner_scoped
	input.subject.kind == "person"
	not input.subject.organizations[input.partner]
}
