# METADATA
# description: |
#   Whether the input is what `identity` sends. All else is refused as a whole instead of being
#   guessed at; a field that is missing may be one that would have narrowed the answer.
package tradepulse.authz.shape

well_formed if {
	is_string(input.environment)
	is_string(input.permission)
	null_or_string(input.partner)
	null_or_names(input.resource)
	_subject(input.subject)
}

_subject(subject) if {
	subject.kind in {"person", "service"}
	is_string(subject.id)
	subject.id != ""
	null_or_string(subject.email)
	is_string(subject.environment)
	is_string(subject.client)
	strings(subject.groups)
	subject.assurance_level in {"aal1", "aal2", "aal3"}
	null_or_string(subject.acr)
	strings(subject.amr)
	null_or_instant(subject.auth_time)
	_memberships(subject.organizations)
}

_memberships(organizations) if {
	is_object(organizations)
	every roles in organizations {
		strings(roles)
	}
}

strings(value) if {
	is_array(value)
	every item in value {
		is_string(item)
	}
}

null_or_string(value) if is_null(value)

null_or_string(value) if is_string(value)

null_or_instant(value) if is_null(value)

null_or_instant(value) if {
	is_number(value)
	value >= 0
	floor(value) == value
}

null_or_names(value) if is_null(value)

null_or_names(value) if {
	is_object(value)
	every item in value {
		is_string(item)
	}
}
