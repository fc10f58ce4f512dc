package example.tradepulse.keycloak.audit;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;

/**
 * A process that commits transactions until it is killed, or with the argument {@code finish} settles what others left.
 *
 * <p>Its database is a file to which a commit is one append. Lines with a P are those that can be asked for afterwards.
 */
final class KilledWriter {

    private static final int THREADS = 4;

    private KilledWriter() {
    }

    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        Path database = folder.resolve("database");
        AuditWriter writer = new AuditWriter(folder.resolve("iam_events.jsonl"), "a", Duration.ZERO);
        writer.start();
        writer.settle(ids -> stored(database, ids));
        if (arguments[1].equals("finish")) {
            Thread.sleep(500);
            writer.close();
            return;
        }
        FileChannel commits = FileChannel.open(database, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.APPEND);
        System.out.println("ready");
        for (int number = 0; number < THREADS; number++) {
            Random random = new Random(Long.parseLong(arguments[1]) * THREADS + number);
            new Thread(() -> commitForEver(writer, commits, random)).start();
        }
    }

    private static void commitForEver(AuditWriter writer, FileChannel commits, Random random) {
        try {
            while (true) {
                commitOnce(writer, commits, random);
            }
        } catch (IOException broken) {
            System.exit(1);
        }
    }

    private static void commitOnce(AuditWriter writer, FileChannel commits, Random random) throws IOException {
        boolean provable = random.nextInt(4) > 0;
        List<Map<String, Object>> records = new ArrayList<>();
        for (int number = random.nextInt(3); number >= 0; number--) {
            records.add(new AuditRecord("login", true, "authenticate", System.currentTimeMillis()).fields());
        }
        // As a role's grant, which Keycloak stores nothing of, stands beside the event of the request that caused it.
        Set<String> stored = provable ? Set.of(Intent.eventId(records.get(0))) : Set.of();
        Intent intent = writer.announce(records, stored);
        if (random.nextInt(4) == 0) {
            writer.failed(intent);
            return;
        }
        StringBuilder commit = new StringBuilder();
        records.forEach(record -> commit.append(provable ? 'P' : 'U').append(Intent.eventId(record)).append('\n'));
        commits.write(ByteBuffer.wrap(commit.toString().getBytes(StandardCharsets.UTF_8)));
        writer.committed(intent);
    }

    private static Set<String> stored(Path database, Set<String> ids) {
        try {
            Set<String> found = new HashSet<>();
            for (String line : Files.exists(database) ? Files.readAllLines(database) : List.<String>of()) {
                if (line.startsWith("P") && ids.contains(line.substring(1))) {
                    found.add(line.substring(1));
                }
            }
            return found;
        } catch (IOException problem) {
            throw new java.io.UncheckedIOException(problem);
        }
    }
}
