package tradepulse.authz.candidates_test

import data.tradepulse.authz.candidates
import data.tradepulse.authz.example

of(request) := found if {
	found := candidates.all with input as request
		with data.tradepulse.iam as example.world
		with time.now_ns as example.now * 1000000000
}

test_a_candidate_carries_what_stands_in_its_way_and_when_it_ends if {
	of(example.asks("execution:launch", {"groups": ["trader"], "assurance_level": "aal1"})) == {{
		"name": "role:trader",
		"faults": {"assurance_too_low"},
		"ends": {example.now + 240, time.parse_rfc3339_ns("2026-11-23T22:00:00-05:00") / 1000000000},
		"level": 2,
	}}
}

test_roles_of_both_kinds_are_candidates_for_a_partner if {
	request := example.asks("connection:read", {"groups": ["super_admin"], "organizations": {"acme": ["partner-analyst"]}})
	{candidate.name | some candidate in of(example.at_partner(request, "acme"))} == {
		"role:super_admin",
		"partner_role:partner-analyst",
	}
}

test_each_way_to_a_permission_is_a_candidate_of_its_own if {
	count(of(example.asks("analytics:read", {"groups": ["super_admin"]}))) == 2
}
