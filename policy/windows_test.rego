package tradepulse.authz.windows_test

import data.tradepulse.authz.example

# The decision on a pause, which is not sensitive, at an instant written as RFC 3339.
at(role, instant) := answer if {
	seconds := time.parse_rfc3339_ns(instant) / 1000000000
	content := example.but("/meta/valid_until", seconds + (30 * example.day))
	answer := example.decide_at(example.asks("execution:pause", {"groups": [role]}), content, seconds)
}

closes(role, instant, close) if {
	answer := at(role, instant)
	answer.allow
	answer.valid_until == time.parse_rfc3339_ns(close) / 1000000000
}

closed(role, instant) if at(role, instant).reasons == {"outside_production_window"}

test_a_window_opens_and_closes_to_the_minute if {
	closed("trader", "2026-11-23T07:59:59-05:00")
	closes("trader", "2026-11-23T08:00:00-05:00", "2026-11-23T22:00:00-05:00")
	closes("trader", "2026-11-23T21:59:59-05:00", "2026-11-23T22:00:00-05:00")
	closed("trader", "2026-11-23T22:00:00-05:00")
}

test_a_window_that_the_data_does_not_describe_is_closed if {
	content := json.patch(example.world, [{"op": "remove", "path": "/windows/trader"}])
	answer := example.decide_in(example.asks("execution:pause", {"groups": ["trader"]}), content)
	answer.reasons == {"outside_production_window"}
}

test_a_window_that_names_no_environment_is_open_in_its_hours_alone if {
	content := json.patch(example.world, [
		{"op": "remove", "path": "/windows/trader/environments"},
		{"op": "replace", "path": "/meta/valid_until", "value": example.never},
	])
	every hour, allowed in {"07": false, "12": true} {
		seconds := time.parse_rfc3339_ns(concat("", ["2026-11-23T", hour, ":00:00-05:00"])) / 1000000000
		example.decide_at(example.asks("execution:pause", {"groups": ["trader"]}), content, seconds).allow == allowed
	}
}

test_a_window_keeps_its_weekdays if {
	closed("trader", "2026-11-22T12:00:00-05:00")
	closed("trader", "2026-11-28T12:00:00-05:00")
}

test_a_window_follows_the_clock_on_the_wall_in_summer if {
	closed("trader", "2026-07-06T11:59:00Z")
	closes("trader", "2026-07-06T12:00:00Z", "2026-07-07T02:00:00Z")
	closed("trader", "2026-11-23T12:59:00Z")
	closes("trader", "2026-11-23T13:00:00Z", "2026-11-24T03:00:00Z")
}

test_a_window_across_midnight_belongs_to_the_day_it_opened if {
	closed("night", "2026-11-27T21:59:00-05:00")
	closes("night", "2026-11-27T22:00:00-05:00", "2026-11-28T02:00:00-05:00")
	closes("night", "2026-11-28T01:59:59-05:00", "2026-11-28T02:00:00-05:00")
	closed("night", "2026-11-28T02:00:00-05:00")
	closed("night", "2026-11-27T01:00:00-05:00")
	closed("night", "2026-11-28T22:30:00-05:00")
}

test_a_window_across_midnight_finds_yesterday_on_each_weekday if {
	days := {
		"Monday": "24", "Tuesday": "25", "Wednesday": "26", "Thursday": "27",
		"Friday": "28", "Saturday": "29", "Sunday": "30",
	}
	every opening, date in days {
		seconds := time.parse_rfc3339_ns(concat("", ["2026-11-", date, "T01:00:00-05:00"])) / 1000000000
		content := json.patch(example.world, [
			{"op": "replace", "path": "/windows/night/weekdays", "value": [opening]},
			{"op": "replace", "path": "/meta/valid_until", "value": seconds + (30 * example.day)},
		])
		example.decide_at(example.asks("execution:pause", {"groups": ["night"]}), content, seconds).allow
	}
}

saturday(instant) := answer if {
	seconds := time.parse_rfc3339_ns(instant) / 1000000000
	content := json.patch(example.world, [
		{"op": "replace", "path": "/windows/night/weekdays", "value": ["Saturday"]},
		{"op": "replace", "path": "/windows/night/closes", "value": 150},
		{"op": "replace", "path": "/meta/valid_until", "value": seconds + (30 * example.day)},
	])
	answer := example.decide_at(example.asks("execution:pause", {"groups": ["night"]}), content, seconds)
}

# New York skips 02:00 to 03:00 on 2026-03-08, so a window until 02:30 closes at what would be 02:00.
test_a_window_that_closes_in_the_skipped_hour_closes_when_it_is_skipped if {
	seconds := time.parse_rfc3339_ns("2026-03-08T01:59:59-05:00") / 1000000000
	answer := saturday("2026-03-08T01:59:59-05:00")
	answer.allow
	answer.valid_until == seconds + 1
	saturday("2026-03-08T03:00:00-04:00").reasons == {"outside_production_window"}
}

# It repeats 01:00 to 02:00 on 2026-11-01, and the window is open in both.
test_a_window_is_open_in_both_of_a_repeated_hour if {
	first := saturday("2026-11-01T01:30:00-04:00")
	first.allow
	first.valid_until == (time.parse_rfc3339_ns("2026-11-01T01:30:00-04:00") / 1000000000) + 1
	second := saturday("2026-11-01T01:30:00-05:00")
	second.valid_until == time.parse_rfc3339_ns("2026-11-01T02:30:00-05:00") / 1000000000
}

test_a_window_until_midnight_ends_the_day if {
	seconds := time.parse_rfc3339_ns("2026-11-23T23:59:59-05:00") / 1000000000
	content := example.but("/windows/trader/closes", 1440)
	answer := example.decide_at(example.asks("execution:pause", {"groups": ["trader"]}), content, seconds)
	answer.valid_until == seconds + 1
}

test_a_window_that_closes_as_it_opens_lasts_a_day if {
	content := json.patch(example.world, [
		{"op": "replace", "path": "/windows/night/weekdays", "value": ["Sunday"]},
		{"op": "replace", "path": "/windows/night/closes", "value": 1320},
	])
	answer := example.decide_in(example.asks("execution:pause", {"groups": ["night"]}), content)
	answer.valid_until == time.parse_rfc3339_ns("2026-11-23T22:00:00-05:00") / 1000000000
}

test_a_window_binds_only_in_its_environments if {
	content := example.but("/windows/trader/environments", ["staging"])
	seconds := time.parse_rfc3339_ns("2026-11-22T12:00:00Z") / 1000000000
	request := example.asks("execution:pause", {"groups": ["trader"]})
	example.decide_at(request, content, seconds).valid_until == example.world.meta.valid_until
}

test_a_window_in_a_zone_that_does_not_exist_never_opens if {
	content := example.but("/windows/trader/timezone", "Mars/Olympus")
	request := example.asks("execution:pause", {"groups": ["trader"]})
	example.decide_in(request, content).reasons == {"outside_production_window"}
}

test_a_window_binds_services_as_well if {
	fields := object.union(example.service, {"groups": ["trader"]})
	content := json.patch(example.world, [
		{"op": "add", "path": "/clients/deployer/roles/-", "value": "trader"},
		{"op": "replace", "path": "/windows/trader/weekdays", "value": []},
	])
	answer := example.decide_in(example.asks("execution:pause", fields), content)
	answer.reasons == {"outside_production_window"}
}

test_a_window_that_does_not_bind_ends_nothing if {
	content := example.but("/windows/trader/environments", ["staging"])
	answer := example.decide_in(example.asks("execution:pause", {"groups": ["trader"]}), content)
	answer.valid_until == example.world.meta.valid_until
}
