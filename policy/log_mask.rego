# METADATA
# description: |
#   What OPA's own decision log must not show: who a person is (the log keeps the subject's id, which
#   names nobody by itself) and everything that does not belong into an input, because whatever
#   arrives there by mistake may be a secret. Read by OPA through `decision_logs.mask_decision`.
package tradepulse.log

mask contains "/input/subject/email" if input.input.subject.email

mask contains _pointer(["input", key]) if {
	is_object(input.input)
	some key, _ in input.input
	not key in {"environment", "permission", "partner", "resource", "subject"}
}

mask contains _pointer(["input", "subject", key]) if {
	is_object(input.input.subject)
	some key, _ in input.input.subject
	not key in _subject_fields
}

# An input of another shape is not ours and is not shown at all.
mask contains "/input" if {
	not is_object(input.input)
	not is_null(input.input)
}

mask contains "/input/subject" if {
	subject := input.input.subject
	not is_object(subject)
}

# The log of a query that is no decision may hold anything.
mask contains "/result" if input.path != "tradepulse/authz/decision"

_subject_fields := {
	"kind", "id", "email", "environment", "client", "groups",
	"assurance_level", "acr", "amr", "auth_time", "organizations", "lent",
}

_pointer(steps) := concat("", [part |
	some step in steps
	part := concat("", ["/", replace(replace(sprintf("%v", [step]), "~", "~0"), "/", "~1")])
])
