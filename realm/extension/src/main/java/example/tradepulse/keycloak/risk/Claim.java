package example.tradepulse.keycloak.risk;

import org.keycloak.authentication.authenticators.broker.util.PostBrokerLoginConstants;
import org.keycloak.authentication.authenticators.broker.util.SerializedBrokeredIdentityContext;
import org.keycloak.broker.oidc.mappers.AbstractClaimMapper;
import org.keycloak.models.KeycloakSession;
import org.keycloak.sessions.AuthenticationSessionModel;

/** What the identity provider said in this very login: not an attribute of the account, which other logins write as well. */
final class Claim {

    private Claim() {
    }

    /** Whether this is the way back from an identity provider. */
    static boolean isBrokered(AuthenticationSessionModel login) {
        return login.getAuthNote(PostBrokerLoginConstants.PBL_BROKERED_IDENTITY_CONTEXT) != null;
    }

    /** The claim's value, or null: also where the provider is of a kind that has no claims. */
    static Object of(KeycloakSession session, AuthenticationSessionModel login, String name) {
        SerializedBrokeredIdentityContext context = SerializedBrokeredIdentityContext.readFromAuthenticationSession(
                login, PostBrokerLoginConstants.PBL_BROKERED_IDENTITY_CONTEXT);
        return context == null ? null : AbstractClaimMapper.getClaimValue(context.deserialize(session, login), name);
    }
}
