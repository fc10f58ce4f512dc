# METADATA
# description: |
#   Whether the input is what `identity` sends. All else is refused as a whole instead of being
#   guessed at; a field that is missing may be one that would have narrowed the answer.
package tradepulse.authz.shape

# `concat` is undefined unless it is given strings only, and is the cheapest way to ask for that.
well_formed if {
	is_string(input.environment)
	is_string(input.permission)
	type_name(input.partner) in {"null", "string"}
	_names(input.resource)
	_subject(input.subject)
}

_subject(subject) if {
	subject.kind in {"person", "service"}
	is_string(subject.id)
	subject.id != ""
	type_name(subject.email) in {"null", "string"}
	is_string(subject.environment)
	is_string(subject.client)
	concat("", subject.groups)
	subject.assurance_level in {"aal1", "aal2", "aal3"}
	type_name(subject.acr) in {"null", "string"}
	concat("", subject.amr)
	_instant(subject.auth_time)
	is_object(subject.organizations)
	every roles in subject.organizations {
		concat("", roles)
	}
	_ends(object.get(subject, "lent", {}))
}

# Who says nothing of roles with an end has none.
_ends(lent) if {
	is_object(lent)
	every roles in lent {
		is_object(roles)
		every instant in roles {
			is_number(instant)
			_instant(instant)
		}
	}
}

_instant(value) if is_null(value)

_instant(value) if {
	is_number(value)
	value >= 0
	floor(value) == value
}

_names(value) if is_null(value)

_names(value) if {
	is_object(value)
	concat("", [item | some item in value])
}
