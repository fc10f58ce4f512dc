package example.tradepulse.keycloak.members;

import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The end of a role that is lent: the name of a group below the role's, {@code until-<seconds since 1970>}.
 *
 * <p>So the end is part of what somebody is a member of. It is in every token that tells of the membership, and there is no
 * moment at which the membership is known and its end is not.
 */
final class Until {

    /** The end of the year 9999; what lies behind it is no end. */
    static final long LAST = 253_402_300_799L;

    private static final Pattern NAME = Pattern.compile("until-([1-9][0-9]{0,11})");

    private Until() {}

    static String name(long seconds) {
        if (seconds <= 0 || seconds > LAST) {
            throw new IllegalArgumentException("until is a number of seconds since 1970");
        }
        return "until-" + seconds;
    }

    /** The end that a group's name says; empty for a group that is none of ours. */
    static OptionalLong of(String name) {
        Matcher found = NAME.matcher(name);
        if (!found.matches()) {
            return OptionalLong.empty();
        }
        long seconds = Long.parseLong(found.group(1));
        return seconds > LAST ? OptionalLong.empty() : OptionalLong.of(seconds);
    }
}
