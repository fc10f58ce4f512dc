package example.tradepulse.keycloak.risk;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WatchedFilesTest {

    @TempDir
    Path directory;

    private final AtomicInteger parsed = new AtomicInteger();
    private WatchedFiles<List<String>> files;

    @BeforeEach
    void watch() {
        files = new WatchedFiles<>(Optional.of(directory), lines -> {
            parsed.incrementAndGet();
            // Long enough that all who ask at once would be in here.
            LockSupport.parkNanos(20_000_000);
            if (lines.contains("bad")) {
                throw new IllegalArgumentException("line 1: bad");
            }
            return lines;
        });
    }

    @Test
    void aFileIsReadAgainWhenItChangesAndOnlyThen() throws IOException {
        Files.writeString(directory.resolve("list"), "one\n");
        assertEquals(Optional.of(List.of("one")), files.read("list"));
        assertEquals(Optional.of(List.of("one")), files.read("list"));
        assertEquals(1, parsed.get());
        Files.writeString(directory.resolve("list"), "one\ntwo\n");
        assertEquals(Optional.of(List.of("one", "two")), files.read("list"));
    }

    @Test
    void aFileThatManyAskForAtOnceIsReadOnce() throws Exception {
        Files.writeString(directory.resolve("list"), "one\n");
        CyclicBarrier together = new CyclicBarrier(8);
        try (Closing threads = new Closing(Executors.newFixedThreadPool(8))) {
            List<Future<Optional<List<String>>>> found = new ArrayList<>();
            for (int one = 0; one < 8; one++) {
                found.add(threads.pool().submit(() -> {
                    together.await();
                    return files.read("list");
                }));
            }
            for (Future<Optional<List<String>>> each : found) {
                assertEquals(Optional.of(List.of("one")), each.get());
            }
        }
        assertEquals(1, parsed.get());
    }

    /** A pool that ends with its block; Java 17 has none. */
    private record Closing(ExecutorService pool) implements AutoCloseable {

        @Override
        public void close() {
            pool.shutdown();
        }
    }

    @Test
    void aFileThatWentAwayOrBrokeHasNoContentAnyMoreAndIsTriedAgain() throws IOException {
        Path list = directory.resolve("list");
        assertEquals(Optional.empty(), files.read("list"));
        Files.writeString(list, "one\n");
        assertEquals(Optional.of(List.of("one")), files.read("list"));
        Files.writeString(list, "bad\n# and longer\n");
        assertEquals(Optional.empty(), files.read("list"));
        assertEquals(Optional.empty(), files.read("list"));
        assertEquals(2, parsed.get());
        Files.delete(list);
        assertEquals(Optional.empty(), files.read("list"));
        Files.writeString(list, "three\n");
        assertEquals(Optional.of(List.of("three")), files.read("list"));
    }

    @Test
    void whatIsNoTextHasNoContent() throws IOException {
        Files.write(directory.resolve("list"), new byte[] {(byte) 0xff, (byte) 0xfe, 0});
        assertEquals(Optional.empty(), files.read("list"));
        Files.createDirectory(directory.resolve("folder"));
        assertEquals(Optional.empty(), files.read("folder"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"../list", "/etc/hosts", "inner/../../list", "list\u0000"})
    void nothingOutsideOfTheDirectoryIsRead(String name) throws IOException {
        Files.writeString(directory.resolveSibling("list"), "one\n");
        assertEquals(Optional.empty(), files.read(name));
        Files.delete(directory.resolveSibling("list"));
        assertEquals(0, parsed.get());
    }

    @Test
    void withoutADirectoryThereIsNoFile() {
        assertEquals(Optional.empty(), new WatchedFiles<>(Optional.empty(), lines -> lines).read("list"));
    }
}
