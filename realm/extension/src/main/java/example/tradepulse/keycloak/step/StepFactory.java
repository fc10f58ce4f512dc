package example.tradepulse.keycloak.step;

import java.util.List;

import org.keycloak.Config;
import org.keycloak.authentication.AuthenticatorFactory;
import org.keycloak.models.KeycloakSessionFactory;
import org.keycloak.provider.ProviderConfigProperty;

/** Makes steps that a flow does not configure and nobody sets up for themselves, without options of its own. */
public interface StepFactory extends AuthenticatorFactory {

    @Override
    default String getReferenceCategory() {
        return null;
    }

    @Override
    default boolean isConfigurable() {
        return false;
    }

    @Override
    default List<ProviderConfigProperty> getConfigProperties() {
        return List.of();
    }

    @Override
    default boolean isUserSetupAllowed() {
        return false;
    }

    @Override
    default void init(Config.Scope options) {
        // It has no options of its own.
    }

    @Override
    default void postInit(KeycloakSessionFactory factory) {
        // It listens to nothing.
    }

    @Override
    default void close() {
        // Nothing is held.
    }
}
