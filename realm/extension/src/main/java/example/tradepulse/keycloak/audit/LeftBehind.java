package example.tradepulse.keycloak.audit;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/** The intents that earlier processes of this node left unsettled, and what the audit files have of them already. */
final class LeftBehind {

    private static final String KEY = "\"" + Intent.EVENT_ID + "\":\"";
    private static final String RECOVERED = "\"" + Settler.RECOVERED + "\":";

    private final Map<String, Intent> intents = new LinkedHashMap<>();
    private final Set<String> committed = new HashSet<>();
    private final Set<String> settled = new HashSet<>();
    private final Set<String> unsure = new HashSet<>();
    /** For each audit file, by identity, from which byte on it may have lines of these intents. */
    private final Map<String, Long> begins = new HashMap<>();

    /** Takes a segment in. Marks of a later one settle intents of an earlier. */
    void add(WriteAheadSegment.Content segment) {
        settled.addAll(segment.settled());
        committed.addAll(segment.committed());
        intents.putAll(segment.intents());
        intents.keySet().removeAll(settled);
        begins.merge(segment.file(), segment.size(), Math::min);
    }

    /** The ids of the unsettled intents. */
    Set<String> intents() {
        return intents.keySet();
    }

    /** The unsettled intents, in the order in which they were written. */
    List<Intent> unsettled() {
        return List.copyOf(intents.values());
    }

    boolean committed(Intent intent) {
        return committed.contains(intent.id());
    }

    /** Those of the {@link #written} whose line was itself recovered: it does not prove that its transaction committed. */
    Set<String> unsure() {
        return Set.copyOf(unsure);
    }

    /** The event ids of unsettled intents that have a line in the audit file, or in a sibling that it was moved to. */
    Set<String> written(Path audit) throws IOException {
        Set<String> wanted = new HashSet<>();
        intents.values().forEach(intent -> wanted.addAll(intent.eventIds()));
        Set<String> found = new HashSet<>();
        if (wanted.isEmpty()) {
            return found;
        }
        for (Path file : files(audit)) {
            scan(file, begins.getOrDefault(String.valueOf(AuditFile.identity(file)), 0L), wanted, found);
        }
        return found;
    }

    /** The audit file, and those files beside it that a segment knew under its name. */
    private List<Path> files(Path audit) throws IOException {
        List<Path> files = new ArrayList<>();
        files.add(audit);
        try (Stream<Path> siblings = Files.list(audit.toAbsolutePath().getParent())) {
            for (Path sibling : siblings.filter(Files::isRegularFile).toList()) {
                boolean other = !sibling.getFileName().equals(audit.getFileName());
                if (other && begins.containsKey(String.valueOf(AuditFile.identity(sibling)))) {
                    files.add(sibling);
                }
            }
        }
        return files;
    }

    private void scan(Path file, long from, Set<String> wanted, Set<String> found) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            channel.position(Math.min(from, channel.size()));
            BufferedReader lines = new BufferedReader(new InputStreamReader(Channels.newInputStream(channel), StandardCharsets.UTF_8));
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                // Inside of a value the quotes would be escaped, so this is the member itself.
                int start = line.indexOf(KEY) + KEY.length();
                int end = start < KEY.length() ? -1 : line.indexOf('"', start);
                if (end > 0 && wanted.contains(line.substring(start, end))) {
                    found.add(line.substring(start, end));
                    if (line.contains(RECOVERED)) {
                        unsure.add(line.substring(start, end));
                    }
                }
            }
        }
    }
}
