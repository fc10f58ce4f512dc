package example.tradepulse.keycloak.risk;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;

import example.tradepulse.keycloak.step.QuietStep;
import org.keycloak.authentication.AuthenticationFlowCallback;
import org.keycloak.authentication.AuthenticationFlowContext;
import org.keycloak.authentication.AuthenticationFlowError;
import org.keycloak.authentication.AuthenticationFlowException;
import org.keycloak.authentication.AuthenticatorUtil;
import org.keycloak.authentication.authenticators.util.AcrStore;
import org.keycloak.common.util.Time;
import org.keycloak.models.AuthenticationFlowModel;
import org.keycloak.models.Constants;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.RealmModel;
import org.keycloak.models.UserModel;
import org.keycloak.models.UserSessionModel;
import org.keycloak.services.managers.AuthenticationManager;
import org.keycloak.sessions.AuthenticationSessionModel;

import example.tradepulse.keycloak.audit.Notice;
import example.tradepulse.keycloak.bypass.BypassProof;
import example.tradepulse.keycloak.factor.Factor;
import io.micrometer.core.instrument.Metrics;
import jakarta.ws.rs.core.Response;

/**
 * Judges a login, or the session that a browser comes back with, and lets it pass, asks for a second factor or ends it.
 *
 * <p>Behind the step that found out who it is, it judges the login. In front of the cookie, where nobody is known yet, it
 * judges the session of that cookie, and leaves the rest to the steps behind it. Asking for a factor is raising the level
 * that the login asks for, so that the flow asks by itself; whether it did is looked at when the flow is through. So is a
 * denial: its page can be loaded again, and the list of other steps that Keycloak keeps for each page has the cookie in it.
 */
final class RiskAuthenticator implements AuthenticationFlowCallback, QuietStep {

    private static final String DENIED = "risk_denied";
    private static final String FACTOR_MISSING = "factor_missing";
    private static final String REGISTER = "register";

    /** Counts every judgement by what became of it. */
    private static final String VERDICTS = "tradepulse.risk.verdicts";

    /** A provider proves before it sends people back: what it proved this short a while ago belongs to this login. */
    private static final long JUST_NOW_SECONDS = 300;

    private final KeycloakSession session;
    private final Judge judge;

    RiskAuthenticator(KeycloakSession session, Judge judge) {
        this.session = session;
        this.judge = judge;
    }

    @Override
    public void authenticate(AuthenticationFlowContext context) {
        // In front of the cookie it must never succeed, as that would be the login: not even where a flow that was left
        // half-way has found out already who it is about.
        if (context.getUser() == null || context.getExecution().isAlternative()) {
            running(context);
        } else {
            login(context);
        }
    }

    @Override
    public void action(AuthenticationFlowContext context) {
        // Only the page of a refusal was shown. Whoever sends something to it is judged again.
        authenticate(context);
    }

    private void login(AuthenticationFlowContext context) {
        AuthenticationSessionModel login = context.getAuthenticationSession();
        UserModel user = context.getUser();
        boolean judged = Memory.isJudged(login, user) && !Claim.isBrokered(login);
        if (judged || !isDenied(context, user, judge.login(session, context.getRealm(), user, login), null)) {
            context.success();
        }
    }

    private void running(AuthenticationFlowContext context) {
        AuthenticationManager.AuthResult found = AuthenticationManager.authenticateIdentityCookie(session, context.getRealm(), true);
        if (found == null || !isDenied(context, found.user(), judge.running(session, context.getRealm(), found.session()), found.session())) {
            context.attempted();
        }
    }

    /** Does what a verdict says; true if that was to refuse. */
    private boolean isDenied(AuthenticationFlowContext context, UserModel user, Verdict verdict, UserSessionModel running) {
        AuthenticationSessionModel login = context.getAuthenticationSession();
        Memory.judged(login, user, Time.currentTimeMillis() / 1000 - (running == null ? JUST_NOW_SECONDS : 0));
        AuthenticatorUtil.setAuthCallbacksFactoryIds(login, RiskAuthenticatorFactory.PROVIDER_ID);
        // Such a login stays at the first level, and goes on to the page where a first factor is registered.
        boolean newcomer = verdict.isForNewcomers() && !Factor.isProvable(user);
        String outcome = newcomer ? REGISTER : verdict.outcome().word();
        Metrics.counter(VERDICTS, "realm", context.getRealm().getName(), "outcome", outcome).increment();
        if (!verdict.reasons().isEmpty() && (running == null || verdict.outcome() != Outcome.ALLOW)) {
            tell(user, outcome, verdict.codes(), verdict.reasons());
        }
        if (verdict.outcome() == Outcome.DENY) {
            Memory.deny(login, verdict);
            refuse(context, user, verdict);
        } else if (verdict.outcome() == Outcome.STEP_UP && !newcomer) {
            demand(context, verdict, running);
        }
        return verdict.outcome() == Outcome.DENY;
    }

    private void demand(AuthenticationFlowContext context, Verdict verdict, UserSessionModel running) {
        AuthenticationSessionModel login = context.getAuthenticationSession();
        Memory.demand(login, verdict);
        int asked = new AcrStore(session, login).getRequestedLevelOfAuthentication(context.getTopLevelFlow());
        if (asked < Levels.FACTOR) {
            login.setClientNote(Constants.REQUESTED_LEVEL_OF_AUTHENTICATION, String.valueOf(Levels.FACTOR));
        }
        // What was proved before says nothing about who comes now, with the session's cookie or one of the provider.
        if (running == null) {
            login.setAuthNote(Constants.LOA_MAP, Levels.withoutFactorBefore(login.getAuthNote(Constants.LOA_MAP), Memory.provedSince(login)));
        } else {
            doubt(running);
            // Tokens of offline_access live in a copy of the session, made with what was proved when it was.
            UserSessionModel offline = session.sessions().getOfflineUserSession(context.getRealm(), running.getId());
            if (offline != null) {
                doubt(offline);
            }
        }
    }

    /** Takes from a session what a factor proved in it. */
    private static void doubt(UserSessionModel running) {
        running.setNote(Constants.LOA_MAP, Levels.withoutFactorBefore(running.getNote(Constants.LOA_MAP), Long.MAX_VALUE));
    }

    /** A page instead of a failure: Keycloak would count that as a wrong password, and lock out whoever is not to blame. */
    private void refuse(AuthenticationFlowContext context, UserModel user, Verdict verdict) {
        context.getEvent().user(user).error(DENIED);
        context.forceChallenge(context.form().setError(Pages.message(verdict.gravest().code())).createErrorPage(Response.Status.FORBIDDEN));
    }

    @Override
    public void onParentFlowSuccess(AuthenticationFlowContext context) {
        // The level is known only when the whole flow is through.
    }

    @Override
    public void onTopFlowSuccess(AuthenticationFlowModel topFlow) {
        AuthenticationSessionModel login = session.getContext().getAuthenticationSession();
        UserModel user = login.getAuthenticatedUser();
        Optional<String> denied = Memory.denied(login);
        if (denied.isPresent()) {
            throw new AuthenticationFlowException(
                    AuthenticationFlowError.GENERIC_AUTHENTICATION_ERROR, DENIED, Pages.message(denied.get()));
        }
        if (isFactorProved(login)) {
            RealmModel realm = login.getRealm();
            Memory.answer(login, session.sessions().getUserSession(realm, login.getParentSession().getId()));
            // Whoever has no factor at hand proves nothing about the device either.
            if (!BypassProof.isIn(login)) {
                DeviceCookie.remember(session, realm, user);
            }
        } else if (Memory.isFactorDemanded(login)) {
            Metrics.counter(VERDICTS, "realm", login.getRealm().getName(), "outcome", FACTOR_MISSING).increment();
            tell(user, Outcome.DENY.word(), FACTOR_MISSING, List.of());
            throw new AuthenticationFlowException(
                    AuthenticationFlowError.GENERIC_AUTHENTICATION_ERROR, FACTOR_MISSING, Pages.message(FACTOR_MISSING));
        }
    }

    /** In this login, after it was judged, or by the passkey with which it began. */
    private static boolean isFactorProved(AuthenticationSessionModel login) {
        return Levels.isFactorProvedSince(login.getAuthNote(Constants.LOA_MAP), Memory.provedSince(login))
                || AuthenticatorUtil.getAuthnCredentials(login).stream().anyMatch(Factor::proves);
    }

    private void tell(UserModel user, String outcome, String codes, List<Reason> reasons) {
        AuthenticationSessionModel login = session.getContext().getAuthenticationSession();
        Map<String, String> about = new TreeMap<>(Map.of("client", login.getClient().getClientId(), "risk", outcome));
        String subjects = reasons.stream()
                .filter(reason -> !reason.subject().isEmpty()).map(Reason::key).sorted().collect(Collectors.joining(","));
        if (!subjects.isEmpty()) {
            about.put("risk_of", subjects);
        }
        boolean goesOn = !Outcome.DENY.word().equals(outcome);
        session.getKeycloakSessionFactory().publish(new Notice(
                session, login.getRealm(), "login.risk", goesOn, "judge", user, login.getParentSession().getId(), codes, about));
    }

    @Override
    public boolean requiresUser() {
        return false;
    }
}
