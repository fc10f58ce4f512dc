package example.tradepulse.keycloak.bypass;

import java.time.Instant;

import jakarta.ws.rs.core.MultivaluedMap;
import jakarta.ws.rs.core.Response;

import org.jboss.logging.Logger;
import org.keycloak.authentication.AuthenticationFlowContext;
import org.keycloak.authentication.AuthenticationFlowError;
import org.keycloak.authentication.Authenticator;
import org.keycloak.authentication.CredentialValidator;
import org.keycloak.authentication.authenticators.util.AcrStore;
import org.keycloak.authentication.authenticators.util.AuthenticatorUtils;
import org.keycloak.events.Details;
import org.keycloak.events.Errors;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;
import org.keycloak.sessions.AuthenticationSessionModel;

import example.tradepulse.keycloak.bypass.Ledger.Attempt;
import example.tradepulse.keycloak.bypass.Ledger.Result;

/**
 * Asks for an emergency code in place of the second factor, where one was approved for the account.
 *
 * <p>The code is worth {@code aal2} until its end and never {@code aal3}; a login that asks for that much is refused before
 * the code is spent. Wrong codes count towards the lock-out of the account, as wrong factors do.
 */
final class BypassForm implements Authenticator, CredentialValidator<BypassCredential> {

    private static final Logger LOG = Logger.getLogger(BypassForm.class);
    private static final String TEMPLATE = "tradepulse-mfa-bypass.ftl";
    private static final String OWN_FIELD = "own";
    private static final String HANDED_FIELD = "handed";
    private static final String WRONG = "tradepulseBypassWrong";

    /** The highest level that it proves, as a number of {@code acr.loa.map}. */
    private static final int PROVED = 2;

    private final KeycloakSession session;

    BypassForm(KeycloakSession session) {
        this.session = session;
    }

    @Override
    public void authenticate(AuthenticationFlowContext context) {
        if (isTooLittle(context)) {
            context.forceChallenge(context.form().setError("tradepulseSecurityKeyNeeded").createErrorPage(Response.Status.FORBIDDEN));
        } else {
            context.challenge(context.form().createForm(TEMPLATE));
        }
    }

    @Override
    public void action(AuthenticationFlowContext context) {
        UserModel user = context.getUser();
        context.getEvent().detail(Details.CREDENTIAL_TYPE, Bypass.TYPE).user(user);
        String locked = AuthenticatorUtils.getDisabledByBruteForceEventError(context, user);
        if (locked != null) {
            context.getEvent().error(locked);
            // The same words as for a wrong code: whoever guesses does not learn when they are heard again.
            context.forceChallenge(context.form().setError(WRONG).createForm(TEMPLATE));
        } else if (isTooLittle(context)) {
            authenticate(context);
        } else {
            Result result = attempt(context);
            if (result.attempt() == Attempt.ACCEPTED) {
                new BypassProof(Instant.now().getEpochSecond(), result.code().ends()).keep(context.getAuthenticationSession());
                context.success(Bypass.TYPE);
            } else {
                context.getEvent().error(Errors.INVALID_USER_CREDENTIALS);
                context.failureChallenge(
                        AuthenticationFlowError.INVALID_CREDENTIALS, context.form().setError(WRONG).createForm(TEMPLATE));
            }
        }
    }

    private Result attempt(AuthenticationFlowContext context) {
        MultivaluedMap<String, String> typed = context.getHttpRequest().getDecodedFormParameters();
        AuthenticationSessionModel login = context.getAuthenticationSession();
        Ledger.Telling telling = Said.inLogin(login.getParentSession().getId(), login.getClient().getClientId());
        try {
            return new Ledger(session).attempt(
                    context.getUser(), context.getRealm(), typed.getFirst(OWN_FIELD), typed.getFirst(HANDED_FIELD), telling);
        } catch (RuntimeException problem) {
            // Two logins with one code at once, or a database that failed: neither of them is a proof.
            LOG.warnf("an emergency code could not be looked at: %s", problem.getClass().getName());
            return new Result(Attempt.NONE, null);
        }
    }

    private boolean isTooLittle(AuthenticationFlowContext context) {
        return new AcrStore(session, context.getAuthenticationSession()).getRequestedLevelOfAuthentication(context.getTopLevelFlow()) > PROVED;
    }

    @Override
    public boolean requiresUser() {
        return true;
    }

    @Override
    public boolean configuredFor(KeycloakSession session, RealmModel realm, UserModel user) {
        return EmergencyCode.isOpenFor(user);
    }

    /** By this Keycloak lists it among the ways to log in of those who have one, and of nobody else. */
    @Override
    public BypassCredential getCredentialProvider(KeycloakSession session) {
        return new BypassCredential(session);
    }

    @Override
    public void setRequiredActions(KeycloakSession session, RealmModel realm, UserModel user) {
        // Nobody sets one up for themselves.
    }

    @Override
    public void close() {
        // Nothing is held.
    }
}
