package example.tradepulse.keycloak.audit;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

/** Finds where a node's chain ends, reading an audit file backwards in blocks. */
final class LastLine {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int BLOCK = 1 << 16;

    private LastLine() {
    }

    /** The chain of a node as the file has it: at its beginning if the node has no line. The file ends with a line end. */
    static AuditChain of(FileChannel channel, String node) throws IOException {
        long end = channel.size() - 1;
        while (end > 0) {
            long start = start(channel, end);
            JsonNode record = parse(read(channel, start, end));
            if (AuditChain.SOURCE.equals(record.path("source").asText()) && node.equals(record.path("node").asText())) {
                return new AuditChain(node, record.path("seq").asLong(), hash(record));
            }
            end = start - 1;
        }
        return new AuditChain(node);
    }

    /** Where the line that reaches to {@code end} starts; {@code end} itself after a line end, and 0 in the first line. */
    static long start(FileChannel channel, long end) throws IOException {
        long from = end;
        while (from > 0) {
            long block = Math.max(0, from - BLOCK);
            byte[] bytes = read(channel, block, from);
            for (int index = bytes.length - 1; index >= 0; index--) {
                if (bytes[index] == '\n') {
                    return block + index + 1;
                }
            }
            from = block;
        }
        return 0;
    }

    /** The bytes between two offsets. */
    static byte[] read(FileChannel channel, long start, long end) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(end - start));
        while (bytes.hasRemaining()) {
            if (channel.read(bytes, start + bytes.position()) < 0) {
                throw new EOFException("the audit file became shorter while it was read");
            }
        }
        return bytes.array();
    }

    private static JsonNode parse(byte[] line) throws IOException {
        try {
            return JSON.readTree(line);
        } catch (JsonProcessingException problem) {
            // Another writer's broken line is for the verifier to report. It cannot be the end of our chain.
            return JSON.createObjectNode();
        }
    }

    private static String hash(JsonNode record) throws IOException {
        String hash = record.path("hash").asText();
        if (!hash.matches("[0-9a-f]{64}") || record.path("seq").asLong() < 1) {
            throw new IOException("the last audit line of this node has no valid seq and hash: verify the file before going on");
        }
        return hash;
    }
}
