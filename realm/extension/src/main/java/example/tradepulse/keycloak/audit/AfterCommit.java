package example.tradepulse.keycloak.audit;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

import org.keycloak.models.AbstractKeycloakTransaction;
import org.keycloak.models.KeycloakSession;

/** Keeps the records of one request until its transaction ends: they leave on commit and are dropped on rollback. */
final class AfterCommit extends AbstractKeycloakTransaction {

    private static final String ATTRIBUTE = AfterCommit.class.getName();

    private final List<Map<String, Object>> records = new ArrayList<>();
    private final Consumer<Map<String, Object>> sink;

    private AfterCommit(Consumer<Map<String, Object>> sink) {
        this.sink = sink;
    }

    /** The one of this session, so that user, admin and provider events keep their order. */
    static AfterCommit of(KeycloakSession session, Consumer<Map<String, Object>> sink) {
        AfterCommit existing = session.getAttribute(ATTRIBUTE, AfterCommit.class);
        if (existing != null) {
            return existing;
        }
        AfterCommit created = new AfterCommit(sink);
        session.getTransactionManager().enlistAfterCompletion(created);
        session.setAttribute(ATTRIBUTE, created);
        return created;
    }

    void add(Map<String, Object> record) {
        records.add(record);
    }

    @Override
    protected void commitImpl() {
        records.forEach(sink);
        records.clear();
    }

    @Override
    protected void rollbackImpl() {
        records.clear();
    }
}
