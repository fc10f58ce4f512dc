package example.tradepulse.keycloak.risk;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

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
