# What may be asked of the OPA that services share: a decision, the revision, its health. Nobody may change it over its
# API: rules and data come in the signed bundle alone.
package system.authz

default allow := false

allow if {
	input.method == "POST"
	input.path == ["v1", "data", "tradepulse", "authz", "decision"]
}

# admin-sync asks which revision is served and what OPA says of its bundle; the vault reads its catalogue of brokers.
allow if {
	input.method in {"GET", "POST"}
	input.path in {["v1", "data", "tradepulse", "iam", "meta"], ["v1", "data", "tradepulse", "iam", "vault"]}
}

allow if {
	input.method == "GET"
	input.path in {["v1", "status"], ["health"], ["metrics"]}
}
