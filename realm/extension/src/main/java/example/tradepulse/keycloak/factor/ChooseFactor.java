package example.tradepulse.keycloak.factor;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;

import jakarta.ws.rs.core.MultivaluedMap;

import org.keycloak.authentication.RequiredActionContext;
import org.keycloak.authentication.RequiredActionProvider;
import org.keycloak.events.Errors;
import org.keycloak.models.ImpersonationSessionNote;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.UserModel;
import org.keycloak.models.UserSessionModel;
import org.keycloak.sessions.AuthenticationSessionModel;

/**
 * Asks a person without a second factor to choose one: a security key first, an authenticator app as the fallback.
 *
 * <p>It only puts Keycloak's own registration action next in line. The level of the login that it interrupts stays as
 * it is. The first factor is nevertheless trusted from the next login on, whoever registered it: until then an account is
 * worth its password. Whoever leaves half-way is asked again at the next login, because there is still no factor.
 * Recovery codes can be had with the first factor, and then stand behind it in the line. Who has only those left is asked
 * to choose a new factor once a code was used, and not on the password alone.
 * Evaluated at every login, it also keeps {@link FurtherFactor further ways in} from being added without proof.
 */
final class ChooseFactor implements RequiredActionProvider {

    static final ChooseFactor INSTANCE = new ChooseFactor();

    private static final String TEMPLATE = "tradepulse-choose-factor.ftl";
    private static final String FIELD = "factor";
    private static final String RECOVERY_FIELD = "recovery-codes";
    private static final String RECOVERY_REGISTRATION = UserModel.RequiredAction.CONFIGURE_RECOVERY_AUTHN_CODES.name();

    private ChooseFactor() {
    }

    @Override
    public void evaluateTriggers(RequiredActionContext context) {
        FurtherFactor.refuseUnproved(context);
        // Also for accounts that lost their only factor, and those that came before this action was a default one.
        if (isWanting(context) && !isRegistering(context) && !isImpersonated(context)) {
            context.getAuthenticationSession().addRequiredAction(ChooseFactorFactory.PROVIDER_ID);
        }
    }

    @Override
    public void requiredActionChallenge(RequiredActionContext context) {
        if (isImpersonated(context)) {
            // A factor registered now would be the impersonator's, in somebody else's account.
            context.getEvent().error(Errors.NOT_ALLOWED);
            context.failure(Errors.NOT_ALLOWED);
        } else if (!isWanting(context) || isRegistering(context)) {
            context.success();
        } else {
            context.challenge(context.form().createForm(TEMPLATE));
        }
    }

    @Override
    public void processAction(RequiredActionContext context) {
        MultivaluedMap<String, String> form = context.getHttpRequest().getDecodedFormParameters();
        Optional<Factor> factor = Factor.named(form.getFirst(FIELD));
        if (factor.isEmpty() || !isWanting(context) || isImpersonated(context)) {
            requiredActionChallenge(context);
            return;
        }
        context.getAuthenticationSession().addRequiredAction(factor.get().registration());
        if (form.containsKey(RECOVERY_FIELD)) {
            context.getAuthenticationSession().addRequiredAction(RECOVERY_REGISTRATION);
        }
        context.success();
    }

    @Override
    public void close() {
        // Nothing is held.
    }

    /** Whether somebody has no factor and may register one: on the password alone only where there is nothing better to prove. */
    private static boolean isWanting(RequiredActionContext context) {
        UserModel user = context.getUser();
        return !Factor.isHeldBy(user) && (!Factor.isProvable(user) || FurtherFactor.isProved(context));
    }

    /** Whether this login goes through a registration anyway: by a choice made before, or by an administrator's order. */
    private static boolean isRegistering(RequiredActionContext context) {
        Set<String> pending = new HashSet<>(context.getAuthenticationSession().getRequiredActions());
        context.getUser().getRequiredActionsStream().forEach(pending::add);
        return Arrays.stream(Factor.values()).map(Factor::registration).anyMatch(pending::contains);
    }

    private static boolean isImpersonated(RequiredActionContext context) {
        KeycloakSession session = context.getSession();
        AuthenticationSessionModel login = context.getAuthenticationSession();
        UserSessionModel running = session.sessions().getUserSession(context.getRealm(), login.getParentSession().getId());
        return running != null && running.getNote(ImpersonationSessionNote.IMPERSONATOR_ID.toString()) != null;
    }
}
