package example.tradepulse.keycloak.risk;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.regex.Pattern;

/** The two files that an operator supplies: one entry a line, {@code #} begins a comment. A bad line spoils the file. */
final class NetworkFile {

    private static final Pattern SPACE = Pattern.compile("\\s+");
    private static final Pattern COMMA = Pattern.compile("\\s*,\\s*");
    private static final String HEADING = "prefix,lat,lon";

    private NetworkFile() {
    }

    /**
     * Networks that a login must not simply come from: {@code 192.0.2.0/24}, or {@code 192.0.2.0/24 deny}. Without a word
     * it is {@code step_up}; {@code allow} takes a part out of a larger network.
     *
     * @throws IllegalArgumentException naming the first bad line by its number
     */
    static NetworkTable<Outcome> denyList(List<String> lines) {
        return table(lines, SPACE, 2, parts -> {
            String word = parts.length == 1 ? Outcome.STEP_UP.word() : parts[1];
            return Outcome.of(word).orElseThrow(() -> new IllegalArgumentException("neither step_up, deny nor allow"));
        });
    }

    /**
     * Where networks are, roughly: {@code prefix,lat,lon} in degrees, that line itself being a heading that may stand first.
     *
     * @throws IllegalArgumentException naming the first bad line by its number
     */
    static NetworkTable<Position> locations(List<String> lines) {
        boolean headed = !lines.isEmpty() && HEADING.equals(lines.get(0).strip());
        List<String> body = lines.stream().map(line -> headed && HEADING.equals(line.strip()) ? "" : line).toList();
        return table(body, COMMA, 3, parts -> {
            if (parts.length != 3) {
                throw new IllegalArgumentException("not prefix,lat,lon");
            }
            return new Position(Double.parseDouble(parts[1]), Double.parseDouble(parts[2]));
        });
    }

    private static <V> NetworkTable<V> table(List<String> lines, Pattern separator, int most, Function<String[], V> value) {
        Map<Network, V> found = new HashMap<>();
        int number = 0;
        for (String line : lines) {
            number++;
            String entry = line.replaceFirst("#.*$", "").strip();
            if (entry.isEmpty()) {
                continue;
            }
            try {
                String[] parts = separator.split(entry, -1);
                if (parts.length > most) {
                    throw new IllegalArgumentException("more on the line than belongs there");
                }
                if (found.putIfAbsent(Network.parse(parts[0]), value.apply(parts)) != null) {
                    throw new IllegalArgumentException("the network stands there twice");
                }
            } catch (IllegalArgumentException problem) {
                // Also what is no number: its message would repeat the line.
                String why = problem instanceof NumberFormatException ? "not a number" : problem.getMessage();
                throw new IllegalArgumentException("line " + number + ": " + why, problem);
            }
        }
        return new NetworkTable<>(found);
    }
}
