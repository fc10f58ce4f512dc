package tradepulse.authz.candidates_test

import data.tradepulse.authz.candidates
import data.tradepulse.authz.example

evening := time.parse_rfc3339_ns("2026-11-23T22:00:00-05:00") / 1000000000

sound(request) := found if {
	found := candidates.sound with input as request
		with data.tradepulse.iam as example.world
		with time.now_ns as example.now * 1000000000
}

weighed(request) := found if {
	found := candidates.weighed with input as request
		with data.tradepulse.iam as example.world
		with time.now_ns as example.now * 1000000000
}

test_a_sound_candidate_says_when_it_ends if {
	sound(example.asks("execution:launch", {"groups": ["trader"]})) == {{
		"name": "role:trader",
		"ends": {example.never, evening},
	}}
}

test_a_candidate_says_what_stands_in_its_way if {
	request := example.asks("execution:launch", {"groups": ["trader"], "assurance_level": "aal1"})
	sound(request) == set()
	weighed(request) == {{"faults": {"assurance_too_low"}, "level": 2}}
}

test_a_sound_candidate_has_no_faults_and_every_other_has_some if {
	request := example.asks("deployment:rollout", {"groups": ["sre", "builder", "viewer"]})
	count(sound(request)) == 1
	weighed(request) == {{"faults": set(), "level": 2}, {"faults": {"assurance_too_low"}, "level": 3}}
}

test_roles_of_both_kinds_are_candidates_for_a_partner if {
	fields := {"groups": ["super_admin"], "organizations": {"acme": ["partner-analyst"]}, "assurance_level": "aal3"}
	request := example.at_partner(example.asks("connection:read", fields), "acme")
	{candidate.name | some candidate in sound(request)} == {"role:super_admin", "partner_role:partner-analyst"}
}

test_any_one_way_to_a_permission_suffices if {
	request := example.asks("analytics:read", {"groups": ["super_admin"]})
	count(weighed(request)) == 2
	{candidate.name | some candidate in sound(request)} == {"role:super_admin"}
}
