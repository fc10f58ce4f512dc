package example.tradepulse.keycloak.separation;

import java.util.List;

/** Roles that are held together against a rule. */
record Conflict(String rule, List<String> roles) {

    /** Whether it is no worse than another: of the same rule, by those roles or some of them. */
    boolean isWithin(Conflict other) {
        return rule.equals(other.rule()) && other.roles().containsAll(roles);
    }

    /** The roles as a person would list them. */
    String shown() {
        return String.join(" and ", roles);
    }
}
