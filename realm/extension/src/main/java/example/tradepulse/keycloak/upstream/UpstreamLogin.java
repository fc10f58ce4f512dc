package example.tradepulse.keycloak.upstream;

import java.util.Map;
import java.util.Optional;

import org.keycloak.authentication.authenticators.broker.AbstractIdpAuthenticator;
import org.keycloak.authentication.authenticators.broker.util.PostBrokerLoginConstants;
import org.keycloak.authentication.authenticators.broker.util.SerializedBrokeredIdentityContext;
import org.keycloak.broker.oidc.OIDCIdentityProvider;
import org.keycloak.broker.provider.BrokeredIdentityContext;
import org.keycloak.models.KeycloakSession;
import org.keycloak.representations.JsonWebToken;
import org.keycloak.sessions.AuthenticationSessionModel;

/**
 * The login at an identity provider that a post-broker flow is about.
 *
 * <p>Its claims are those of the ID token that Keycloak verified in this very login, and travel in the login alone. An
 * attribute of the account, as an import mapper would write it, is shared by logins that run at the same time.
 *
 * @param provider the provider's alias
 * @param settings the provider's settings
 * @param claims the claims of the ID token beyond those that every token has; empty for a provider without ID tokens
 * @param addressed whether {@link AddressAuthority} let the address pass
 */
public record UpstreamLogin(String provider, Map<String, String> settings, Map<String, Object> claims, boolean addressed) {

    /** The login at a provider that this one goes on from; empty if there was none. */
    public static Optional<UpstreamLogin> of(KeycloakSession session, AuthenticationSessionModel login) {
        SerializedBrokeredIdentityContext kept = SerializedBrokeredIdentityContext.readFromAuthenticationSession(
                login, PostBrokerLoginConstants.PBL_BROKERED_IDENTITY_CONTEXT);
        if (kept == null) {
            return Optional.empty();
        }
        BrokeredIdentityContext context = kept.deserialize(session, login);
        return Optional.of(new UpstreamLogin(
                context.getIdpConfig().getAlias(),
                context.getIdpConfig().getConfig(),
                claims(context),
                context.getEmail() != null && context.getEmail().equals(context.getContextData().get(AddressAuthority.MARK))));
    }

    /** The proof of this login by the provider's rules. */
    public Optional<UpstreamProof> proof(long now) {
        return UpstreamProof.of(provider, settings.get(UpstreamProof.RULES), claims, now);
    }

    static Map<String, Object> claims(BrokeredIdentityContext context) {
        return context.getContextData().get(OIDCIdentityProvider.VALIDATED_ID_TOKEN) instanceof JsonWebToken token
                ? token.getOtherClaims()
                : Map.of();
    }

    /** Whether the login only confirms an account to which another provider is being linked. */
    static boolean isLinking(AuthenticationSessionModel login) {
        return login.getAuthNote(AbstractIdpAuthenticator.BROKERED_CONTEXT_NOTE) != null;
    }
}
