package example.tradepulse.keycloak.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WriteAheadTest {

    @TempDir
    Path folder;
    private Path audit;

    @BeforeEach
    void name() {
        audit = folder.resolve("iam_events.jsonl");
    }

    @Test
    @DisplayName("an intent is in a file of the owner's alone when write returns, as it was given")
    void written() throws IOException {
        Intent intent = intent("one", "login");
        WriteAhead log = open();
        log.write(intent);
        Path segment = segments().get(0);
        assertEquals(Map.of("one", intent), WriteAheadSegment.read(segment).intents());
        assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(segment)));
        log.close();
    }

    @Test
    @DisplayName("what is settled leaves no file behind, and what is not is found by the next process")
    void settled() throws IOException {
        WriteAhead log = open();
        log.write(intent("one", "login"));
        log.write(intent("two", "logout"));
        log.settled(List.of(intent("one", "login")));
        log.close();
        LeftBehind left = new LeftBehind();
        WriteAhead second = WriteAhead.open(audit, "a", left);
        assertEquals(Set.of("two"), left.intents());
        second.settled(left.unsettled());
        second.close();
        assertEquals(List.of(), segments());
    }

    @Test
    @DisplayName("half a line and a line that changed on the disk are passed over, and the lines behind them are read")
    void damaged() throws IOException {
        WriteAhead log = open();
        log.write(intent("one", "login"));
        log.write(intent("two", "login"));
        log.close();
        Path segment = segments().get(0);
        String text = Files.readString(segment).replaceFirst("authenticate", "authenticat3");
        Files.writeString(segment, text);
        Files.writeString(segment, "0000", StandardOpenOption.APPEND);
        assertEquals(Set.of("two"), WriteAheadSegment.read(segment).intents().keySet());
    }

    @Test
    @DisplayName("a commit that is noted is known to the next process")
    void committed() throws IOException {
        Intent intent = new Intent("one", intent("one", "login").records(), Set.of());
        WriteAhead log = open();
        log.write(intent);
        log.committed(List.of(intent));
        log.close();
        LeftBehind left = new LeftBehind();
        WriteAhead.open(audit, "a", left).close();
        assertTrue(left.committed(left.unsettled().get(0)));
    }

    @Test
    @DisplayName("a second process of a node has a place of its own, and the next one takes over what it left")
    void places() throws IOException {
        WriteAhead first = open();
        WriteAhead second = open();
        first.write(intent("one", "login"));
        second.write(intent("two", "login"));
        second.close();
        first.close();
        LeftBehind left = new LeftBehind();
        WriteAhead third = WriteAhead.open(audit, "a", left);
        assertEquals(Set.of("one", "two"), left.intents());
        third.settled(left.unsettled());
        third.close();
        assertEquals(List.of(), segments());
    }

    @Test
    @DisplayName("a full segment is followed by another and deleted once all of it is settled, oldest first")
    void rotation() throws IOException {
        WriteAhead log = open();
        Intent large = new Intent("large", records(6_000), Set.of());
        Intent larger = new Intent("larger", records(6_000), Set.of());
        log.write(large);
        log.write(larger);
        log.write(intent("small", "login"));
        assertEquals(3, segments().size());
        log.settled(List.of(larger));
        assertEquals(3, segments().size());
        log.settled(List.of(large));
        assertEquals(1, segments().size());
        log.close();
    }

    @Test
    @DisplayName("transactions that commit at the same time are all on disk when their writes return")
    void concurrent() throws Exception {
        WriteAhead log = open();
        List<Thread> threads = new ArrayList<>();
        List<Throwable> problems = java.util.Collections.synchronizedList(new ArrayList<>());
        for (int number = 0; number < 8; number++) {
            String name = "thread" + number;
            Thread thread = new Thread(() -> {
                try {
                    for (int turn = 0; turn < 50; turn++) {
                        String id = name + "." + turn;
                        log.write(intent(id, "login"));
                        assertTrue(WriteAheadSegment.read(segments().get(0)).intents().containsKey(id));
                    }
                } catch (IOException | AssertionError problem) {
                    problems.add(problem);
                }
            });
            threads.add(thread);
            thread.start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        assertEquals(List.of(), problems);
        log.close();
    }

    @Test
    @DisplayName("lines that the audit file has are found from where the segment began, also after the file was moved aside")
    void linesInTheAuditFile() throws IOException {
        Intent intent = intent("one", "login");
        String id = Intent.eventId(intent.records().get(0));
        Files.writeString(audit, "{\"event_id\":\"before\"}\n");
        WriteAhead log = open();
        log.write(intent);
        log.close();
        LeftBehind left = new LeftBehind();
        WriteAhead.open(audit, "a", left).close();
        assertEquals(Set.of(), left.written(audit));
        String forged = "{\"actor\":\"x\\\",\\\"event_id\\\":\\\"" + id + "\\\"\",\"event_id\":\"other\"}\n";
        Files.writeString(audit, forged, StandardOpenOption.APPEND);
        assertEquals(Set.of(), left.written(audit), "a value that looks like a member is none");
        Files.writeString(audit, "{\"event\":\"login\",\"event_id\":\"" + id + "\"}\n", StandardOpenOption.APPEND);
        assertEquals(Set.of(id), left.written(audit));
        Files.move(audit, folder.resolve("iam_events-2026.jsonl"));
        Files.writeString(audit, "");
        assertEquals(Set.of(id), left.written(audit));
    }

    private WriteAhead open() throws IOException {
        return WriteAhead.open(audit, "a", new LeftBehind());
    }

    private static Intent intent(String id, String event) {
        Map<String, Object> record = new AuditRecord(event, true, "authenticate", 1000).fields();
        return new Intent(id, List.of(record), Set.of(Intent.eventId(record)));
    }

    private static List<Map<String, Object>> records(int count) {
        return IntStream.range(0, count).mapToObj(number -> new AuditRecord("login", true, "x".repeat(500), 1000).fields()).toList();
    }

    private List<Path> segments() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.toString().endsWith(".wal")).sorted().toList();
        }
    }
}
