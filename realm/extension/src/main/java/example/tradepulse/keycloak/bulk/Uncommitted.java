package example.tradepulse.keycloak.bulk;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;

import jakarta.persistence.EntityManager;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.KeycloakTransactionManager;

/**
 * A session whose users cannot end its transaction.
 *
 * <p>Two of Keycloak's admin resources (a user's update and a client scope's) commit by themselves before they answer, so
 * that a conflict in the database is their error. In a batch that would keep half of it. Here such a commit is a flush,
 * which finds the same conflicts.
 */
final class Uncommitted {

    private Uncommitted() {}

    /** The same session to whoever asks it for anything but the end of its transaction. */
    static KeycloakSession session(KeycloakSession session, EntityManager database) {
        KeycloakTransactionManager real = session.getTransactionManager();
        KeycloakTransactionManager held = proxy(KeycloakTransactionManager.class, (proxy, method, arguments) -> switch (method.getName()) {
            case "commit" -> {
                database.flush();
                yield null;
            }
            case "rollback" -> {
                real.setRollbackOnly();
                yield null;
            }
            default -> invoke(real, method, arguments);
        });
        return proxy(KeycloakSession.class, (proxy, method, arguments) ->
                method.getName().equals("getTransactionManager") ? held : invoke(session, method, arguments));
    }

    private static <T> T proxy(Class<T> type, InvocationHandler handler) {
        return type.cast(Proxy.newProxyInstance(Uncommitted.class.getClassLoader(), new Class<?>[] {type}, handler));
    }

    private static Object invoke(Object target, java.lang.reflect.Method method, Object[] arguments) throws Throwable {
        try {
            return method.invoke(target, arguments);
        } catch (InvocationTargetException problem) {
            throw problem.getCause();
        }
    }
}
