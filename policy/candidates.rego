# METADATA
# description: |
#   The roles of the caller that grant the permission. `sound` are those that count now, each as
#   {"name": reason of the allow, "ends": {Unix seconds}}. `weighed` says of every one, for a denial, what
#   stands in its way: {"faults": {codes}, "level": rank that it needs}.
package tradepulse.authz.candidates

import data.tradepulse.authz.assurance
import data.tradepulse.authz.bundle
import data.tradepulse.authz.grants
import data.tradepulse.authz.partners
import data.tradepulse.authz.windows
import data.tradepulse.iam

sound contains {"name": concat(":", ["role", role]), "ends": ({grant_end} | windows.ends(route.windows))} if {
	some role in input.subject.groups
	some route in iam.routes[input.permission][role]
	assurance.rank >= route.level
	assurance.fresh
	bundle.admits(role)
	grant_end := grants.end(role)
	grant_end > bundle.now
	windows.open(route.windows)
}

sound contains {"name": concat(":", ["partner_role", role]), "ends": {partners.end(role)}} if {
	some role, level in partners.routes
	assurance.rank >= level
	assurance.fresh
	bundle.open
	partners.admits(role)
}

weighed contains {"faults": faults, "level": route.level} if {
	some role in input.subject.groups
	some route in iam.routes[input.permission][role]
	faults := union({
		grants.faults(role),
		windows.faults(route.windows),
		bundle.faults(role),
		assurance.faults(route.level),
	})
}

weighed contains {"faults": faults, "level": level} if {
	some role, level in partners.routes
	faults := union({partners.faults(role), bundle.restrictions, assurance.faults(level)})
}
