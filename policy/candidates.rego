# METADATA
# description: |
#   Every role of the caller that grants the permission, with what stands in its way. A candidate is
#   {"name": reason of an allow, "faults": {codes}, "ends": {Unix seconds}, "level": assurance rank}.
package tradepulse.authz.candidates

import data.tradepulse.authz.assurance
import data.tradepulse.authz.bundle
import data.tradepulse.authz.grants
import data.tradepulse.authz.partners
import data.tradepulse.authz.windows
import data.tradepulse.iam

all contains candidate if {
	some role in input.subject.groups
	some route in iam.routes[input.permission][role]
	level := assurance.required(route.level)
	candidate := {
		"name": concat(":", ["role", role]),
		"faults": union({
			grants.faults(role),
			windows.faults(route.windows),
			bundle.faults(role),
			assurance.faults(level),
		}),
		"ends": union({grants.ends(role), windows.ends(route.windows), assurance.ends}),
		"level": level,
	}
}

all contains candidate if {
	some role in partners.granting
	level := assurance.required(partners.level(role))
	candidate := {
		"name": concat(":", ["partner_role", role]),
		"faults": union({partners.faults(role), bundle.restrictions, assurance.faults(level)}),
		"ends": assurance.ends,
		"level": level,
	}
}
