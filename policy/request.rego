# METADATA
# description: What forbids a well-formed request no matter which roles the caller has.
package tradepulse.authz.request

import data.tradepulse.iam

vetoes contains "unknown_permission" if not iam.permissions[input.permission]

vetoes contains "unknown_environment" if not iam.environments[input.environment]

# A token is good in the environment whose realm issued it and nowhere else.
vetoes contains "environment_mismatch" if input.subject.environment != input.environment

# This is said besides, where the configuration names the environment as one that must never reach here.
vetoes contains "roles_denied_from_environment" if {
	input.subject.environment in iam.environments[input.environment].deny_roles_from
}

vetoes contains "partner_required" if {
	partner_scoped
	is_null(input.partner)
}

vetoes contains "unknown_partner" if {
	partner_scoped
	is_string(input.partner)
	not iam.partners[input.partner]
}

vetoes contains "broker_not_allowed" if {
	partner_scoped
	partner := iam.partners[input.partner]
	broker := input.resource.broker
	not broker in partner.brokers
}

# Whoever has left holds nothing, by whatever way: their tokens live on for minutes, and a group that an
# identity provider or a partner gave them is nobody's grant to take away.
vetoes contains "barred" if {
	input.subject.kind == "person"
	iam.barred[lower(input.subject.email)]
}

vetoes contains "unknown_client" if {
	input.subject.kind == "service"
	not iam.clients[input.subject.client]
}

vetoes contains "client_not_in_environment" if {
	input.subject.kind == "service"
	client := iam.clients[input.subject.client]
	not input.environment in client.environments
}

# A permission that does not say it reaches across partners asks for one.
partner_scoped if {
	permission := iam.permissions[input.permission]
	not permission.partner_scoped == false
}
