package example.tradepulse.keycloak.upstream;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

import com.fasterxml.jackson.databind.JsonNode;
import jakarta.ws.rs.core.Response;
import org.keycloak.authentication.AuthenticationProcessor;
import org.keycloak.broker.oidc.mappers.AbstractJsonUserAttributeMapper;
import org.keycloak.broker.provider.AbstractIdentityProviderMapper;
import org.keycloak.broker.provider.BrokeredIdentityContext;
import org.keycloak.events.Details;
import org.keycloak.events.EventBuilder;
import org.keycloak.events.EventType;
import org.keycloak.models.Constants;
import org.keycloak.models.FederatedIdentityModel;
import org.keycloak.models.IdentityProviderMapperModel;
import org.keycloak.models.IdentityProviderModel;
import org.keycloak.models.IdentityProviderSyncMode;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;
import org.keycloak.provider.ProviderConfigProperty;
import org.keycloak.services.ErrorPageException;
import org.keycloak.services.resources.IdentityBrokerService;
import org.keycloak.services.resources.LoginActionsService;
import org.keycloak.sessions.AuthenticationSessionModel;

/**
 * Refuses a login by an identity provider with an {@link Address} that the provider may not vouch for.
 *
 * <p>It is a mapper because Keycloak asks mappers before it looks for the account, makes one or writes the address into
 * it: a flow comes too late. It leaves a {@link #MARK} that the first step of the post-broker flow demands, so a provider
 * from which somebody took this mapper lets nobody in. New accounts are called by their address, as those that admin-sync
 * makes: a user name of the provider's choosing could be that of somebody else.
 */
public final class AddressAuthority extends AbstractIdentityProviderMapper {

    public static final String PROVIDER_ID = "tradepulse-address-authority";

    /** What this mapper leaves in the context of a login: the address that it let pass. */
    static final String MARK = "tradepulse.address";

    @Override
    public void preprocessFederatedIdentity(
            KeycloakSession session, RealmModel realm, IdentityProviderMapperModel mapper, BrokeredIdentityContext context) {
        IdentityProviderModel provider = context.getIdpConfig();
        String email = context.getEmail();
        Optional<Address.Refusal> refusal = Address.refusal(
                email,
                UpstreamLogin.claims(context),
                verifiedInProfile(context),
                provider.getConfig().get(Address.DOMAINS),
                provider.getProviderId());
        UserModel known = known(session, realm, context);
        if (refusal.isEmpty() && isTaken(session, realm, context, known)) {
            refusal = Optional.of(Address.Refusal.TAKEN);
        }
        refusal.ifPresent(why -> refuse(session, realm, context, why));
        forgetAnother(context.getAuthenticationSession(), known);
        context.setModelUsername(email.toLowerCase(Locale.ROOT));
        context.getContextData().put(MARK, email);
    }

    private static Object verifiedInProfile(BrokeredIdentityContext context) {
        Object profile = context.getContextData().get(AbstractJsonUserAttributeMapper.CONTEXT_JSON_NODE);
        JsonNode verified = profile instanceof JsonNode node ? node.get("email_verified") : null;
        return verified == null || verified.isNull() ? null : verified.asText();
    }

    /** The account that the provider's subject is linked to, or null for a newcomer. */
    private static UserModel known(KeycloakSession session, RealmModel realm, BrokeredIdentityContext context) {
        FederatedIdentityModel identity =
                new FederatedIdentityModel(context.getIdpConfig().getAlias(), context.getId(), context.getUsername());
        return session.users().getUserByFederatedIdentity(realm, identity);
    }

    /**
     * Begins a login anew in which somebody else has proved something: by an earlier session, a form or another provider.
     * Keycloak keeps levels and finished steps with the login, does so itself only for a newcomer, and would take them for
     * what this person proved. Who links a further provider stays who they are.
     */
    private static void forgetAnother(AuthenticationSessionModel login, UserModel known) {
        if (login == null || known == null || login.getAuthNote(IdentityBrokerService.LINKING_IDENTITY_PROVIDER) != null) {
            return;
        }
        UserModel before = login.getAuthenticatedUser();
        boolean anothers = before == null ? login.getAuthNote(Constants.LOA_MAP) != null : !before.getId().equals(known.getId());
        if (anothers) {
            AuthenticationProcessor.resetFlow(login, LoginActionsService.POST_BROKER_LOGIN_PATH);
        }
    }

    /** Whether somebody who is known here would get the address of another account; of a newcomer the flow decides. */
    private static boolean isTaken(KeycloakSession session, RealmModel realm, BrokeredIdentityContext context, UserModel known) {
        UserModel holder = known == null ? null : session.users().getUserByEmail(realm, context.getEmail());
        return holder != null && !holder.getId().equals(known.getId());
    }

    private static void refuse(KeycloakSession session, RealmModel realm, BrokeredIdentityContext context, Address.Refusal why) {
        AuthenticationSessionModel login = context.getAuthenticationSession();
        EventBuilder event = new EventBuilder(realm, session, session.getContext().getConnection())
                .event(EventType.IDENTITY_PROVIDER_LOGIN)
                .detail(Details.IDENTITY_PROVIDER, context.getIdpConfig().getAlias())
                .detail(Details.IDENTITY_PROVIDER_USERNAME, context.getUsername());
        if (login != null) {
            event.client(login.getClient());
        }
        event.error(why.reason);
        throw new ErrorPageException(session, login, Response.Status.FORBIDDEN, why.message);
    }

    @Override
    public boolean supportsSyncMode(IdentityProviderSyncMode mode) {
        return true;
    }

    @Override
    public String[] getCompatibleProviders() {
        return new String[] {ANY_PROVIDER};
    }

    @Override
    public String getId() {
        return PROVIDER_ID;
    }

    @Override
    public String getDisplayCategory() {
        return "Address";
    }

    @Override
    public String getDisplayType() {
        return "TradePulse address authority";
    }

    @Override
    public String getHelpText() {
        return "Refuses a login with an e-mail address of a domain that the provider's setting tradepulse.email_domains does not list.";
    }

    @Override
    public List<ProviderConfigProperty> getConfigProperties() {
        return List.of();
    }
}
