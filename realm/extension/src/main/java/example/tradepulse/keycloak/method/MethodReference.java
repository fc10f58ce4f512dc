package example.tradepulse.keycloak.method;

import example.tradepulse.keycloak.step.QuietStep;
import org.keycloak.authentication.AuthenticationFlowContext;

/**
 * A step that lets everybody pass and thereby notes one authentication method for {@code amr}.
 *
 * <p>It stands behind a condition that knows which credential was used, where the step that checked the credential
 * cannot say: Keycloak's form for passwords accepts passkeys as well.
 */
final class MethodReference implements QuietStep {

    static final MethodReference INSTANCE = new MethodReference();

    private MethodReference() {
    }

    @Override
    public void authenticate(AuthenticationFlowContext context) {
        context.success();
    }

    @Override
    public boolean requiresUser() {
        return true;
    }
}
