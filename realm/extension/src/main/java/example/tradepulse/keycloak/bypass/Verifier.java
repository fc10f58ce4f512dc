package example.tradepulse.keycloak.bypass;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Locale;
import java.util.regex.Pattern;

import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.PBEKeySpec;

/**
 * What recognises one half of an emergency code, and does not tell it (NIST SP 800-63B-4, section 3.1.2.2: look-up
 * secrets of less than 112 bits are salted and hashed as passwords are).
 *
 * <p>PBKDF2 with HMAC-SHA-256 over the half, the realm and the account's address, so that a verifier that is copied to
 * another account or another realm recognises nothing there. {@code admin_sync/bypass/code.py} makes them.
 *
 * @param salt 16 bytes in hexadecimal digits, lower case
 * @param hash 32 bytes in hexadecimal digits, lower case
 */
record Verifier(String salt, String hash) {

    /** As in {@code admin_sync/bypass/code.py}; half a second of one core, for 50 bits that live four hours. */
    static final int ITERATIONS = 600_000;

    private static final String ALGORITHM = "PBKDF2WithHmacSHA256";
    private static final String PURPOSE = "tradepulse-mfa-bypass/1";
    private static final Pattern SALT = Pattern.compile("[0-9a-f]{32}");
    private static final Pattern HASH = Pattern.compile("[0-9a-f]{64}");
    private static final Pattern HALF = Pattern.compile("[0-9A-HJKMNP-TV-Z]{10}");
    private static final int LONGEST_TYPED = 64;

    Verifier {
        if (!SALT.matcher(salt).matches() || !HASH.matcher(hash).matches()) {
            throw new IllegalArgumentException("a verifier is a salt of 32 and a hash of 64 hexadecimal digits in lower case");
        }
    }

    /** Whether somebody typed the half that this was made of; in capitals or not, with or without hyphens and spaces. */
    boolean recognises(String typed, String realm, String address) {
        String half = half(typed);
        // What cannot be a half costs as much as one that is wrong, and so tells nothing by its time.
        boolean possible = HALF.matcher(half).matches();
        byte[] derived = derived(possible ? half : "", realm, address);
        return MessageDigest.isEqual(derived, HexFormat.of().parseHex(hash)) && possible;
    }

    /** What was typed as it was meant: letters that look like digits are those digits (Crockford's base 32). */
    private static String half(String typed) {
        if (typed == null || typed.length() > LONGEST_TYPED) {
            return "";
        }
        return typed.replaceAll("[\\s-]", "").toUpperCase(Locale.ROOT).replace('O', '0').replace('I', '1').replace('L', '1');
    }

    private byte[] derived(String half, String realm, String address) {
        String text = String.join("\n", PURPOSE, realm, address.toLowerCase(Locale.ROOT), half);
        // The key specification wants characters and encodes them as UTF-8; ours are ASCII but for the address.
        PBEKeySpec wanted = new PBEKeySpec(text.toCharArray(), HexFormat.of().parseHex(salt), ITERATIONS, 256);
        try {
            return SecretKeyFactory.getInstance(ALGORITHM).generateSecret(wanted).getEncoded();
        } catch (GeneralSecurityException missing) {
            throw new IllegalStateException(ALGORITHM + " of " + StandardCharsets.UTF_8 + " text is part of every Java", missing);
        } finally {
            wanted.clearPassword();
        }
    }

    /** It may be in a message by accident, and is worth guessing at. */
    @Override
    public String toString() {
        return "Verifier[…]";
    }
}
