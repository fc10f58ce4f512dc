package example.tradepulse.keycloak.risk;

import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

import org.keycloak.models.UserModel;
import org.keycloak.models.UserSessionModel;
import org.keycloak.sessions.AuthenticationSessionModel;

/** What a login remembers of being judged until it ends, and the session that it makes for as long as it lives. */
final class Memory {

    private static final String JUDGED = "tradepulse.risk.judged";
    private static final String PROVED_SINCE = "tradepulse.risk.proved-since";
    private static final String DENIED = "tradepulse.risk.denied";
    private static final String DEMANDED = "tradepulse.risk.demanded";
    private static final String ANSWERED = "tradepulse.risk.answered";
    private static final String POSTURE = "tradepulse.risk.posture";
    /** A session that answers for more than this has its oldest answers forgotten, and is asked again. */
    private static final int MOST_ANSWERS = 32;

    private Memory() {
    }

    /**
     * Notes that a login was judged.
     *
     * @param since seconds since 1970 from which on a second factor counts as proved for this login
     */
    static void judged(AuthenticationSessionModel login, UserModel user, long since) {
        login.removeAuthNote(DENIED);
        login.setAuthNote(JUDGED, user.getId());
        login.setAuthNote(PROVED_SINCE, String.valueOf(since));
    }

    static boolean isJudged(AuthenticationSessionModel login, UserModel user) {
        return user.getId().equals(login.getAuthNote(JUDGED));
    }

    /** Nobody gets through in this login, by whichever step, until it is judged anew and otherwise. */
    static void deny(AuthenticationSessionModel login, Verdict verdict) {
        login.removeAuthNote(JUDGED);
        login.setAuthNote(DENIED, verdict.gravest().code());
    }

    /** The code of the reason for which this login was refused when it was last judged; empty if it was not. */
    static Optional<String> denied(AuthenticationSessionModel login) {
        return Optional.ofNullable(login.getAuthNote(DENIED));
    }

    /** The time of {@link #judged}; never, if nobody judged this login. */
    static long provedSince(AuthenticationSessionModel login) {
        String seconds = login.getAuthNote(PROVED_SINCE);
        return seconds == null ? Long.MAX_VALUE : Long.parseLong(seconds);
    }

    /** From now on this login needs a second factor, for these reasons. */
    static void demand(AuthenticationSessionModel login, Verdict verdict) {
        login.setAuthNote(DEMANDED, verdict.open().stream().map(Reason::key).collect(Collectors.joining(" ")));
    }

    static boolean isFactorDemanded(AuthenticationSessionModel login) {
        return login.getAuthNote(DEMANDED) != null;
    }

    /** A factor was proved: what was demanded for it is not asked again in this session. A new device is known from now on. */
    static void answer(AuthenticationSessionModel login, UserSessionModel running) {
        Set<String> answers = new LinkedHashSet<>(answered(running));
        words(login.getAuthNote(DEMANDED)).stream().filter(key -> !key.startsWith(Reason.NEW_DEVICE + ":")).forEach(answers::add);
        String kept = answers.stream().skip(Math.max(0, answers.size() - MOST_ANSWERS)).collect(Collectors.joining(" "));
        if (!kept.isEmpty()) {
            login.setUserSessionNote(ANSWERED, kept);
        }
    }

    /** Keys of the reasons that a running session has answered for; none without a session. */
    static Set<String> answered(UserSessionModel running) {
        return running == null ? Set.of() : words(running.getNote(ANSWERED));
    }

    /** The identity provider tells once, at the login; later looks at the session go by that. */
    static void keep(AuthenticationSessionModel login, Signals.Posture posture) {
        login.setUserSessionNote(POSTURE, posture.name());
    }

    static Signals.Posture posture(UserSessionModel running) {
        return Signals.Posture.kept(running.getNote(POSTURE));
    }

    private static Set<String> words(String text) {
        return text == null || text.isEmpty() ? Set.of() : new LinkedHashSet<>(Arrays.asList(text.split(" ")));
    }
}
