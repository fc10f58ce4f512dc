package example.tradepulse.keycloak.risk;

import java.util.Arrays;
import java.util.Optional;

/**
 * What is known about a login or a running session when it is judged. What the policy does not ask for is left out.
 *
 * @param address the client's as Keycloak knows it; empty if that is no address
 * @param failures second factors that failed within the policy's window; empty if the realm keeps no history of them
 * @param lastLogin where the person logged in last; empty if they never did
 * @param historyKept whether the realm stores logins at all, so that an absent last login means there was none
 * @param now milliseconds since 1970
 */
record Signals(
        Optional<Network> address,
        Device device,
        Posture posture,
        Optional<Failures> failures,
        Optional<Login> lastLogin,
        boolean historyKept,
        long now) {

    /** Whether this browser has proved a factor of this account before. */
    enum Device { KNOWN, NEW, NOT_JUDGED }

    /** What the identity provider says about the device; a local login has nobody who could say it. */
    enum Posture {
        HEALTHY, UNHEALTHY, MISSING, NOT_JUDGED;

        /** A claim that is neither true nor false says nothing. */
        static Posture of(Object claim) {
            return switch (String.valueOf(claim)) {
                case "true" -> HEALTHY;
                case "false" -> UNHEALTHY;
                default -> MISSING;
            };
        }

        /** What a session's note says; one that another version wrote, or nobody of ours, says nothing about the device. */
        static Posture kept(String note) {
            return note == null ? NOT_JUDGED
                    : Arrays.stream(values()).filter(one -> one.name().equals(note)).findFirst().orElse(MISSING);
        }
    }

    /** How many, and when the newest was, in milliseconds since 1970. */
    record Failures(int count, long newest) {}

    /** An earlier login of the same person, its time in milliseconds since 1970. */
    record Login(Optional<Network> address, long time) {}
}
