package example.tradepulse.keycloak.risk;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;

import org.jboss.logging.Logger;

/**
 * Files of one directory, read again when they change. A file that cannot be read or understood has no content, also if
 * it had one before: what it said then may be just what was taken back. Replace a file by renaming, so that nobody reads
 * half of it.
 */
final class WatchedFiles<T> {

    private static final Logger LOG = Logger.getLogger(WatchedFiles.class);
    private static final long LARGEST = 64L << 20;

    /** What a look at a file costs is one stat; equal stamps mean equal content. */
    private record Stamp(Object file, FileTime modified, long size) {}

    private record Content<T>(Stamp stamp, Optional<T> value, String problem) {}

    private final Optional<Path> directory;
    private final Function<List<String>, T> parse;
    private final Map<String, Content<T>> contents = new ConcurrentHashMap<>();

    /**
     * @param directory where names are looked up; empty if none was configured, and then no file can be read
     * @param parse lines to content, or IllegalArgumentException saying what is wrong without repeating a line
     */
    WatchedFiles(Optional<Path> directory, Function<List<String>, T> parse) {
        this.directory = directory.map(path -> path.toAbsolutePath().normalize());
        this.parse = parse;
    }

    /** The content of a file as it is now; empty, with a line in the log when that begins, if it is of no use. */
    Optional<T> read(String name) {
        // One of many that come at once reads a file that changed; the others wait for what it finds.
        return contents.compute(name, (same, known) -> {
            Content<T> found = look(name, known);
            if (found != known) {
                tell(name, known, found);
            }
            return found;
        }).value();
    }

    private Content<T> look(String name, Content<T> known) {
        try {
            Path path = inside(name);
            BasicFileAttributes attributes = Files.readAttributes(path, BasicFileAttributes.class);
            // Taken before reading: what changes meanwhile differs from it at the next look.
            Stamp stamp = new Stamp(attributes.fileKey(), attributes.lastModifiedTime(), attributes.size());
            return known != null && stamp.equals(known.stamp()) ? known : content(path, attributes, stamp);
        } catch (NoSuchFileException missing) {
            return failed(known, "it does not exist");
        } catch (IOException problem) {
            return failed(known, "it cannot be read (" + problem.getClass().getSimpleName() + ")");
        } catch (IllegalArgumentException problem) {
            return failed(known, problem.getMessage());
        }
    }

    private Content<T> content(Path path, BasicFileAttributes attributes, Stamp stamp) throws IOException {
        if (!attributes.isRegularFile() || attributes.size() > LARGEST) {
            return new Content<>(stamp, Optional.empty(), "it is no file of at most " + (LARGEST >> 20) + " MiB");
        }
        try {
            return new Content<>(stamp, Optional.of(parse.apply(Files.readAllLines(path, StandardCharsets.UTF_8))), null);
        } catch (CharacterCodingException binary) {
            return new Content<>(stamp, Optional.empty(), "it is not UTF-8");
        } catch (IllegalArgumentException problem) {
            return new Content<>(stamp, Optional.empty(), problem.getMessage());
        }
    }

    /** The name comes from the realm, whose administrators need not be those of this host. */
    private Path inside(String name) {
        Path home = directory.orElseThrow(() -> new IllegalArgumentException(
                "no directory was configured: start Keycloak with " + RiskAuthenticatorFactory.OPTION + "directory=<path>"));
        Path path = home.resolve(name).normalize();
        if (Path.of(name).isAbsolute() || !path.startsWith(home)) {
            throw new IllegalArgumentException("it lies outside of the configured directory");
        }
        return path;
    }

    private static <T> Content<T> failed(Content<T> known, String problem) {
        // Without a stamp it is tried again each time, and the same problem is told once.
        return known != null && problem.equals(known.problem()) ? known : new Content<>(null, Optional.empty(), problem);
    }

    private static <T> void tell(String name, Content<T> known, Content<T> found) {
        if (found.problem() != null) {
            LOG.errorf("risk: the file %s is of no use: %s. Logins that it would decide ask for a second factor until it is.", name, found.problem());
        } else {
            LOG.infof("risk: the file %s was read%s", name, known == null ? "" : " again");
        }
    }
}
