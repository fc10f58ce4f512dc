package tradepulse.authz.request_test

import data.tradepulse.authz.example

reasons(request) := example.decide(request).reasons

test_an_unknown_permission_is_denied if {
	reasons(example.asks("analytics:write", {})) == {"unknown_permission"}
}

test_an_unknown_environment_is_denied if {
	request := object.union(example.asks("analytics:read", {"environment": "moon"}), {"environment": "moon"})
	reasons(request) == {"unknown_environment"}
}

test_a_token_of_another_environment_is_denied if {
	reasons(example.asks("analytics:read", {"environment": "staging"})) == {"environment_mismatch"}
}

test_an_environment_that_must_never_reach_here_is_named if {
	reasons(example.asks("analytics:read", {"environment": "dev"})) == {
		"environment_mismatch",
		"roles_denied_from_environment",
	}
}

test_a_partner_scoped_permission_needs_a_partner if {
	reasons(example.asks("connection:read", {})) == {"partner_required"}
}

test_an_unknown_partner_is_denied if {
	reasons(example.at_partner(example.asks("connection:read", {}), "nobody")) == {"unknown_partner"}
}

at_broker(permission, broker) := object.union(
	example.at_partner(example.asks(permission, {"organizations": {"acme": ["partner-analyst"]}}), "acme"),
	{"resource": {"broker": broker}},
)

test_a_broker_that_the_partner_does_not_have_is_denied if {
	reasons(at_broker("connection:read", "alpaca")) == {"broker_not_allowed"}
	reasons(at_broker("connection:read", "")) == {"broker_not_allowed"}
	reasons(at_broker("connection:read", "paper")) == {"partner_role:partner-analyst"}
}

test_partner_and_broker_do_not_matter_to_a_permission_without_partner if {
	reasons(at_broker("analytics:read", "alpaca")) == {"role:viewer"}
	reasons(example.at_partner(example.asks("analytics:read", {}), "nobody")) == {"role:viewer"}
}

test_no_resource_is_no_broker if {
	request := object.union(at_broker("connection:read", "paper"), {"resource": null})
	reasons(request) == {"partner_role:partner-analyst"}
}

barring(email) := object.union(example.world, {"barred": {email: true}})

test_somebody_barred_is_denied_in_any_spelling if {
	request := example.asks("analytics:read", {"email": "ADA@Example.test"})
	example.decide_in(request, barring("ada@example.test")).reasons == {"barred"}
}

test_nobody_else_is_barred if {
	request := example.asks("analytics:read", {})
	not "barred" in example.decide_in(request, barring("eve@x.test")).reasons
}

test_a_service_is_not_a_person_who_is_barred if {
	request := example.asks("deployment:rollout", object.union(example.service, {"email": "ada@x.test"}))
	not "barred" in example.decide_in(request, barring("ada@example.test")).reasons
}

test_an_emergency_role_does_not_help_somebody_barred if {
	request := example.asks("iam:modify", {"email": "ada@example.test", "groups": ["admin"]})
	example.decide_in(request, barring("ada@example.test")).reasons == {"barred"}
}

test_an_unknown_service_is_denied if {
	request := example.asks("deployment:rollout", object.union(example.service, {"client": "stranger"}))
	reasons(request) == {"unknown_client"}
}

test_a_service_is_denied_where_its_client_may_not_act if {
	content := example.but("/clients/deployer/environments", ["dev"])
	answer := example.decide_in(example.asks("deployment:rollout", example.service), content)
	answer.reasons == {"client_not_in_environment"}
}

test_a_permission_that_does_not_say_so_is_taken_as_partner_scoped if {
	content := json.remove(example.world, ["permissions/analytics:read/partner_scoped"])
	example.decide_in(example.asks("analytics:read", {}), content).reasons == {"partner_required"}
}

test_a_person_is_not_bound_by_the_environments_of_a_service if {
	content := example.but("/clients/deployer/environments", ["dev"])
	answer := example.decide_in(example.asks("analytics:read", {"client": "deployer"}), content)
	answer.reasons == {"role:viewer"}
}
