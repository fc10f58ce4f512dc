package example.tradepulse.keycloak.audit;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

import jakarta.ws.rs.ServiceUnavailableException;
import org.jboss.logging.Logger;
import org.keycloak.models.AbstractKeycloakTransaction;
import org.keycloak.models.KeycloakSession;

/**
 * The records of one Keycloak transaction: written ahead just before it commits, handed over to the audit file once it has,
 * dropped when it is rolled back before that. If they cannot be written ahead, it does not commit.
 */
final class AuditTransaction {

    private static final Logger LOG = Logger.getLogger(AuditTransaction.class);
    private static final String ATTRIBUTE = AuditTransaction.class.getName();

    private final AuditWriter writer;
    private final List<Map<String, Object>> records = new ArrayList<>();
    private final Set<String> stored = new HashSet<>();
    private final List<Intent> intents = new ArrayList<>();
    private boolean announced;
    private boolean ended;

    private AuditTransaction(AuditWriter writer) {
        this.writer = writer;
    }

    /** The one of this session, so that user, admin and provider events keep their order. */
    static AuditTransaction of(KeycloakSession session, AuditWriter writer) {
        AuditTransaction existing = session.getAttribute(ATTRIBUTE, AuditTransaction.class);
        if (existing != null) {
            return existing;
        }
        AuditTransaction created = new AuditTransaction(writer);
        try {
            session.getTransactionManager().enlistPrepare(created.new BeforeCommit());
            session.getTransactionManager().enlistAfterCompletion(created.new AfterCommit());
        } catch (IllegalStateException alreadyCompleted) {
            // An event of the commit itself, or of a session that is closing: there is no transaction for it to depend on.
            created.announced = true;
            created.ended = true;
        }
        session.setAttribute(ATTRIBUTE, created);
        return created;
    }

    /** Adds a record; {@code store} says whether Keycloak's own table gets this event in the same transaction. */
    void add(Map<String, Object> record, boolean store) {
        records.add(record);
        if (store) {
            stored.add(Intent.eventId(record));
        }
        if (announced) {
            announceLate();
        }
    }

    /** What comes while the transaction commits already can no longer stop it. */
    private void announceLate() {
        try {
            announce();
        } catch (IOException problem) {
            LOG.errorf(problem, "audit: an event of a commit that was under way is only in Keycloak's own table");
            return;
        }
        if (ended) {
            intents.forEach(writer::committed);
            intents.clear();
        }
    }

    private void announce() throws IOException {
        announced = true;
        if (records.isEmpty()) {
            return;
        }
        try {
            intents.add(writer.announce(records, stored));
        } finally {
            records.clear();
            stored.clear();
        }
    }

    private final class BeforeCommit extends AbstractKeycloakTransaction {

        @Override
        protected void commitImpl() {
            try {
                announce();
            } catch (IOException problem) {
                LOG.errorf("audit: a transaction is refused: %s", problem.getMessage());
                throw new ServiceUnavailableException("audit_unavailable");
            }
        }

        @Override
        protected void rollbackImpl() {
            // Nothing was written ahead yet.
        }
    }

    private final class AfterCommit extends AbstractKeycloakTransaction {

        @Override
        protected void commitImpl() {
            ended = true;
            intents.forEach(writer::committed);
            intents.clear();
        }

        @Override
        protected void rollbackImpl() {
            announced = true;
            ended = true;
            records.clear();
            // Announced and then not committed, as far as Keycloak knows: the database may have done it all the same.
            intents.forEach(writer::failed);
            intents.clear();
        }
    }
}
