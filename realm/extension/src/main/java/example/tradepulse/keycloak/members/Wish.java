package example.tradepulse.keycloak.members;

import java.io.IOException;
import java.io.InputStream;
import java.util.Iterator;
import java.util.Set;
import java.util.regex.Pattern;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

/** A request's body, read strictly: {@code {"until":1800000000}} and, for a new account, who it is for and its first password. */
final class Wish {

    private static final ObjectMapper STRICT = new ObjectMapper()
            .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
    /** ASCII alone: letters of other scripts can look like, or fold to, those of somebody else's address. */
    private static final Pattern EMAIL = Pattern.compile("[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?");
    private static final int LONGEST_BODY = 4096;

    private final JsonNode document;

    private Wish(JsonNode document) {
        this.document = document;
    }

    static Wish read(InputStream body, Set<String> names) {
        try {
            byte[] bytes = body.readNBytes(LONGEST_BODY + 1);
            JsonNode document = bytes.length > LONGEST_BODY ? null : STRICT.readTree(bytes);
            if (document == null || !document.isObject()) {
                throw new IllegalArgumentException("an object of at most " + LONGEST_BODY + " bytes is wanted");
            }
            for (Iterator<String> found = document.fieldNames(); found.hasNext();) {
                if (!names.contains(found.next())) {
                    throw new IllegalArgumentException("an object with nothing but " + names + " is wanted");
                }
            }
            return new Wish(document);
        } catch (IOException unreadable) {
            throw new IllegalArgumentException("the body is no JSON", unreadable);
        }
    }

    /** Seconds since 1970, or null for a role without an end. */
    Long until() {
        JsonNode until = document.path("until");
        if (until.isMissingNode() || until.isNull()) {
            return null;
        }
        if (!until.isIntegralNumber() || !until.canConvertToLong()) {
            throw new IllegalArgumentException("until is a number of seconds since 1970");
        }
        Until.name(until.longValue());
        return until.longValue();
    }

    String email() {
        String email = text("email", 254);
        if (!isEmail(email)) {
            throw new IllegalArgumentException("email is an address in small ASCII letters");
        }
        return email;
    }

    static boolean isEmail(String email) {
        return EMAIL.matcher(email).matches();
    }

    String text(String name, int longest) {
        String text = document.path(name).textValue();
        if (text == null || text.isBlank() || text.length() > longest || text.chars().anyMatch(Character::isISOControl)) {
            throw new IllegalArgumentException(name + " is a text of 1 to " + longest + " characters");
        }
        return text;
    }
}
