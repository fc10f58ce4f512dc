package example.tradepulse.keycloak.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import com.fasterxml.jackson.databind.ObjectMapper;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Real processes, really killed. {@code TRADEPULSE_SOAK=N} makes it N times as many. */
class KilledWriterTest {

    private static final int KILLS = 25 * Integer.parseInt(System.getenv().getOrDefault("TRADEPULSE_SOAK", "1"));
    private static final int LONGEST_LIFE_MILLISECONDS = 120;

    @TempDir
    Path folder;

    @Test
    @DisplayName("of processes that are killed while they commit, every committed event has exactly one line, and no other a sure one")
    void nothingLostNothingDoubled() throws IOException, InterruptedException {
        Random random = new Random(KILLS);
        for (int number = 0; number < KILLS; number++) {
            Process child = child(String.valueOf(number));
            try (BufferedReader said = new BufferedReader(new InputStreamReader(child.getInputStream(), StandardCharsets.UTF_8))) {
                assertEquals("ready", said.readLine());
                Thread.sleep(random.nextInt(LONGEST_LIFE_MILLISECONDS));
            } finally {
                child.destroyForcibly().waitFor();
            }
        }
        for (int attempt = 0; attempt < 10 && !segments().isEmpty(); attempt++) {
            assertEquals(0, child("finish").waitFor());
        }
        assertEquals(List.of(), segments(), "everything is settled");

        Map<String, Character> committed = new HashMap<>();
        Files.readAllLines(folder.resolve("database")).forEach(line -> committed.put(line.substring(1), line.charAt(0)));
        List<Map<String, Object>> lines = lines();
        AuditFileTest.verify(lines, "a");
        assertEquals(lines.size(), lines.stream().map(Intent::eventId).distinct().count(), "nothing is doubled");
        Map<String, Object> outcomes =
                lines.stream().collect(Collectors.toMap(Intent::eventId, record -> record.get("outcome")));
        committed.forEach((id, kind) -> {
            Object outcome = outcomes.get(id);
            Set<String> right = kind == 'P' ? Set.of("success") : Set.of("success", "unknown");
            assertTrue(right.contains(outcome), () -> "a committed event has the outcome " + outcome);
        });
        outcomes.forEach((id, outcome) ->
                assertTrue(committed.containsKey(id) || "unknown".equals(outcome), "what was rolled back is never reported as done"));
        assertTrue(lines.stream().anyMatch(record -> record.containsKey(Settler.RECOVERED)), "no kill came between commit and line");
    }

    private Process child(String argument) throws IOException {
        String classes = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx128m", "-cp", classes,
                        KilledWriter.class.getName(), folder.toString(), argument)
                .redirectError(ProcessBuilder.Redirect.appendTo(folder.resolve("said.log").toFile()))
                .start();
    }

    private List<Path> segments() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.toString().endsWith(".wal")).toList();
        }
    }

    private List<Map<String, Object>> lines() throws IOException {
        ObjectMapper json = new ObjectMapper();
        try (Stream<String> lines = Files.lines(folder.resolve("iam_events.jsonl"))) {
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
}
