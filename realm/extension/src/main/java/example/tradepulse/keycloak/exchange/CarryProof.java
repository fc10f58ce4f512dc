package example.tradepulse.keycloak.exchange;

import java.time.Instant;
import java.util.List;
import java.util.Map;

import com.fasterxml.jackson.core.type.TypeReference;
import example.tradepulse.keycloak.upstream.UpstreamProof;
import org.keycloak.OAuthErrorException;
import org.keycloak.authentication.authenticators.util.LoAUtil;
import org.keycloak.jose.jws.JWSInput;
import org.keycloak.jose.jws.JWSInputException;
import org.keycloak.models.FederatedIdentityModel;
import org.keycloak.models.IdentityProviderModel;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;
import org.keycloak.protocol.oidc.JWTAuthorizationGrantValidationContext;
import org.keycloak.protocol.oidc.TokenExchangeContext;
import org.keycloak.representations.idm.ClientPolicyExecutorConfigurationRepresentation;
import org.keycloak.services.clientpolicy.ClientPolicyContext;
import org.keycloak.services.clientpolicy.ClientPolicyException;
import org.keycloak.services.clientpolicy.context.JWTAuthorizationGrantContext;
import org.keycloak.services.clientpolicy.context.TokenExchangeRequestContext;
import org.keycloak.services.clientpolicy.executor.ClientPolicyExecutorProvider;
import org.keycloak.services.managers.BruteForceProtector;

/**
 * Holds every exchange of a token to what the token proved: no stronger, no wider, no longer.
 *
 * <p>It runs when an external token is redeemed (RFC 7523) and when one of ours is exchanged (RFC 8693). Keycloak has
 * verified the external one by then; the other it verifies right after, and without that there is no new token. Without this
 * executor both give the lowest level, so a policy that somebody removes takes assurance away and adds none.
 */
final class CarryProof implements ClientPolicyExecutorProvider<ClientPolicyExecutorConfigurationRepresentation> {

    private final KeycloakSession session;

    CarryProof(KeycloakSession session) {
        this.session = session;
    }

    @Override
    public String getProviderId() {
        return CarryProofFactory.PROVIDER_ID;
    }

    @Override
    public void executeOnEvent(ClientPolicyContext context) throws ClientPolicyException {
        if (context instanceof JWTAuthorizationGrantContext grant) {
            redeem(grant.getIdentityProviderAlias(), grant.getAuthorizationGrantContext());
        } else if (context instanceof TokenExchangeRequestContext request) {
            exchange(request.getTokenExchangeContext().getParams());
        }
    }

    private void redeem(String alias, JWTAuthorizationGrantValidationContext grant) throws ClientPolicyException {
        withoutScope(grant.getScopeParam());
        withoutLock(alias, grant.getJWT().getSubject());
        Map<String, Object> claims = claims(grant.getAssertion());
        IdentityProviderModel provider = session.identityProviders().getByAlias(alias);
        String rules = provider == null ? null : provider.getConfig().get(UpstreamProof.RULES);
        Map<Integer, Integer> maxAges = LoAUtil.getLoaMaxAgesConfiguredInRealmBrowserFlow(session.getContext().getRealm());
        CarriedProof.fromProvider(alias, rules, claims, maxAges, Instant.now().getEpochSecond()).keepFor(session);
    }

    private void exchange(TokenExchangeContext.Params params) throws ClientPolicyException {
        withoutScope(params.getScope());
        List<String> audience = params.getAudience();
        if (audience == null || audience.size() != 1) {
            throw refused(OAuthErrorException.INVALID_REQUEST, "An exchange is for one audience");
        }
        CarriedProof.fromOurs(claims(params.getSubjectToken())).keepFor(session);
    }

    /** Keycloak's grant asks whether an account is enabled, and not whether guessing at its password or code locked it. */
    private void withoutLock(String alias, String subject) throws ClientPolicyException {
        RealmModel realm = session.getContext().getRealm();
        UserModel user = session.users().getUserByFederatedIdentity(realm, new FederatedIdentityModel(alias, subject, null));
        if (user != null && realm.isBruteForceProtected()
                && session.getProvider(BruteForceProtector.class).isTemporarilyDisabled(session, realm, user)) {
            throw refused(OAuthErrorException.INVALID_GRANT, "Account is locked");
        }
    }

    /** A scope can only ever add to what a token says. */
    private static void withoutScope(String scope) throws ClientPolicyException {
        if (scope != null && !scope.isBlank()) {
            throw refused(OAuthErrorException.INVALID_SCOPE, "An exchange adds no scope");
        }
    }

    private static Map<String, Object> claims(String token) throws ClientPolicyException {
        try {
            Map<String, Object> claims = new JWSInput(token).readJsonContent(new TypeReference<>() { });
            if (claims.containsKey("cnf")) {
                // Bound to a key that nobody is asked for here: a plain token for it would undo the binding (RFC 7800).
                throw refused(OAuthErrorException.INVALID_REQUEST, "Sender-constrained tokens are not exchanged");
            }
            return claims;
        } catch (JWSInputException notSigned) {
            throw refused(OAuthErrorException.INVALID_REQUEST, "The token is no signed JWT");
        }
    }

    private static ClientPolicyException refused(String error, String why) {
        return new ClientPolicyException(error, why);
    }
}
