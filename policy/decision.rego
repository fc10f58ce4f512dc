# METADATA
# description: |
#   The one rule that services ask. It is defined for every input, it is a denial unless at least
#   one candidate (a role that grants the permission) has no fault, and it says why.
package tradepulse.authz

import data.tradepulse.authz.assurance
import data.tradepulse.authz.bundle
import data.tradepulse.authz.candidates
import data.tradepulse.authz.partners
import data.tradepulse.authz.request
import data.tradepulse.authz.shape

decision := {
	"allow": allow,
	"reasons": reasons,
	"revision": bundle.revision,
	"serial": bundle.serial,
	"valid_until": valid_until,
	"step_up": step_up,
}

default allow := false

allow if count(sound) > 0

# Roles that give the permission now, as the request stands.
sound contains candidate if {
	judged
	some candidate in candidates.all
	count(candidate.faults) == 0
}

# No role can outweigh a veto, so candidates are looked at only where there is none.
judged if {
	shape.well_formed
	bundle.present
	count(request.vetoes) == 0
}

reasons := {"malformed_input"} if {
	not shape.well_formed
} else := {"no_policy_data"} if {
	not bundle.present
} else := request.vetoes if {
	not judged
} else := {candidate.name | some candidate in sound} if {
	allow
} else := {fault | some candidate in candidates.all; some fault in candidate.faults} if {
	count(candidates.all) > 0
} else := {"no_role_grants_permission", "not_a_member_of_partner"} if {
	partners.outsider
} else := {"no_role_grants_permission"}

# An answer holds until the first thing it relies on ends. A denial, and what an emergency role may
# still do after the bundle ran out, name no such thing and are good for a moment only.
valid_until := min(ends) if {
	allow
	ends := {instant | some candidate in sound; some instant in candidate.ends} | bundle.ends
	count(ends) > 0
} else := bundle.now + 2

# A challenge is sent only where meeting it is all that is missing, and then for the least of the
# levels that would do.
default step_up := null

step_up := {"acr": assurance.name[min(levels)], "max_age": assurance.max_age} if {
	not allow
	judged
	levels := {candidate.level |
		some candidate in candidates.all
		count(candidate.faults - assurance.curable) == 0
	}
	count(levels) > 0
}
