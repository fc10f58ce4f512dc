package example.tradepulse.keycloak.pages;

import java.util.Optional;

import jakarta.ws.rs.core.Response;
import org.keycloak.forms.login.MessageType;
import org.keycloak.forms.login.freemarker.FreeMarkerLoginFormsProvider;
import org.keycloak.models.KeycloakSession;
import org.keycloak.services.messages.Messages;

/**
 * Keycloak's own pages, which also say why they ask.
 *
 * <p>A step that has something of its own to say, such as that a code was wrong, keeps saying that.
 */
final class ExplainedPages extends FreeMarkerLoginFormsProvider {

    ExplainedPages(KeycloakSession session) {
        super(session);
    }

    @Override
    public Response createLoginTotp() {
        explain(Why.factor(session, authenticationSession));
        return super.createLoginTotp();
    }

    @Override
    public Response createLoginWebAuthn() {
        explain(Why.factor(session, authenticationSession));
        return super.createLoginWebAuthn();
    }

    @Override
    public Response createLoginRecoveryAuthnCode() {
        explain(Why.factor(session, authenticationSession));
        return super.createLoginRecoveryAuthnCode();
    }

    @Override
    public Response createSelectAuthenticator() {
        explain(Why.factor(session, authenticationSession));
        return super.createSelectAuthenticator();
    }

    @Override
    public Response createLoginUsernamePassword() {
        explain(Why.firstStep(session, authenticationSession));
        return super.createLoginUsernamePassword();
    }

    @Override
    public Response createLoginPassword() {
        explain(Why.firstStep(session, authenticationSession));
        return super.createLoginPassword();
    }

    private void explain(Optional<Why> why) {
        if (why.isPresent() && (messages == null || isOnlyAskedAgain())) {
            setMessage(MessageType.INFO, why.get().message, Why.name(client));
        }
    }

    /** Keycloak says that it asks again, and not who wants it to. */
    private boolean isOnlyAskedAgain() {
        return messages.size() == 1 && Messages.REAUTHENTICATE.equals(messages.get(0).getMessage());
    }
}
