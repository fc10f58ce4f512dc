package tradepulse.authz.grants_test

import data.tradepulse.authz.example

ending(instant) := example.but("/grants/prod/ada@example.test/viewer", instant)

reading := example.asks("analytics:read", {})

test_a_grant_dies_at_its_second if {
	example.decide_in(reading, ending(example.now)).reasons == {"grant_expired"}
	example.decide_in(reading, ending(example.now - 1)).reasons == {"grant_expired"}
	example.decide_in(reading, ending(example.now + 1)).allow
}

test_a_decision_ends_with_its_grant if {
	example.decide_in(reading, ending(example.now + 1)).valid_until == example.now + 1
}

test_a_grant_without_an_end_outlives_the_bundle if {
	answer := example.decide_in(reading, ending(example.never))
	answer.valid_until == example.world.meta.valid_until
}

test_a_role_in_the_token_without_any_grant_does_not_count if {
	example.decide(example.asks("analytics:read", {"email": "eve@example.test"})).reasons == {"grant_missing"}
	example.decide(example.asks("analytics:read", {"email": null})).reasons == {"grant_missing"}
}

test_a_grant_in_another_environment_does_not_count if {
	request := object.union(example.asks("execution:pause", {"groups": ["trader"], "environment": "dev"}), {"environment": "dev"})
	example.decide(request).reasons == {"grant_missing"}
}

test_a_federated_role_counts_without_a_grant if {
	request := object.union(
		example.asks("analytics:read", {"email": "eve@example.test", "environment": "dev"}),
		{"environment": "dev"},
	)
	answer := example.decide(request)
	answer.reasons == {"role:viewer"}
	nameless := object.union(example.asks("analytics:read", {"email": null, "environment": "dev"}), {"environment": "dev"})
	example.decide(nameless).allow
}

test_an_expired_grant_is_not_revived_by_federation if {
	content := json.patch(ending(example.now), [{"op": "add", "path": "/federated_roles/prod/-", "value": "viewer"}])
	example.decide_in(reading, content).reasons == {"grant_expired"}
}

lapsing(until) := json.patch(example.world, [
	{"op": "remove", "path": "/grants/prod/ada@example.test/viewer"},
	{"op": "add", "path": "/federated_roles/prod/-", "value": "viewer"},
	{"op": "add", "path": "/lapsed", "value": {"prod": {"ada@example.test": {"viewer": until}}}},
])

test_a_grant_that_is_on_record_no_more_is_not_revived_by_federation if {
	example.decide_in(reading, lapsing(example.now + 1)).reasons == {"grant_expired"}
	other := example.asks("analytics:read", {"email": "eve@example.test"})
	example.decide_in(other, lapsing(example.now + 1)).allow
}

test_what_a_provider_gives_counts_again_when_no_token_of_before_can_be_alive if {
	example.decide_in(reading, lapsing(example.now)).allow
}

test_a_grant_on_record_counts_whatever_lapsed_before if {
	content := json.patch(lapsing(example.now + 9), [
		{"op": "add", "path": "/grants/prod/ada@example.test/viewer", "value": example.now + 1},
	])
	example.decide_in(reading, content).valid_until == example.now + 1
}

test_an_address_that_only_folds_to_that_of_another_gets_nothing if {
	content := example.but("/grants/prod/k@example.test", {"viewer": example.never})
	example.decide_in(example.asks("analytics:read", {"email": "K@example.test"}), content).allow

	# The Kelvin sign becomes an ASCII k when its case is folded.
	kelvin := example.decide_in(example.asks("analytics:read", {"email": "\u212a@example.test"}), content)
	kelvin.reasons == {"grant_missing"}
}

test_a_service_has_the_roles_of_its_client_and_needs_no_login if {
	answer := example.decide(example.asks("deployment:rollout", example.service))
	answer.reasons == {"role:sre"}
	answer.valid_until == example.world.meta.valid_until
}

test_a_service_has_no_role_that_its_client_has_not if {
	request := example.asks("deployment:rollout", object.union(example.service, {"groups": ["builder"]}))
	answer := example.decide(request)
	answer.reasons == {"role_not_granted_to_client"}
	answer.step_up == null
}

test_a_service_borrows_no_grant_of_a_person if {
	fields := object.union(example.service, {"groups": ["builder"], "email": "ada@example.test"})
	example.decide(example.asks("deployment:rollout", fields)).allow == false
}

test_a_service_has_no_role_by_federation if {
	content := json.patch(example.world, [
		{"op": "add", "path": "/federated_roles/prod/-", "value": "builder"},
	])
	request := example.asks("deployment:rollout", object.union(example.service, {"groups": ["builder"]}))
	example.decide_in(request, content).reasons == {"role_not_granted_to_client"}
}

test_a_person_has_no_role_of_the_client_they_came_through if {
	fields := {"client": "deployer", "email": "eve@example.test", "groups": ["sre"], "assurance_level": "aal3"}
	example.decide(example.asks("deployment:rollout", fields)).reasons == {"grant_missing"}
}
