package example.tradepulse.keycloak.bypass;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Function;

import org.keycloak.credential.CredentialModel;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.SubjectCredentialManager;
import org.keycloak.models.UserModel;
import org.keycloak.models.utils.KeycloakModelUtils;

/**
 * The emergency codes of accounts, each change of which is one transaction of its own, with its line in the audit.
 *
 * <p>A change takes the stored credential away and puts its successor in its place, under the next id of a row that is
 * counted up. Taking it away locks it, so of two logins with one code the second waits and then finds that what it read is
 * gone, however old its reading was (Keycloak caches accounts); and two that put find that the id is taken. What was used
 * stays used even if the rest of the login fails.
 */
final class Ledger {

    /** What became of an attempt to log in. */
    enum Attempt { ACCEPTED, WRONG, NONE }

    private final KeycloakSession session;

    Ledger(KeycloakSession session) {
        this.session = session;
    }

    /** The code of an account, open or not. */
    static Optional<Bypass> find(UserModel user) {
        return Bypass.storedOf(user).map(Bypass::of);
    }

    /**
     * Opens a code on an account, once for each request: delivered again, it changes nothing.
     *
     * @return what the account has then; empty where another code is open, which has to be used or withdrawn first
     */
    Optional<Bypass> grant(UserModel who, RealmModel where, String request, long ends, List<Verifier> verifiers, Telling telling) {
        return change(where, who, turn -> {
            Optional<Bypass> present = turn.taken();
            long now = Instant.now().getEpochSecond();
            if (present.isPresent() && (present.get().knows(request) || present.get().isOpen(now))) {
                turn.put(present.get());
                return present.filter(one -> one.knows(request));
            }
            Bypass opened = Bypass.granted(request, ends, verifiers, present.map(one -> one.remembered(now)).orElse(Map.of()));
            turn.put(opened);
            telling.tell(turn.session(), turn.realm(), turn.user(), "granted", opened, null);
            return Optional.of(opened);
        });
    }

    /** Closes the code of a request, if it is open. Empty where the account has none of that request. */
    Optional<Bypass> withdraw(UserModel who, RealmModel where, String request, Telling telling) {
        return change(where, who, turn -> {
            Optional<Bypass> present = turn.taken();
            Optional<Bypass> open = present.filter(one -> one.request().equals(request) && one.isOpen(Instant.now().getEpochSecond()));
            Optional<Bypass> after = open.map(one -> one.closed(Bypass.WITHDRAWN)).or(() -> present);
            after.ifPresent(turn::put);
            open.ifPresent(one -> telling.tell(turn.session(), turn.realm(), turn.user(), "withdrawn", one, null));
            return after.filter(one -> one.request().equals(request));
        });
    }

    /** Uses the code of an account up, if these are its halves; counts a wrong one, and closes it after too many. */
    Result attempt(UserModel who, RealmModel where, String own, String handed, Telling telling) {
        return change(where, who, turn -> {
            Optional<Bypass> present = turn.taken();
            Optional<Bypass> open = present.filter(one -> one.isOpen(Instant.now().getEpochSecond()));
            if (open.isEmpty()) {
                present.ifPresent(turn::put);
                telling.tell(turn.session(), turn.realm(), turn.user(), "refused", present.orElse(null), "none_open");
                return new Result(Attempt.NONE, null);
            }
            Bypass code = open.get();
            if (code.recognises(own, handed, turn.realm().getName(), address(turn.user()))) {
                turn.put(code.closed(Bypass.USED));
                telling.tell(turn.session(), turn.realm(), turn.user(), "used", code, null);
                return new Result(Attempt.ACCEPTED, code);
            }
            Bypass after = code.failed();
            turn.put(after);
            telling.tell(turn.session(), turn.realm(), turn.user(), "refused", after, after.closed() == null ? "wrong_code" : "guessed");
            return new Result(Attempt.WRONG, after);
        });
    }

    /** Throws whatever the database throws where two come at once; then nothing was changed. */
    private <T> T change(RealmModel realm, UserModel user, Function<Turn, T> work) {
        String realmId = realm.getId();
        String userId = user.getId();
        return KeycloakModelUtils.runJobInTransactionWithResult(session.getKeycloakSessionFactory(), session.getContext(), inner -> {
            inner.getContext().setConnection(session.getContext().getConnection());
            RealmModel same = inner.realms().getRealm(realmId);
            inner.getContext().setRealm(same);
            return work.apply(new Turn(inner, same, inner.users().getUserById(same, userId)));
        }, "tradepulse-bypass");
    }

    /** An account without an address is known by its name, which is what a code is made for then. */
    static String address(UserModel user) {
        return user.getEmail() == null ? user.getUsername() : user.getEmail();
    }

    /** What came of an attempt, and the code it was about; null for none. */
    record Result(Attempt attempt, Bypass code) {}

    /** How a change is told to the audit, in its transaction. */
    interface Telling {
        void tell(KeycloakSession session, RealmModel realm, UserModel user, String action, Bypass code, String reason);
    }

    /** The account within the transaction of one change. */
    private static final class Turn {

        private final KeycloakSession session;
        private final RealmModel realm;
        private final UserModel user;
        private int number;

        Turn(KeycloakSession session, RealmModel realm, UserModel user) {
            this.session = session;
            this.realm = realm;
            this.user = user;
        }

        KeycloakSession session() {
            return session;
        }

        RealmModel realm() {
            return realm;
        }

        UserModel user() {
            return user;
        }

        /** The stored code, which this transaction alone has from now on. */
        Optional<Bypass> taken() {
            SubjectCredentialManager credentials = user.credentialManager();
            CredentialModel stored = Bypass.storedOf(user).orElse(null);
            if (stored == null) {
                return Optional.empty();
            }
            if (!credentials.removeStoredCredentialById(stored.getId())) {
                throw new IllegalStateException("another request changed this emergency code just now");
            }
            number = Bypass.turn(stored);
            return Optional.of(Bypass.of(stored));
        }

        void put(Bypass code) {
            int next = number + 1;
            String id = UUID.nameUUIDFromBytes((Bypass.TYPE + ":" + user.getId() + ":" + next).getBytes(StandardCharsets.UTF_8)).toString();
            user.credentialManager().createStoredCredential(code.stored(id, next, Instant.now().getEpochSecond()));
        }
    }
}
