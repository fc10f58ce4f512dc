package example.tradepulse.keycloak.risk;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Arrays;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** An IP network, or one address with the longest prefix (RFC 4632, RFC 4291). IPv4 mapped into IPv6 is IPv4. */
final class Network {

    private static final Pattern IPV6 = Pattern.compile("[0-9A-Fa-f:][0-9A-Fa-f:.]{1,44}");
    private static final Pattern CIDR = Pattern.compile("([0-9A-Fa-f:.]{2,45})(?:/([0-9]{1,3}))?");
    private static final Pattern IPV4 = Pattern.compile("(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\\.(?!$)|$)){4}");

    private final byte[] address;
    private final int prefix;

    private Network(byte[] address, int prefix) {
        this.address = address;
        this.prefix = prefix;
    }

    /**
     * An address as a connection has it; a zone ({@code fe80::1%eth0}) is left out.
     *
     * @return empty for anything that is not a numeric address: no name is ever looked up
     */
    static Optional<Network> ofAddress(String text) {
        return text == null ? Optional.empty() : bytes(text.replaceFirst("%.*$", "")).map(Network::whole);
    }

    /**
     * A network as {@code 192.0.2.0/24}, or an address.
     *
     * @throws IllegalArgumentException unless it is one, with no bit set behind its prefix: such a line means something
     *     else than it says
     */
    static Network parse(String text) {
        Matcher matcher = CIDR.matcher(text);
        byte[] bytes = matcher.matches() ? bytes(matcher.group(1)).orElse(null) : null;
        if (bytes == null) {
            throw new IllegalArgumentException("not an IP network");
        }
        if (matcher.group(2) == null) {
            return whole(bytes);
        }
        boolean mapped = bytes.length == 4 && matcher.group(1).contains(":");
        int prefix = Integer.parseInt(matcher.group(2)) - (mapped ? 96 : 0);
        if (prefix < 0 || prefix > bytes.length * 8) {
            throw new IllegalArgumentException("no such prefix length");
        }
        Network network = new Network(bytes, prefix);
        if (!network.equals(whole(bytes).within(prefix))) {
            throw new IllegalArgumentException("bits are set behind the prefix");
        }
        return network;
    }

    private static Network whole(byte[] bytes) {
        return new Network(bytes, bytes.length * 8);
    }

    private static Optional<byte[]> bytes(String text) {
        boolean numeric = text.contains(":") ? IPV6.matcher(text).matches() : IPV4.matcher(text).matches();
        if (!numeric) {
            // Java would look a name up, or read 127.1 and 0177.0.0.1 in ways of its own.
            return Optional.empty();
        }
        try {
            return Optional.of(InetAddress.getByName(text).getAddress());
        } catch (UnknownHostException notAnAddress) {
            return Optional.empty();
        }
    }

    /** The network of that prefix length that this one lies in; {@code length} is at most this one's. */
    Network within(int length) {
        byte[] masked = Arrays.copyOf(address, address.length);
        for (int bit = length; bit < masked.length * 8; bit++) {
            masked[bit / 8] &= (byte) ~(0x80 >> (bit % 8));
        }
        return new Network(masked, length);
    }

    int prefix() {
        return prefix;
    }

    boolean isIpv4() {
        return address.length == 4;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Network that && prefix == that.prefix && Arrays.equals(address, that.address);
    }

    @Override
    public int hashCode() {
        return 31 * Arrays.hashCode(address) + prefix;
    }

    @Override
    public String toString() {
        try {
            return InetAddress.getByAddress(address).getHostAddress() + "/" + prefix;
        } catch (UnknownHostException impossible) {
            throw new IllegalStateException("an address has 4 or 16 bytes", impossible);
        }
    }
}
