package example.tradepulse.keycloak.risk;

import java.util.List;
import java.util.Optional;
import java.util.Set;

import org.jboss.logging.Logger;
import org.keycloak.common.util.Time;
import org.keycloak.events.EventType;
import org.keycloak.models.ImpersonationSessionNote;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;
import org.keycloak.models.UserSessionModel;
import org.keycloak.sessions.AuthenticationSessionModel;

/** Gathers what the realm's policy asks for and applies the policy to it. */
final class Judge {

    private static final Logger LOG = Logger.getLogger(Judge.class);

    private final WatchedFiles<NetworkTable<Outcome>> networks;
    private final WatchedFiles<NetworkTable<Position>> locations;

    Judge(WatchedFiles<NetworkTable<Outcome>> networks, WatchedFiles<NetworkTable<Position>> locations) {
        this.networks = networks;
        this.locations = locations;
    }

    /** Judges a login whose person is known; what it learns about the device's posture is kept for the session. */
    Verdict login(KeycloakSession session, RealmModel realm, UserModel user, AuthenticationSessionModel login) {
        Optional<Policy> policy = policy(realm);
        Signals.Posture posture = Signals.Posture.NOT_JUDGED;
        if (policy.flatMap(Policy::posture).isPresent() && Claim.isBrokered(login)) {
            posture = Signals.Posture.of(Claim.of(session, login, policy.get().posture().get().claim()));
            Memory.keep(login, posture);
        }
        return Verdict.of(reasons(session, realm, user, policy, device(session, realm, user), posture), Set.of());
    }

    /** Judges a session that a browser comes back with, from where it comes now. */
    Verdict running(KeycloakSession session, RealmModel realm, UserSessionModel running) {
        UserModel user = running.getUser();
        // The browser is the impersonator's, who was judged as themselves.
        boolean impersonated = running.getNote(ImpersonationSessionNote.IMPERSONATOR_ID.toString()) != null;
        Signals.Device device = impersonated ? Signals.Device.NOT_JUDGED : device(session, realm, user);
        return Verdict.of(reasons(session, realm, user, policy(realm), device, Memory.posture(running)), Memory.answered(running));
    }

    private List<Reason> reasons(
            KeycloakSession session, RealmModel realm, UserModel user, Optional<Policy> known, Signals.Device device, Signals.Posture posture) {
        if (known.isEmpty()) {
            return List.of(new Reason(Reason.POLICY_UNAVAILABLE, Outcome.STEP_UP));
        }
        Policy policy = known.get();
        History history = new History(session, realm, user);
        long now = Time.currentTimeMillis();
        boolean kept = history.keeps(EventType.LOGIN);
        Signals signals = new Signals(
                Network.ofAddress(session.getContext().getConnection().getRemoteHost()),
                device,
                posture,
                policy.failedMfa().flatMap(rule -> history.failures(rule.window(), now)),
                kept && policy.travel().isPresent() ? history.lastLogin() : Optional.empty(),
                kept,
                now);
        return Assessment.of(policy, signals, new Lists(
                policy.networks().flatMap(networks::read), policy.travel().flatMap(rule -> locations.read(rule.locations()))));
    }

    private static Signals.Device device(KeycloakSession session, RealmModel realm, UserModel user) {
        return DeviceCookie.isKnown(session, realm, user) ? Signals.Device.KNOWN : Signals.Device.NEW;
    }

    private static Optional<Policy> policy(RealmModel realm) {
        try {
            return Optional.of(Policy.parse(realm.getAttribute(Policy.ATTRIBUTE)));
        } catch (IllegalArgumentException problem) {
            LOG.errorf("risk: every login of %s asks for a second factor: %s", realm.getName(), problem.getMessage());
            return Optional.empty();
        }
    }
}
