# METADATA
# description: |
#   Roles inside a partner. They come from the caller's membership of exactly the partner that is
#   asked about, count only if that partner may hand them out, and reach nothing else.
package tradepulse.authz.partners

import data.tradepulse.authz.request
import data.tradepulse.iam

granting contains role if {
	request.partner_scoped
	input.subject.kind == "person"
	some role in input.subject.organizations[input.partner]
	input.permission in iam.partner_roles[role].permissions
}

faults(role) := {"partner_role_not_allowed"} if {
	not role in iam.partners[input.partner].roles
} else := set()

level(role) := object.get(iam.assurance.roles, role, "aal1")

outsider if {
	input.subject.kind == "person"
	request.partner_scoped
	not input.subject.organizations[input.partner]
}
