package tradepulse.authz_test

import data.tradepulse.authz
import data.tradepulse.authz.example

test_an_allow_says_by_which_role_and_until_when if {
	example.decide(example.asks("analytics:read", {})) == {
		"allow": true, "reasons": {"role:viewer"}, "revision": "abc-1", "serial": 1,
		"valid_until": example.world.meta.valid_until, "step_up": null,
	}
}

test_every_role_that_gives_the_permission_is_named if {
	answer := example.decide(example.asks("execution:pause", {"groups": ["trader", "viewer", "night"]}))
	answer.reasons == {"role:trader"}
	both := example.decide(example.asks("analytics:read", {"groups": ["viewer", "super_admin"]}))
	both.reasons == {"role:viewer", "role:super_admin"}
}

test_a_role_without_the_permission_gives_nothing if {
	answer := example.decide(example.asks("iam:modify", {"assurance_level": "aal3"}))
	answer.allow == false
	answer.reasons == {"no_role_grants_permission"}
	answer.step_up == null
	answer.valid_until == example.now + 2
}

test_no_roles_at_all_give_nothing if {
	answer := example.decide(example.asks("analytics:read", {"groups": []}))
	answer.reasons == {"no_role_grants_permission"}
}

test_all_faults_of_all_candidates_are_told if {
	content := example.but("/grants/prod/ada@example.test/builder", example.now)
	answer := example.decide_in(example.asks("deployment:rollout", {"groups": ["sre", "builder"]}), content)
	answer.reasons == {"grant_expired", "assurance_too_low"}
}

test_a_step_up_is_offered_where_it_is_all_that_is_missing if {
	answer := example.decide(example.asks("deployment:rollout", {"groups": ["sre"]}))
	answer.allow == false
	answer.reasons == {"assurance_too_low"}
	answer.step_up == {"acr": "aal3", "max_age": 300}
}

test_the_least_step_up_that_helps_is_offered if {
	answer := example.decide(example.asks("deployment:rollout", {"groups": ["sre", "builder"], "assurance_level": "aal1"}))
	answer.step_up == {"acr": "aal2", "max_age": 300}
}

test_the_permission_counts_only_through_a_role_whose_assurance_is_met if {
	answer := example.decide(example.asks("deployment:rollout", {"groups": ["sre", "builder"]}))
	answer.allow == true
	answer.reasons == {"role:builder"}
}

test_no_step_up_is_offered_for_a_role_that_would_not_count_anyway if {
	content := example.but("/grants/prod/ada@example.test/sre", example.now)
	answer := example.decide_in(example.asks("deployment:rollout", {"groups": ["sre"]}), content)
	answer.reasons == {"grant_expired", "assurance_too_low"}
	answer.step_up == null
}

test_no_step_up_outweighs_a_veto if {
	answer := example.decide(example.asks("deployment:rollout", {"groups": ["sre"], "environment": "staging"}))
	answer.reasons == {"environment_mismatch"}
	answer.step_up == null
}

test_a_step_up_without_age_where_the_permission_is_harmless if {
	answer := example.decide(example.asks("analytics:read", {"assurance_level": "aal1"}))
	answer.step_up == {"acr": "aal2", "max_age": null}
}

test_an_allow_ends_with_the_first_thing_it_relies_on if {
	ending := example.but("/grants/prod/ada@example.test/builder", example.now + 90)
	fresh := example.asks("deployment:rollout", {"groups": ["builder"], "auth_time": example.now})
	example.decide_in(fresh, ending).valid_until == example.now + 90
	stale := example.asks("deployment:rollout", {"groups": ["builder"], "auth_time": example.now - 250})
	example.decide_in(stale, ending).valid_until == example.now + 50
}

test_without_data_everything_is_denied_and_defined if {
	answer := example.decide_in(example.asks("analytics:read", {}), {})
	answer.allow == false
	answer.reasons == {"no_policy_data"}
	answer.serial == 0
}

test_without_any_input_the_answer_is_defined if {
	answer := authz.decision with data.tradepulse.iam as example.world
	answer.allow == false
	answer.reasons == {"malformed_input"}
}
