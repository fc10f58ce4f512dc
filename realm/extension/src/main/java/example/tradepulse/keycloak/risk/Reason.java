package example.tradepulse.keycloak.risk;

/**
 * One thing that speaks against letting a login pass as it is.
 *
 * @param code stable, for the audit log and for who searches it
 * @param outcome what it demands
 * @param subject what it is about: a network, an address, a time in milliseconds; empty where the code says all. Two
 *     reasons of one code and subject are the same reason, seen twice
 */
record Reason(String code, Outcome outcome, String subject) {

    static final String POLICY_UNAVAILABLE = "policy_unavailable";
    static final String NETWORK_LISTED = "network_listed";
    static final String NETWORK_LIST_UNAVAILABLE = "network_list_unavailable";
    static final String ADDRESS_UNKNOWN = "address_unknown";
    static final String NEW_DEVICE = "new_device";
    static final String POSTURE_MISSING = "posture_missing";
    static final String POSTURE_UNHEALTHY = "posture_unhealthy";
    static final String FAILED_MFA = "failed_mfa";
    static final String TRAVEL = "travel";
    static final String LOCATIONS_UNAVAILABLE = "locations_unavailable";
    static final String HISTORY_UNAVAILABLE = "history_unavailable";

    Reason(String code, Outcome outcome) {
        this(code, outcome, "");
    }

    /** By which it is recognised in a session that has answered for it; without space. */
    String key() {
        return code + ":" + subject;
    }
}
