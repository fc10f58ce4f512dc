package example.tradepulse.keycloak.bypass;

import org.keycloak.credential.CredentialModel;
import org.keycloak.credential.CredentialProvider;
import org.keycloak.credential.CredentialTypeMetadata;
import org.keycloak.credential.CredentialTypeMetadataContext;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;

/**
 * What Keycloak's list of ways to log in has to know of emergency codes.
 *
 * <p>It is no registered provider: the account pages show none of them, and nothing writes one but the {@link Ledger}.
 */
final class BypassCredential implements CredentialProvider<CredentialModel> {

    private final KeycloakSession session;

    BypassCredential(KeycloakSession session) {
        this.session = session;
    }

    @Override
    public String getType() {
        return Bypass.TYPE;
    }

    @Override
    public CredentialModel createCredential(RealmModel realm, UserModel user, CredentialModel credential) {
        throw new UnsupportedOperationException("an emergency code is opened by an approved request");
    }

    @Override
    public boolean deleteCredential(RealmModel realm, UserModel user, String id) {
        throw new UnsupportedOperationException("an emergency code is withdrawn by its request");
    }

    @Override
    public CredentialModel getCredentialFromModel(CredentialModel model) {
        return model;
    }

    @Override
    public CredentialTypeMetadata getCredentialTypeMetadata(CredentialTypeMetadataContext context) {
        return CredentialTypeMetadata.builder()
                .type(Bypass.TYPE)
                .category(CredentialTypeMetadata.Category.TWO_FACTOR)
                .displayName(BypassFormFactory.PROVIDER_ID + "-display-name")
                .helpText(BypassFormFactory.PROVIDER_ID + "-help-text")
                .removeable(false)
                .build(session);
    }
}
