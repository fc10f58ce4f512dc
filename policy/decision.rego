# METADATA
# description: |
#   The one rule that services ask. It is defined for every input, it is a denial unless at least
#   one role of the caller gives the permission now, and it says why. An allow is worked out by the
#   few conditions that must hold; only a denial pays for looking at what stands in the way.
package tradepulse.authz

import data.tradepulse.authz.assurance
import data.tradepulse.authz.bundle
import data.tradepulse.authz.candidates
import data.tradepulse.authz.partners
import data.tradepulse.authz.request
import data.tradepulse.authz.shape
import data.tradepulse.iam

decision := {
	"allow": true,
	"reasons": {candidate.name | some candidate in candidates.sound},
	"revision": iam.meta.revision,
	"serial": iam.meta.serial,
	"valid_until": min((({bundle.end} | assurance.ends) | {end | some candidate in candidates.sound; some end in candidate.ends})),
	"step_up": null,
} if {
	_judged
	count(candidates.sound) > 0
} else := {
	"allow": false,
	"reasons": _reasons,
	"revision": bundle.revision,
	"serial": bundle.serial,
	"valid_until": bundle.soon,
	"step_up": _step_up,
}

# No role can outweigh a veto, so roles are looked at only where there is none.
_judged if {
	shape.well_formed
	count(request.vetoes) == 0
}

_reasons := {"malformed_input"} if {
	not shape.well_formed
} else := {"no_policy_data"} if {
	not bundle.present
} else := request.vetoes if {
	not _judged
} else := {fault | some candidate in candidates.weighed; some fault in candidate.faults} if {
	count(candidates.weighed) > 0
} else := {"no_role_grants_permission", "not_a_member_of_partner"} if {
	partners.outsider
} else := {"no_role_grants_permission"}

# A challenge is sent only where meeting it is all that is missing, and then for the least of the
# levels that would do.
default _step_up := null

_step_up := {"acr": assurance.name[min(levels)], "max_age": assurance.max_age} if {
	_judged
	levels := {candidate.level |
		some candidate in candidates.weighed
		count(candidate.faults - assurance.curable) == 0
	}
	count(levels) > 0
}
