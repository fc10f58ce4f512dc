package example.tradepulse.keycloak.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AuditWriterTest {

    private static final long PATIENCE_MILLISECONDS = 20_000;

    @TempDir
    Path folder;
    private Path file;

    @BeforeEach
    void name() {
        file = folder.resolve("iam_events.jsonl");
    }

    @Test
    @DisplayName("what is announced has no line before it is committed, and one after; a clean stop leaves nothing to settle")
    void announcedThenCommitted() throws Exception {
        AuditWriter writer = started();
        Intent intent = writer.announce(List.of(record("login")), Set.of());
        assertEquals(List.of(), Files.readAllLines(file));
        writer.committed(intent);
        writer.close();
        assertEquals(1, Files.readAllLines(file).size());
        assertEquals(List.of(), segments());
    }

    @Test
    @DisplayName("while the audit file cannot be written commits go on, and their lines come when it can be again")
    void waits() throws Exception {
        AuditWriter writer = started();
        inTheWay();
        Intent intent = writer.announce(List.of(record("login")), Set.of());
        writer.committed(intent);
        Thread.sleep(300);
        Files.delete(file);
        for (long end = System.currentTimeMillis() + PATIENCE_MILLISECONDS; !written(); Thread.sleep(20)) {
            assertTrue(System.currentTimeMillis() < end, "the line never came");
        }
        writer.close();
        assertEquals(List.of(), segments());
    }

    @Test
    @DisplayName("what could not be written when the server stopped is written by the next one, as the success that it was")
    void writtenByTheNext() throws Exception {
        AuditWriter writer = started();
        inTheWay();
        Map<String, Object> record = record("login");
        writer.committed(writer.announce(List.of(record), Set.of()));
        writer.close();
        assertEquals(1, segments().size());
        Files.delete(file);
        AuditWriter next = started();
        next.settle(ids -> Set.of());
        for (long end = System.currentTimeMillis() + PATIENCE_MILLISECONDS; !written(); Thread.sleep(20)) {
            assertTrue(System.currentTimeMillis() < end, "the line never came");
        }
        next.close();
        String line = Files.readString(file);
        assertTrue(line.contains("\"event_id\":\"" + Intent.eventId(record) + "\""), line);
        assertTrue(line.contains("\"outcome\":\"success\""), line);
        assertEquals(List.of(), segments());
    }

    private AuditWriter started() throws IOException {
        AuditWriter writer = new AuditWriter(file, "a", Duration.ZERO);
        writer.start();
        return writer;
    }

    /** Puts a folder where the audit file was. */
    private void inTheWay() throws IOException {
        Files.move(file, folder.resolve("elsewhere"));
        Files.createDirectory(file);
    }

    private boolean written() throws IOException {
        return Files.isRegularFile(file) && Files.size(file) > 0;
    }

    private static Map<String, Object> record(String event) {
        return new AuditRecord(event, true, "authenticate", 1000).fields();
    }

    private List<Path> segments() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(path -> path.toString().endsWith(".wal")).toList();
        }
    }
}
