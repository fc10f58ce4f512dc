package tradepulse.authz.shape_test

import data.tradepulse.authz.example

good := example.asks("analytics:read", {})

refused(request) if {
	answer := example.decide(request)
	answer.allow == false
	answer.reasons == {"malformed_input"}
	answer.step_up == null
	answer.revision == "abc-1"
}

test_a_plain_request_is_well_formed if example.decide(good).allow

test_every_missing_field_is_refused if {
	every path in [
		"environment", "permission", "partner", "resource", "subject", "subject/kind", "subject/id", "subject/email",
		"subject/environment", "subject/client", "subject/groups", "subject/assurance_level", "subject/acr",
		"subject/amr", "subject/auth_time", "subject/organizations",
	] {
		refused(json.remove(good, [path]))
	}
}

wrong := [null, true, 7, 1.5, "x", [], [1], ["x", null], {}, {"x": 1}, {"x": ["y", 1]}, {"x": "y"}]

fits := {
	"environment": ["x"], "permission": ["x"], "partner": [null, "x"], "resource": [null, {}, {"x": "y"}], "subject": [],
	"subject/kind": [], "subject/id": ["x"], "subject/email": [null, "x"], "subject/environment": ["x"],
	"subject/client": ["x"], "subject/groups": [[]], "subject/assurance_level": [], "subject/acr": [null, "x"],
	"subject/amr": [[]], "subject/auth_time": [null, 7], "subject/organizations": [{}],
}

test_every_wrong_type_is_refused if {
	every path, accepted in fits {
		every value in wrong {
			judged_by_shape(path, value, accepted)
		}
	}
}

judged_by_shape(_, value, accepted) if value in accepted

judged_by_shape(path, value, accepted) if {
	not value in accepted
	refused(json.patch(good, [{"op": "replace", "path": path, "value": value}]))
}

test_an_input_that_is_no_object_is_refused if {
	every value in wrong {
		refused(value)
	}
}

test_other_values_of_closed_sets_are_refused if {
	refused(example.asks("analytics:read", {"kind": "robot"}))
	refused(example.asks("analytics:read", {"assurance_level": "AAL2"}))
	refused(example.asks("analytics:read", {"assurance_level": "aal4"}))
	refused(example.asks("analytics:read", {"id": ""}))
	refused(example.asks("analytics:read", {"auth_time": -1}))
}

test_ends_of_lent_roles_are_whole_seconds_or_the_whole_is_refused if {
	every value in array.concat(wrong, [{"x": {"y": 1.5}}, {"x": {"y": -1}}, {"x": {"y": "1"}}, {"x": {"y": null}}]) {
		judged_lent(value)
	}
	example.decide(object.union(good, {"subject": object.union(good.subject, {"lent": {"x": {"y": 7}}})})).allow
}

judged_lent(value) if value == {}

judged_lent(value) if refused(object.union(good, {"subject": json.patch(good.subject, [{"op": "add", "path": "/lent", "value": value}])}))
