package tradepulse.authz.partners_test

import data.tradepulse.authz.example

member(organizations, permission, partner) := example.at_partner(
	example.asks(permission, {"groups": [], "organizations": organizations}),
	partner,
)

test_a_member_has_the_permissions_of_the_role_there if {
	answer := example.decide(member({"acme": ["partner-admin"]}, "connection:approve", "acme"))
	answer.reasons == {"partner_role:partner-admin"}
	answer.valid_until == example.now + 240
}

test_a_membership_reaches_no_other_partner if {
	answer := example.decide(member({"acme": ["partner-admin"]}, "connection:read", "birch"))
	answer.reasons == {"no_role_grants_permission", "not_a_member_of_partner"}
}

test_a_member_without_the_role_is_told_so if {
	answer := example.decide(member({"acme": ["partner-analyst"]}, "connection:approve", "acme"))
	answer.reasons == {"no_role_grants_permission"}
}

test_a_role_that_the_partner_may_not_hand_out_does_not_count if {
	answer := example.decide(member({"birch": ["partner-admin"]}, "connection:read", "birch"))
	answer.reasons == {"partner_role_not_allowed"}
}

test_a_partner_role_at_the_top_level_of_a_token_does_not_count if {
	request := example.at_partner(example.asks("connection:read", {"groups": ["partner-admin"]}), "acme")
	example.decide(request).reasons == {"no_role_grants_permission", "not_a_member_of_partner"}
}

test_a_partner_role_gives_no_permission_without_partner if {
	content := example.but("/partner_routes/analytics:read", {"partner-admin": 2})
	answer := example.decide_in(member({"acme": ["partner-admin"]}, "analytics:read", "acme"), content)
	answer.reasons == {"no_role_grants_permission"}
}

test_a_platform_role_that_includes_the_permission_reaches_every_partner if {
	request := example.at_partner(
		example.asks("connection:read", {"groups": ["super_admin"], "assurance_level": "aal3"}),
		"birch",
	)
	example.decide(request).reasons == {"role:super_admin"}
}

test_a_partner_role_may_demand_a_level if {
	content := example.but("/partner_routes/connection:read/partner-admin", 3)
	answer := example.decide_in(member({"acme": ["partner-admin"]}, "connection:read", "acme"), content)
	answer.reasons == {"assurance_too_low"}
	answer.step_up == {"acr": "aal3", "max_age": null}
}

test_a_service_is_no_member_of_a_partner if {
	fields := object.union(example.service, {"groups": [], "organizations": {"acme": ["partner-admin"]}})
	request := example.at_partner(example.asks("connection:read", fields), "acme")
	example.decide(request).reasons == {"no_role_grants_permission"}
}

test_sensitive_work_at_a_partner_needs_a_fresh_login if {
	request := member({"acme": ["partner-admin"]}, "connection:approve", "acme")
	stale := json.patch(request, [{"op": "replace", "path": "/subject/auth_time", "value": example.now - 300}])
	answer := example.decide(stale)
	answer.reasons == {"authentication_too_old"}
	answer.step_up == {"acr": "aal2", "max_age": 300}
}

test_a_service_is_not_told_to_become_a_member if {
	request := example.at_partner(example.asks("connection:read", object.union(example.service, {"groups": []})), "acme")
	example.decide(request).reasons == {"no_role_grants_permission"}
}

lent(ends, organizations) := example.at_partner(
	example.asks("connection:read", {"groups": [], "organizations": organizations, "lent": ends}),
	"acme",
)

test_a_lent_role_counts_until_its_end if {
	answer := example.decide(lent({"acme": {"partner-analyst": example.now + 90}}, {"acme": []}))
	answer.reasons == {"partner_role:partner-analyst"}
	answer.valid_until == example.now + 90
}

test_a_lent_role_is_over_at_its_second_whoever_left_it_in_the_token if {
	answer := example.decide(lent({"acme": {"partner-analyst": example.now}}, {"acme": []}))
	answer.reasons == {"partner_role_ended"}
	answer.step_up == null
}

test_a_lent_role_reaches_no_other_partner if {
	answer := example.decide(lent({"birch": {"partner-analyst": example.now + 90}}, {"birch": []}))
	answer.reasons == {"no_role_grants_permission", "not_a_member_of_partner"}
}

test_a_role_that_is_held_for_good_has_no_end if {
	request := lent({"acme": {"partner-analyst": example.now}}, {"acme": ["partner-analyst"]})
	answer := example.decide(request)
	answer.reasons == {"partner_role:partner-analyst"}
	answer.valid_until == example.world.meta.valid_until
}

test_a_lent_role_that_the_partner_may_not_hand_out_does_not_count if {
	request := object.union(lent({"birch": {"partner-admin": example.now + 90}}, {"birch": []}), {"partner": "birch"})
	example.decide(request).reasons == {"partner_role_not_allowed"}
}
