package example.tradepulse.keycloak.audit;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.zip.CRC32;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import org.jboss.logging.Logger;

/**
 * One file of the write-ahead log: a header, intents, and marks of what became of them, a checked line each.
 *
 * <p>A line is the CRC-32 of its JSON in eight hex digits, a space, the JSON and a line end. A line that does not fit its
 * checksum was never synced, so the transaction that waited for it was never committed: it is passed over.
 *
 * <pre>
 * {"file":"(dev=1,ino=2)","size":4711}                  the audit file and its size when the segment began
 * {"intent":"…","records":[…],"stored":["…"]}           a transaction that is about to commit
 * {"committed":["…"]}                                   these have committed; their lines are not in the audit file yet
 * {"settled":["…"]}                                     these are in the audit file, or were rolled back
 * </pre>
 */
final class WriteAheadSegment implements AutoCloseable {

    static final FileAttribute<?> OWNER_ONLY =
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

    private static final Logger LOG = Logger.getLogger(WriteAheadSegment.class);
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final TypeReference<List<Map<String, Object>>> RECORDS = new TypeReference<>() { };
    private static final int CHECKSUM = 8;

    final Path path;
    private final FileChannel channel;

    private WriteAheadSegment(Path path, FileChannel channel) {
        this.path = path;
        this.channel = channel;
    }

    /** Makes a segment whose name is durable too. Throws IOException. */
    static WriteAheadSegment create(Path path, Path audit) throws IOException {
        FileChannel channel =
                FileChannel.open(path, Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE), OWNER_ONLY);
        WriteAheadSegment made = new WriteAheadSegment(path, channel);
        try (FileChannel folder = FileChannel.open(path.toAbsolutePath().getParent(), StandardOpenOption.READ)) {
            Map<String, Object> header = new LinkedHashMap<>();
            header.put("file", String.valueOf(AuditFile.identity(audit)));
            header.put("size", Files.exists(audit) ? Files.size(audit) : 0L);
            made.append(line(header), true);
            folder.force(true);
            return made;
        } catch (IOException | RuntimeException problem) {
            channel.close();
            Files.deleteIfExists(path);
            throw problem;
        }
    }

    static byte[] line(Map<String, Object> content) {
        byte[] json = CanonicalJson.write(content).getBytes(StandardCharsets.UTF_8);
        ByteBuffer line = ByteBuffer.allocate(json.length + CHECKSUM + 2);
        return line.put(checksum(json, 0, json.length)).put((byte) ' ').put(json).put((byte) '\n').array();
    }

    static Map<String, Object> content(Intent intent) {
        return Map.of("intent", intent.id(), "records", intent.records(), "stored", List.copyOf(intent.stored()));
    }

    /** Appends, and waits for the disk if {@code durable}. After an IOException the file is as it was before, or not to be used. */
    void append(byte[] lines, boolean durable) throws IOException {
        long start = channel.position();
        try {
            ByteBuffer rest = ByteBuffer.wrap(lines);
            while (rest.hasRemaining()) {
                channel.write(rest);
            }
            if (durable) {
                channel.force(false);
            }
        } catch (IOException problem) {
            channel.truncate(start);
            channel.position(start);
            throw problem;
        }
    }

    long size() throws IOException {
        return channel.position();
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }

    /** What a segment says: where its audit file stood, the intents in order, and the marks. */
    record Content(String file, long size, Map<String, Intent> intents, Set<String> committed, Set<String> settled) {

        Content() {
            this("", 0, new LinkedHashMap<>(), new HashSet<>(), new HashSet<>());
        }
    }

    /** Reads a segment that a process left. Throws IOException. */
    static Content read(Path path) throws IOException {
        Content found = new Content();
        byte[] all = Files.readAllBytes(path);
        int start = 0;
        int passed = 0;
        for (int end = 0; end < all.length; end++) {
            if (all[end] == '\n') {
                JsonNode line = checked(all, start, end);
                if (line == null) {
                    passed++;
                } else if (line.has("file")) {
                    found = new Content(line.path("file").asText(), line.path("size").asLong(),
                            found.intents(), found.committed(), found.settled());
                } else {
                    take(line, found);
                }
                start = end + 1;
            }
        }
        if (passed > 0 || start < all.length) {
            LOG.infof("audit: %s has %d lines that no transaction waited for", path.getFileName(), passed + (start < all.length ? 1 : 0));
        }
        return found;
    }

    private static void take(JsonNode line, Content found) throws IOException {
        if (line.has("intent")) {
            String id = line.path("intent").asText();
            Set<String> stored = new HashSet<>(texts(line.path("stored")));
            try (var records = JSON.treeAsTokens(line.path("records"))) {
                found.intents().put(id, new Intent(id, JSON.readValue(records, RECORDS), stored));
            }
        }
        found.committed().addAll(texts(line.path("committed")));
        found.settled().addAll(texts(line.path("settled")));
    }

    private static Collection<String> texts(JsonNode list) {
        List<String> texts = new ArrayList<>();
        list.forEach(one -> texts.add(one.asText()));
        return texts;
    }

    private static JsonNode checked(byte[] all, int start, int end) throws IOException {
        int json = start + CHECKSUM + 1;
        if (json >= end || all[json - 1] != ' ') {
            return null;
        }
        byte[] claimed = java.util.Arrays.copyOfRange(all, start, start + CHECKSUM);
        boolean whole = java.util.Arrays.equals(claimed, checksum(all, json, end - json));
        return whole ? JSON.readTree(all, json, end - json) : null;
    }

    private static byte[] checksum(byte[] bytes, int start, int length) {
        CRC32 crc = new CRC32();
        crc.update(bytes, start, length);
        return String.format("%08x", crc.getValue()).getBytes(StandardCharsets.US_ASCII);
    }
}
