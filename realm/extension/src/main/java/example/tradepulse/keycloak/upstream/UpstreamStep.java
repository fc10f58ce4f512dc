package example.tradepulse.keycloak.upstream;

import java.io.IOException;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;

import com.fasterxml.jackson.core.type.TypeReference;
import example.tradepulse.keycloak.step.QuietStep;
import jakarta.ws.rs.core.Response;
import org.jboss.logging.Logger;
import org.keycloak.authentication.AuthenticationFlowContext;
import org.keycloak.authentication.AuthenticationFlowError;
import org.keycloak.authentication.AuthenticatorUtil;
import org.keycloak.models.Constants;
import org.keycloak.protocol.oidc.OIDCLoginProtocol;
import org.keycloak.services.managers.AuthenticationManager;
import org.keycloak.sessions.AuthenticationSessionModel;
import org.keycloak.util.JsonSerialization;

/**
 * The first step after a login at an identity provider: gives the login what the provider proved, and no more.
 *
 * <p>It writes the proof where Keycloak keeps which level a session proved when, with the provider's own time. The
 * conditions of the flow then see a level that was proved before, judge by their own age limits whether it still counts,
 * and ask for a factor of ours where it does not. So nothing here says "this is aal2": what is old there is old here.
 */
final class UpstreamStep implements QuietStep {

    static final UpstreamStep INSTANCE = new UpstreamStep();

    private static final Logger LOG = Logger.getLogger(UpstreamStep.class);

    private UpstreamStep() {
    }

    @Override
    public void authenticate(AuthenticationFlowContext context) {
        AuthenticationSessionModel login = context.getAuthenticationSession();
        Optional<UpstreamLogin> upstream = UpstreamLogin.of(context.getSession(), login);
        if (upstream.isEmpty() || !upstream.get().addressed()) {
            refuse(context, "address_not_checked", "tradepulseAddressNotVouched");
        } else if (UpstreamLogin.isLinking(login)) {
            // Keycloak would link the other provider at once, without the factor that its own flow asks for.
            refuse(context, "linked_by_provider", "tradepulseLinkNeedsFactor");
        } else {
            upstream.get().proof(Instant.now().getEpochSecond()).ifPresent(proof -> write(login, proof));
            context.success();
        }
    }

    private static void write(AuthenticationSessionModel login, UpstreamProof proof) {
        login.setUserSessionNote(UpstreamProof.NOTE, proof.toNote());
        long oldest = 0;
        if (AuthenticatorUtil.isForcedReauthentication(login)) {
            Optional<Long> asked = oldestAllowed(login);
            if (asked.isEmpty() || proof.time() < asked.get()) {
                // Keycloak disregards what was proved before, and the provider has nothing newer.
                return;
            }
            oldest = asked.get();
            login.removeAuthNote(AuthenticationManager.FORCED_REAUTHENTICATION);
        }
        try {
            Map<Integer, Integer> levels = proof.addTo(known(login), oldest);
            login.setAuthNote(Constants.LOA_MAP, JsonSerialization.writeValueAsString(levels));
        } catch (IOException impossible) {
            throw new IllegalStateException("numbers are JSON", impossible);
        }
    }

    /** The time before which nothing counts for a client that limits the age of a login; empty for an outright new one. */
    private static Optional<Long> oldestAllowed(AuthenticationSessionModel login) {
        String maxAge = login.getClientNote(OIDCLoginProtocol.MAX_AGE_PARAM);
        String prompt = login.getClientNote(OIDCLoginProtocol.PROMPT_PARAM);
        boolean limited = maxAge != null && maxAge.matches("[0-9]{1,9}") && (prompt == null || !prompt.contains("login"));
        return limited ? Optional.of(Instant.now().getEpochSecond() - Long.parseLong(maxAge)) : Optional.empty();
    }

    private static Map<Integer, Integer> known(AuthenticationSessionModel login) {
        String levels = login.getAuthNote(Constants.LOA_MAP);
        try {
            return levels == null ? Map.of() : JsonSerialization.readValue(levels, new TypeReference<Map<Integer, Integer>>() { });
        } catch (IOException unreadable) {
            LOG.warn("a login's level map is not JSON and counts as empty", unreadable);
            return Map.of();
        }
    }

    private static void refuse(AuthenticationFlowContext context, String reason, String message) {
        context.getEvent().user(context.getUser()).error(reason);
        Response page = context.form().setError(message).createErrorPage(Response.Status.FORBIDDEN);
        context.failure(AuthenticationFlowError.ACCESS_DENIED, page);
    }

    @Override
    public boolean requiresUser() {
        return true;
    }
}
