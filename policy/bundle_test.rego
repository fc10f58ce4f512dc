package tradepulse.authz.bundle_test

import data.tradepulse.authz.example

reading := example.asks("analytics:read", {})

changing := example.asks("iam:modify", {"groups": ["admin"], "assurance_level": "aal3"})

test_a_freeze_denies_all_but_the_emergency_roles if {
	frozen := example.but("/meta/frozen", true)
	example.decide_in(reading, frozen).reasons == {"frozen"}
	example.decide_in(changing, frozen).reasons == {"role:admin"}
}

test_a_freeze_gives_emergency_roles_only_what_the_policy_gives_them if {
	frozen := example.but("/meta/frozen", true)
	weak := example.asks("iam:modify", {"groups": ["admin"]})
	example.decide_in(weak, frozen).reasons == {"assurance_too_low"}
	other := example.asks("analytics:read", {"groups": ["admin", "viewer"], "assurance_level": "aal3"})
	example.decide_in(other, frozen).reasons == {"frozen"}
}

test_a_freeze_stops_partner_roles_and_services if {
	frozen := example.but("/meta/frozen", true)
	fields := {"groups": [], "organizations": {"acme": ["partner-admin"]}}
	member := example.at_partner(example.asks("connection:read", fields), "acme")
	example.decide_in(member, frozen).reasons == {"frozen"}
	robot := example.asks("iam:modify", object.union(example.service, {"groups": ["admin"]}))
	example.decide(robot).allow
	example.decide_in(robot, frozen).reasons == {"frozen"}
}

test_a_bundle_that_ran_out_denies_all_but_the_emergency_roles if {
	over := example.but("/meta/valid_until", example.now)
	example.decide_in(reading, over).reasons == {"bundle_expired"}
	example.decide_in(changing, over).reasons == {"role:admin"}
}

test_what_an_emergency_role_may_do_after_the_end_is_good_for_a_moment if {
	over := example.but("/meta/valid_until", example.now)
	harmless := json.patch(over, [
		{"op": "add", "path": "/permissions/iam:modify/sensitive", "value": false},
	])
	example.decide_in(changing, harmless).valid_until == example.now + 2
}

test_a_bundle_that_is_good_for_one_more_second_still_decides if {
	content := example.but("/meta/valid_until", example.now + 1)
	example.decide_in(reading, content).valid_until == example.now + 1
}

test_a_bundle_that_does_not_say_counts_as_frozen_and_expired if {
	content := json.remove(example.world, ["meta/frozen", "meta/valid_until"])
	example.decide_in(reading, content).reasons == {"frozen", "bundle_expired"}
}

test_without_emergency_roles_a_freeze_is_total if {
	content := json.patch(example.world, [
		{"op": "add", "path": "/meta/frozen", "value": true},
		{"op": "remove", "path": "/meta/emergency_roles"},
	])
	example.decide_in(changing, content).reasons == {"frozen"}
}
