package example.tradepulse.keycloak.risk;

import java.util.Optional;

/** What becomes of a login, in order: of several outcomes the last one holds. */
enum Outcome {
    ALLOW("allow"),
    /** Goes on once a second factor was proved in this login. */
    STEP_UP("step_up"),
    DENY("deny");

    private final String word;

    Outcome(String word) {
        this.word = word;
    }

    /** As in {@code policies.yaml} and in the audit log. */
    String word() {
        return word;
    }

    /** The outcome of that word; {@code lock_and_alert} is a denial whose line the monitor turns into an alert. */
    static Optional<Outcome> of(String word) {
        for (Outcome outcome : values()) {
            if (outcome.word.equals(word)) {
                return Optional.of(outcome);
            }
        }
        return "lock_and_alert".equals(word) ? Optional.of(DENY) : Optional.empty();
    }

    Outcome worse(Outcome other) {
        return compareTo(other) >= 0 ? this : other;
    }
}
