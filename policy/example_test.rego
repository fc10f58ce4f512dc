# METADATA
# description: |
#   The small world that all tests of the rules share: its data, a clock, and requests that differ
#   from a plain one by a patch. It is Monday, 2026-11-23, 15:00 UTC: 10:00 in New York.
package tradepulse.authz.example

import data.tradepulse.authz

now := 1795446000

day := 86400

never := 253402300799

world := {
	"meta": {
		"revision": "abc-1", "serial": 1, "built_at": now - 60, "valid_until": now + (7 * day),
		"frozen": false, "emergency_roles": ["admin"],
	},
	"permissions": {
		"analytics:read": {"sensitive": false, "partner_scoped": false},
		"execution:launch": {"sensitive": true, "partner_scoped": false},
		"execution:pause": {"sensitive": false, "partner_scoped": false},
		"deployment:rollout": {"sensitive": true, "partner_scoped": false},
		"iam:modify": {"sensitive": true, "partner_scoped": false},
		"connection:read": {"sensitive": false, "partner_scoped": true},
		"connection:approve": {"sensitive": true, "partner_scoped": true},
	},
	"routes": {
		"analytics:read": {"viewer": [plain], "super_admin": [plain, {"level": 3, "windows": ["night"]}]},
		"execution:launch": {"trader": [{"level": 2, "windows": ["trader"]}]},
		"execution:pause": {"trader": [{"level": 2, "windows": ["trader"]}], "night": [{"level": 2, "windows": ["night"]}]},
		"deployment:rollout": {"sre": [{"level": 3, "windows": []}], "builder": [plain]},
		"iam:modify": {"admin": [{"level": 3, "windows": []}]},
		"connection:read": {"super_admin": [{"level": 3, "windows": []}]},
	},
	"partner_routes": {
		"connection:read": {"partner-admin": 2, "partner-analyst": 2},
		"connection:approve": {"partner-admin": 2},
	},
	"partners": {
		"acme": {"persona": "live", "brokers": ["paper"], "roles": ["partner-admin", "partner-analyst"]},
		"birch": {"persona": "analytics-only", "brokers": [], "roles": ["partner-analyst"]},
	},
	"assurance": {"sensitive": {"max_age": 300}},
	"windows": {
		"trader": {
			"environments": ["prod"], "weekdays": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"],
			"opens": 480, "closes": 1320, "timezone": "America/New_York",
		},
		"night": {
			"environments": ["prod"], "weekdays": ["Friday"],
			"opens": 1320, "closes": 120, "timezone": "America/New_York",
		},
	},
	"environments": {
		"dev": {"deny_roles_from": []}, "staging": {"deny_roles_from": []},
		"prod": {"deny_roles_from": ["dev"]},
	},
	"grants": {
		"prod": {"ada@example.test": {role: never |
			some role in ["viewer", "trader", "sre", "admin", "super_admin", "builder", "night"]
		}},
		"dev": {},
	},
	"federated_roles": {"prod": ["desk"], "dev": ["viewer"]},
	"clients": {"deployer": {"environments": ["dev", "prod"], "roles": ["sre", "admin"]}},
}

plain := {"level": 2, "windows": []}

person := {
	"kind": "person", "id": "7f0c", "email": "Ada@Example.test", "environment": "prod", "client": "tradepulse",
	"groups": ["viewer"], "assurance_level": "aal2", "acr": "aal2", "amr": ["pwd", "otp"],
	"auth_time": now - 60, "organizations": {},
}

# A person's request in prod, with the subject's fields replaced by those given.
asks(permission, fields) := {
	"environment": "prod", "permission": permission, "partner": null, "resource": {},
	"subject": object.union(person, fields),
}

at_partner(request, partner) := object.union(request, {"partner": partner})

service := {
	"kind": "service", "client": "deployer", "groups": ["sre"], "assurance_level": "aal1", "email": null,
	"acr": null, "amr": [], "auth_time": null,
}

decide(request) := decide_in(request, world)

decide_in(request, content) := decide_at(request, content, now)

decide_at(request, content, seconds) := answer if {
	answer := authz.decision with input as request
		with data.tradepulse.iam as content
		with time.now_ns as seconds * 1000000000
}

# The world with the value at a path ("meta/frozen") replaced.
but(path, value) := json.patch(world, [{"op": "add", "path": path, "value": value}])
