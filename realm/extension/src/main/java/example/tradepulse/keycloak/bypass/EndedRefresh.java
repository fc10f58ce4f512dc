package example.tradepulse.keycloak.bypass;

import java.time.Instant;

import org.keycloak.OAuthErrorException;
import org.keycloak.representations.idm.ClientPolicyExecutorConfigurationRepresentation;
import org.keycloak.services.clientpolicy.ClientPolicyContext;
import org.keycloak.services.clientpolicy.ClientPolicyException;
import org.keycloak.services.clientpolicy.context.TokenRefreshResponseContext;
import org.keycloak.services.clientpolicy.executor.ClientPolicyExecutorProvider;

/** Refreshes no token of a session that an emergency code proved, once the code has ended; offline ones neither. */
final class EndedRefresh implements ClientPolicyExecutorProvider<ClientPolicyExecutorConfigurationRepresentation> {

    static final EndedRefresh INSTANCE = new EndedRefresh();

    private EndedRefresh() {
    }

    @Override
    public String getProviderId() {
        return EndedRefreshFactory.PROVIDER_ID;
    }

    @Override
    public void executeOnEvent(ClientPolicyContext context) throws ClientPolicyException {
        // By then Keycloak has verified the refresh token; the answer is made and not yet sent.
        if (context instanceof TokenRefreshResponseContext refreshed
                && BypassProof.carrying(refreshed.getClientSession().getUserSession())
                        .filter(proof -> proof.isOver(Instant.now().getEpochSecond())).isPresent()) {
            throw new ClientPolicyException(OAuthErrorException.INVALID_GRANT, "The emergency code of this session has ended");
        }
    }
}
