package example.tradepulse.keycloak.separation;

import java.util.List;

/** Roles that are held together against a rule. */
record Conflict(String rule, List<String> roles) {

    /** The roles as a person would list them. */
    String shown() {
        return String.join(" and ", roles);
    }
}
