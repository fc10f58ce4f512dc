package tradepulse.authz.assurance_test

import data.tradepulse.authz.example

rollout(fields) := example.decide(example.asks("deployment:rollout", object.union({"groups": ["builder"]}, fields)))

test_a_password_alone_gives_nothing if {
	answer := example.decide(example.asks("analytics:read", {"assurance_level": "aal1"}))
	answer.reasons == {"assurance_too_low"}
}

test_a_higher_level_than_needed_is_fine if {
	example.decide(example.asks("analytics:read", {"assurance_level": "aal3"})).allow
}

test_a_sensitive_permission_needs_a_fresh_login if {
	answer := rollout({"auth_time": example.now - 300})
	answer.reasons == {"authentication_too_old"}
	answer.step_up == {"acr": "aal2", "max_age": 300}
	rollout({"auth_time": example.now - 299}).valid_until == example.now + 1
}

test_a_harmless_permission_does_not if {
	example.decide(example.asks("analytics:read", {"auth_time": 0})).allow
	example.decide(example.asks("analytics:read", {"auth_time": null})).allow
}

test_a_login_without_a_time_is_not_fresh if {
	rollout({"auth_time": null}).reasons == {"authentication_too_old"}
}

test_a_login_in_the_future_is_fresh_only_within_the_tolerated_skew if {
	rollout({"auth_time": example.now + 30}).allow
	rollout({"auth_time": example.now + 31}).reasons == {"authentication_too_old"}
}

test_level_and_age_are_both_told if {
	answer := rollout({"auth_time": 0, "assurance_level": "aal1"})
	answer.reasons == {"assurance_too_low", "authentication_too_old"}
	answer.step_up == {"acr": "aal2", "max_age": 300}
}

test_a_permission_that_does_not_say_it_is_harmless_is_sensitive if {
	content := json.remove(example.world, ["permissions/analytics:read/sensitive"])
	answer := example.decide_in(example.asks("analytics:read", {"auth_time": 0}), content)
	answer.reasons == {"authentication_too_old"}
}
