package example.tradepulse.keycloak.risk;

import org.keycloak.sessions.AuthenticationSessionModel;

/** What other packages may know of a login that was judged. */
public final class Demanded {

    private Demanded() {
    }

    /** Whether this login has to prove a second factor because something about it is unusual. */
    public static boolean isFactor(AuthenticationSessionModel login) {
        return Memory.isFactorDemanded(login);
    }
}
