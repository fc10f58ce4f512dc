package example.tradepulse.keycloak.separation;

import java.io.IOException;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;

/**
 * Which roles nobody may hold together, and who may all the same for a while: the realm attribute
 * {@code tradepulse.separation}, as {@code admin-sync} writes it. Pure.
 *
 * <p>An exception sets aside the roles that it names, for one person and one rule, until a time; at that time it is over.
 */
record Rules(List<Rule> rules, List<Exemption> exceptions) {

    /** The attribute of the realm. */
    static final String ATTRIBUTE = "tradepulse.separation";

    static final Rules NONE = new Rules(List.of(), List.of());

    private static final ObjectMapper JSON = JsonMapper.builder()
            .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .build();

    /** Roles of which nobody may hold two. */
    record Rule(String name, List<String> roles) {}

    /** One person's exception; {@code until} is an instant as in RFC 3339. */
    record Exemption(String user, String rule, List<String> roles, String until) {

        boolean covers(String email, String name, Instant now) {
            return user.equalsIgnoreCase(email) && rule.equals(name) && now.isBefore(Instant.parse(until));
        }
    }

    /** The rules in a document; none where there is no document. Throws IllegalArgumentException where it is not one of ours. */
    static Rules of(String text) {
        if (text == null) {
            return NONE;
        }
        try {
            Rules found = JSON.readValue(text, Rules.class);
            found.check();
            return found;
        } catch (IOException | DateTimeException | NullPointerException shape) {
            throw new IllegalArgumentException("the realm's attribute " + ATTRIBUTE + " is not a document of rules", shape);
        }
    }

    private void check() {
        for (Rule rule : rules) {
            if (rule.name().isBlank() || rule.roles().size() < 2) {
                throw new IllegalArgumentException("the realm's attribute " + ATTRIBUTE + " has a rule without a name or without two roles");
            }
        }
        for (Exemption one : exceptions) {
            Instant.parse(one.until());
            if (one.user().isBlank() || one.rule().isBlank() || one.roles().isEmpty()) {
                throw new IllegalArgumentException("the realm's attribute " + ATTRIBUTE + " has an exception without a person, a rule or roles");
            }
        }
    }

    boolean isEmpty() {
        return rules.isEmpty();
    }

    /** Every role that some rule names. */
    Set<String> names() {
        return rules.stream().flatMap(rule -> rule.roles().stream()).collect(Collectors.toSet());
    }

    /**
     * Every rule that somebody breaks by holding some roles, in the order of the rules.
     *
     * @param email of the person where it is verified, else null: nobody else's exception may be claimed
     */
    List<Conflict> broken(Set<String> held, String email, Instant now) {
        List<Conflict> found = new ArrayList<>();
        for (Rule rule : rules) {
            Set<String> both = new TreeSet<>(rule.roles());
            both.retainAll(held);
            Set<String> counted = new HashSet<>(both);
            if (email != null) {
                exceptions.stream().filter(one -> one.covers(email.toLowerCase(Locale.ROOT), rule.name(), now))
                        .forEach(one -> counted.removeAll(one.roles()));
            }
            if (counted.size() > 1) {
                found.add(new Conflict(rule.name(), new ArrayList<>(both)));
            }
        }
        return found;
    }
}
