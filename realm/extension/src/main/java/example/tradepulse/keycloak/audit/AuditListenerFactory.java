package example.tradepulse.keycloak.audit;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

import org.keycloak.Config;
import org.keycloak.events.EventListenerProvider;
import org.keycloak.events.EventListenerProviderFactory;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.KeycloakSessionFactory;
import org.keycloak.models.utils.PostMigrationEvent;
import org.keycloak.provider.ProviderConfigProperty;
import org.keycloak.provider.ProviderConfigurationBuilder;

/**
 * The event listener {@code tradepulse-audit}: user events, admin events and grants of every realm, as hash-chained JSON
 * lines. Global, so that nobody who administers a realm can take it out of that realm's list.
 *
 * <p>Options: {@code --spi-events-listener--tradepulse-audit--file=<path>} (required: Keycloak does not start without its
 * audit log) and {@code --spi-events-listener--tradepulse-audit--node=<name>} (the host's name by default).
 */
public final class AuditListenerFactory implements EventListenerProviderFactory {

    public static final String PROVIDER_ID = "tradepulse-audit";

    private static final String OPTION = "--spi-events-listener--" + PROVIDER_ID + "--";

    private Path file;
    private String node;
    private AuditWriter writer;

    @Override
    public void init(Config.Scope options) {
        String path = options.get("file");
        file = path == null || path.isBlank() ? null : Path.of(path);
        String name = options.get("node");
        node = name == null || name.isBlank() ? hostName() : name;
    }

    @Override
    public void postInit(KeycloakSessionFactory factory) {
        if (file == null) {
            throw new IllegalStateException("no audit log: start Keycloak with " + OPTION + "file=<path of iam_events.jsonl>");
        }
        AuditWriter started = new AuditWriter(file, node, Settler.SURE_AFTER);
        try {
            started.start();
        } catch (IOException problem) {
            throw new IllegalStateException("the audit log " + file + " cannot be written: " + problem.getMessage(), problem);
        }
        writer = started;
        factory.register(new Grants(started));
        factory.register(event -> {
            // The database has its tables and the realms are there.
            if (event instanceof PostMigrationEvent) {
                started.settle(new StoredEvents(factory));
            }
        });
    }

    @Override
    public EventListenerProvider create(KeycloakSession session) {
        return new AuditListener(session, writer);
    }

    @Override
    public boolean isGlobal() {
        return true;
    }

    @Override
    public void close() {
        if (writer != null) {
            writer.close();
        }
    }

    @Override
    public String getId() {
        return PROVIDER_ID;
    }

    @Override
    public List<ProviderConfigProperty> getConfigMetadata() {
        return ProviderConfigurationBuilder.create()
                .property().name("file").type("string").helpText("Path of the audit log, JSON lines.").add()
                .property().name("node").type("string").helpText("Name of this node in the audit log; the host's by default.").add()
                .build();
    }

    private static String hostName() {
        String name = System.getenv("HOSTNAME");
        if (name != null && !name.isBlank()) {
            return name;
        }
        try {
            return java.net.InetAddress.getLocalHost().getHostName();
        } catch (java.net.UnknownHostException unnamed) {
            throw new IllegalStateException("this host has no name: set " + OPTION + "node=<name>", unnamed);
        }
    }
}
