package example.tradepulse.keycloak.factor;

import java.util.HashSet;
import java.util.Set;

import org.keycloak.authentication.CredentialRegistrator;
import org.keycloak.authentication.RequiredActionContext;
import org.keycloak.authentication.RequiredActionContext.KcActionStatus;
import org.keycloak.authentication.RequiredActionProvider;
import org.keycloak.authentication.authenticators.util.AcrStore;
import org.keycloak.broker.provider.IdpLinkAction;
import org.keycloak.events.Details;
import org.keycloak.events.Errors;
import org.keycloak.events.EventType;
import org.keycloak.models.Constants;
import org.keycloak.models.RequiredActionProviderModel;
import org.keycloak.models.UserModel;
import org.keycloak.services.managers.AuthenticationManager;
import org.keycloak.sessions.AuthenticationSessionModel;

/**
 * Refuses to add a way into an account that has a factor, in a login that proved none.
 *
 * <p>Keycloak itself asks for a level before it registers a credential by {@code kc_action}, but looks only at credentials
 * of the level that the new one will have, and goes down a level where there are none. It counts a security key to the
 * highest level of our flows. So whoever has only a key would be asked for the password alone before an authenticator app,
 * a passkey or recovery codes are registered, and a stolen password would be worth {@code aal2} from the next login on.
 * It asks for nothing before an account at an identity provider is linked, though what that provider proves may count for
 * as much as a factor, and for nothing where a registration was ordered: by an administrator, by a link in a mail, or by
 * Keycloak itself after the last recovery code.
 */
final class FurtherFactor {

    /** The level that every factor proves at least, as a number of {@code acr.loa.map}. */
    private static final int PROVED = 2;

    /** The note of a login that began when the account was worth its password: it may finish what it was asked to register. */
    private static final String FIRST = "tradepulse.first-registration";

    private FurtherFactor() {
    }

    /**
     * Drops every registration that this login may not do. Where a client asked for it, the client is told {@code error};
     * what was ordered is ordered no longer, and whoever ordered it finds the refusal in the audit.
     */
    static void refuseUnproved(RequiredActionContext context) {
        AuthenticationSessionModel login = context.getAuthenticationSession();
        UserModel user = context.getUser();
        if (!Factor.isProvable(user)) {
            login.setAuthNote(FIRST, Boolean.TRUE.toString());
            return;
        }
        boolean proved = isProved(context);
        String asked = login.getClientNote(Constants.KC_ACTION);
        if (isRefused(addsAWayIn(context, asked), true, proved)) {
            report(context, asked);
            AuthenticationManager.setKcActionStatus(asked, KcActionStatus.ERROR, login);
        }
        if (login.getAuthNote(FIRST) != null) {
            return;
        }
        for (String ordered : ordered(context)) {
            if (isRefused(addsAWayIn(context, ordered), true, proved)) {
                report(context, ordered);
                user.removeRequiredAction(ordered);
                login.removeRequiredAction(ordered);
            }
        }
    }

    /** Whether this login proved a factor, at {@code aal2} or above. */
    static boolean isProved(RequiredActionContext context) {
        AcrStore store = new AcrStore(context.getSession(), context.getAuthenticationSession());
        return store.getLevelOfAuthenticationFromCurrentAuthentication() >= PROVED;
    }

    static boolean isRefused(boolean addsAWayIn, boolean hasFactor, boolean proved) {
        return addsAWayIn && hasFactor && !proved;
    }

    private static Set<String> ordered(RequiredActionContext context) {
        Set<String> aliases = new HashSet<>(context.getAuthenticationSession().getRequiredActions());
        context.getUser().getRequiredActionsStream().forEach(aliases::add);
        return aliases;
    }

    private static boolean addsAWayIn(RequiredActionContext context, String alias) {
        if (alias == null) {
            return false;
        }
        RequiredActionProviderModel known = context.getRealm().getRequiredActionProviderByAlias(alias);
        String provider = known == null ? alias : known.getProviderId();
        return IdpLinkAction.PROVIDER_ID.equals(provider)
                || context.getSession().getProvider(RequiredActionProvider.class, provider) instanceof CredentialRegistrator;
    }

    private static void report(RequiredActionContext context, String alias) {
        context.getEvent().clone()
                .event(EventType.UPDATE_CREDENTIAL)
                .user(context.getUser())
                .detail(Details.CUSTOM_REQUIRED_ACTION, alias)
                .error(Errors.NOT_ALLOWED);
    }
}
