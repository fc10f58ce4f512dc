package tradepulse.log_test

import data.tradepulse.authz.example
import data.tradepulse.log

entry(document) := {"path": "tradepulse/authz/decision", "input": document, "result": {"allow": true}}

test_the_log_shows_the_person_by_id_only if {
	log.mask == {"/input/subject/email"} with input as entry(example.asks("analytics:read", {}))
}

test_the_log_shows_nothing_that_does_not_belong_there if {
	strange := object.union(example.asks("analytics:read", {"token~/x": "s"}), {"authorization": "s"})
	log.mask == {"/input/subject/email", "/input/subject/token~0~1x", "/input/authorization"} with input as entry(strange)
}

test_the_log_shows_no_input_of_another_shape if {
	log.mask == {"/input"} with input as entry("a token by mistake")
	log.mask == {"/input"} with input as entry(["a token by mistake"])
	log.mask == {"/input/subject"} with input as entry({"subject": "a token by mistake"})
	log.mask == set() with input as entry(null)
}

test_the_log_shows_results_of_decisions_only if {
	"/result" in log.mask with input as {"path": "tradepulse/iam/grants", "result": {"prod": {}}}
}
