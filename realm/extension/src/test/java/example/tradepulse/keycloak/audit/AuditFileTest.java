package example.tradepulse.keycloak.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

import com.fasterxml.jackson.databind.ObjectMapper;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AuditFileTest {

    @TempDir
    Path folder;
    private Path file;

    @BeforeEach
    void name() {
        file = folder.resolve("iam_events.jsonl");
    }

    @Test
    @DisplayName("a chain starts at 1 after 64 zeros, and every hash follows from the line and the hash before it")
    void chain() throws IOException {
        write("a", "login", "logout");
        List<Map<String, Object>> records = records();
        assertEquals(List.of(1, 2), records.stream().map(record -> record.get("seq")).toList());
        assertEquals("0".repeat(64), records.get(0).get("prev"));
        verify(records, "a");
    }

    @Test
    @DisplayName("after a restart the chain goes on after its own last line, past the lines of others")
    void resumes() throws IOException {
        write("a", "login");
        write("b", "login", "login");
        Files.writeString(file, "{\"source\":\"admin-sync\",\"node\":\"a\",\"seq\":9,\"hash\":\"x\"}\n", StandardOpenOption.APPEND);
        write("a", "logout");
        List<Map<String, Object>> records = records();
        assertEquals(2, records.get(4).get("seq"));
        verify(records, "a");
        verify(records, "b");
    }

    @Test
    @DisplayName("the end of the chain is found behind more foreign lines than one block holds")
    void farBack() throws IOException {
        write("a", "login");
        String foreign = "{\"source\":\"admin-sync\",\"node\":\"x\",\"filler\":\"" + "y".repeat(1000) + "\"}\n";
        Files.writeString(file, foreign.repeat(200), StandardOpenOption.APPEND);
        write("a", "logout");
        verify(records(), "a");
    }

    @Test
    @DisplayName("a torn last line is moved aside, and the chain is whole")
    void torn() throws IOException {
        write("a", "login");
        Files.writeString(file, "{\"seq\":2,\"sour", StandardOpenOption.APPEND);
        write("a", "logout");
        assertEquals(2, records().size());
        verify(records(), "a");
        try (Stream<Path> files = Files.list(folder)) {
            Path aside = files.filter(path -> path.getFileName().toString().contains(".torn-")).findFirst().orElseThrow();
            assertEquals("{\"seq\":2,\"sour", Files.readString(aside));
        }
    }

    @Test
    @DisplayName("two writers of one node never share a chain")
    void twoWriters() throws IOException {
        try (AuditFile first = AuditFile.open(file, "a"); AuditFile second = AuditFile.open(file, "a")) {
            assertEquals("a", first.node());
            assertEquals("a.2", second.node());
            append(first, event("login"));
            append(second, event("login"));
            append(first, event("logout"));
        }
        verify(records(), "a");
        verify(records(), "a.2");
    }

    @Test
    @DisplayName("a last line that lost its hash stops the writer instead of forking the chain")
    void damaged() throws IOException {
        Files.writeString(file, "{\"source\":\"keycloak\",\"node\":\"a\",\"seq\":4,\"hash\":\"?\"}\n");
        assertThrows(IOException.class, () -> AuditFile.open(file, "a"));
    }

    @Test
    @DisplayName("half a line that another writer left while we run is moved aside before ours")
    void tornLater() throws IOException {
        try (AuditFile audit = AuditFile.open(file, "a")) {
            append(audit, event("login"));
            Files.writeString(file, "{\"half", StandardOpenOption.APPEND);
            append(audit, event("logout"));
        }
        assertEquals(2, records().size());
        verify(records(), "a");
    }

    @Test
    @DisplayName("a file that was moved away gets no more lines")
    void moved() throws IOException {
        try (AuditFile audit = AuditFile.open(file, "a")) {
            append(audit, event("login"));
            Files.move(file, folder.resolve("elsewhere"));
            assertThrows(IOException.class, () -> append(audit, event("logout")));
        }
    }

    @Test
    @DisplayName("only the owner may read the file")
    void permissions() throws IOException {
        write("a", "login");
        assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
    }

    @Test
    @DisplayName("a line end inside a value does not become a line")
    void injection() throws IOException {
        try (AuditFile audit = AuditFile.open(file, "a")) {
            append(audit, new AuditRecord("login", true, "x\n{\"seq\":1}", 0).fields());
        }
        assertEquals(1, Files.readAllLines(file).size());
    }

    @Test
    @DisplayName("a record has every field of the common format, and a time with milliseconds")
    void fields() {
        Map<String, Object> fields = event("login");
        assertTrue(fields.keySet().containsAll(List.of(
                "time", "event", "outcome", "actor", "partner", "action", "resource", "reason", "decision_id", "trace_id",
                "session", "ip", "assurance_level", "amr", "key_version")));
        assertEquals("1970-01-01T00:00:01.000Z", fields.get("time"));
        assertFalse(fields.containsKey("seq"));
    }

    private void write(String node, String... events) throws IOException {
        try (AuditFile audit = AuditFile.open(file, node)) {
            for (String event : events) {
                append(audit, event(event));
            }
        }
    }

    private static void append(AuditFile audit, Map<String, Object> event) throws IOException {
        audit.append(List.of(event), 0, () -> { });
    }

    private static Map<String, Object> event(String name) {
        return new AuditRecord(name, true, "test", 1000).fields();
    }

    private List<Map<String, Object>> records() throws IOException {
        ObjectMapper json = new ObjectMapper();
        try (Stream<String> lines = Files.lines(file)) {
            return lines.map(line -> {
                try {
                    @SuppressWarnings("unchecked")
                    Map<String, Object> record = json.readValue(line, TreeMap.class);
                    return record;
                } catch (IOException problem) {
                    throw new AssertionError(line, problem);
                }
            }).toList();
        }
    }

    static void verify(List<Map<String, Object>> records, String node) {
        String previous = "0".repeat(64);
        int sequence = 0;
        for (Map<String, Object> record : records) {
            if (!"keycloak".equals(record.get("source")) || !node.equals(record.get("node"))) {
                continue;
            }
            Map<String, Object> rest = new TreeMap<>(record);
            String hash = (String) rest.remove("hash");
            assertEquals(++sequence, record.get("seq"));
            assertEquals(previous, record.get("prev"));
            assertEquals(AuditChain.hash(previous, rest), hash);
            previous = hash;
        }
        assertTrue(sequence > 0, "no record of " + node);
    }
}
