package example.tradepulse.keycloak.identity;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

import example.tradepulse.keycloak.bypass.BypassProof;
import example.tradepulse.keycloak.exchange.CarriedProof;
import example.tradepulse.keycloak.upstream.UpstreamProof;
import org.keycloak.authentication.authenticators.util.LoAUtil;
import org.keycloak.models.ClientModel;
import org.keycloak.models.ClientSessionContext;
import org.keycloak.models.Constants;
import org.keycloak.models.KeycloakSession;
import org.keycloak.models.ProtocolMapperModel;
import org.keycloak.models.RealmModel;
import org.keycloak.models.RoleModel;
import org.keycloak.models.UserModel;
import org.keycloak.models.UserSessionModel;
import org.keycloak.models.utils.RoleUtils;
import org.keycloak.protocol.oidc.mappers.AbstractOIDCProtocolMapper;
import org.keycloak.protocol.oidc.mappers.OIDCAccessTokenMapper;
import org.keycloak.protocol.oidc.mappers.OIDCAttributeMapperHelper;
import org.keycloak.protocol.oidc.mappers.OIDCIDTokenMapper;
import org.keycloak.protocol.oidc.mappers.TokenIntrospectionTokenMapper;
import org.keycloak.protocol.oidc.mappers.UserInfoTokenMapper;
import org.keycloak.provider.ProviderConfigProperty;
import org.keycloak.representations.AccessToken;
import org.keycloak.representations.IDToken;

/**
 * Gives every internal token the same shape, whichever identity provider logged the person in.
 *
 * <p>{@code groups} holds the names of the realm roles in force, through composites and groups, but only of roles that
 * carry our ownership mark: what somebody made by hand in the console confers nothing. {@code assurance_level} repeats
 * the {@code acr} that Keycloak's own mapper computed before us, for ten hours after it was proved; {@code auth_time} of
 * an access token is never later than the {@link ProofTime time at which that level was proved}; {@code amr} loses its
 * duplicates and gains the methods that an identity provider was trusted with, and {@code organization} goes when it is empty.
 * What rests on an {@link BypassProof emergency code} ends with it and is never fresh.
 */
public final class IdentityMapper extends AbstractOIDCProtocolMapper
        implements OIDCAccessTokenMapper, OIDCIDTokenMapper, UserInfoTokenMapper, TokenIntrospectionTokenMapper {

    public static final String PROVIDER_ID = "tradepulse-identity-mapper";

    /** After Keycloak's acr and amr mappers (priority 0) and after scripts (50): this one reads what they wrote. */
    private static final int PRIORITY = 100;

    private static final List<ProviderConfigProperty> CONFIGURATION = new ArrayList<>();

    static {
        OIDCAttributeMapperHelper.addIncludeInTokensConfig(CONFIGURATION, IdentityMapper.class);
    }

    @Override
    protected void setClaim(
            IDToken token,
            ProtocolMapperModel mapper,
            UserSessionModel userSession,
            KeycloakSession session,
            ClientSessionContext clientSession) {
        UserModel user = userSession.getUser();
        RealmModel realm = userSession.getRealm();
        token.setOtherClaims(Claims.GROUPS, List.copyOf(managedRoles(user, realm)));
        // A service proves one thing, its key, whatever level the grant's session seems to have.
        boolean service = user.getServiceAccountClientLink() != null;
        int level = LoAUtil.getCurrentLevelOfAuthentication(clientSession.getClientSession());
        Optional<Long> proved = ProofTime.of(userSession.getNote(Constants.LOA_MAP), level);
        long now = Instant.now().getEpochSecond();
        String assurance = Claims.assuranceLevel(token.getAcr(), proved, now);
        token.setOtherClaims(Claims.ASSURANCE_LEVEL, service ? Claims.LOWEST_LEVEL : assurance);
        List<String> upstream = UpstreamProof.fromNote(userSession.getNote(UpstreamProof.NOTE))
                .map(proof -> proof.methodsAt(now, Claims.FACTOR_SECONDS)).orElse(List.of());
        Optional.ofNullable(token.getOtherClaims().get(Claims.AMR))
                .ifPresent(methods -> token.setOtherClaims(Claims.AMR, Claims.methods(methods, upstream)));
        // Services judge freshness by the access token. The ID token keeps OpenID Connect's meaning: the last login page.
        if (token instanceof AccessToken && token.getAuth_time() != null) {
            // A factor used here after an older login at a provider is newer than that login, which Keycloak then tells.
            proved.ifPresent(time -> token.setAuth_time(level > 1 ? time : Math.min(time, token.getAuth_time())));
        }
        if (level > 1) {
            BypassProof.carrying(userSession).ifPresent(bypass -> hold(token, bypass, now));
        }
        if (!service) {
            CarriedProof.of(session).ifPresent(proof -> carry(token, proof, clientSession.getClientSession().getClient()));
        }
        // Keycloak's mapper of organization groups leaves an empty object with people who belong to no partner.
        if (token.getOtherClaims().get(Claims.ORGANIZATION) instanceof Map<?, ?> partners && partners.isEmpty()) {
            token.getOtherClaims().remove(Claims.ORGANIZATION);
        }
    }

    /**
     * What an emergency code proved is at no time fresh: whatever asks for a proof of the last minutes asks for a factor. It
     * ends with the code, and so does a token.
     */
    private static void hold(IDToken token, BypassProof bypass, long now) {
        if (token instanceof AccessToken && token.getAuth_time() != null) {
            token.setAuth_time(ProofTime.NEVER);
        }
        if (bypass.isOver(now)) {
            token.setAcr(Claims.LOWEST_LEVEL);
            token.setOtherClaims(Claims.ASSURANCE_LEVEL, Claims.LOWEST_LEVEL);
            token.setOtherClaims(Claims.AMR, Claims.without(token.getOtherClaims().get(Claims.AMR), BypassProof.METHOD));
        } else if (token.getExp() != null) {
            token.exp(Math.min(token.getExp(), bypass.ends()));
        }
    }

    /** An exchanged token says what the one before it proved, whatever the session says that Keycloak made for it. */
    private static void carry(IDToken token, CarriedProof proof, ClientModel client) {
        token.setAcr(proof.level());
        token.setOtherClaims(Claims.ASSURANCE_LEVEL, proof.level());
        token.setOtherClaims(Claims.AMR, Claims.methods(proof.methods(), List.of()));
        token.setAuth_time(proof.time().orElse(null));
        token.exp(Math.min(token.getExp(), proof.expires()));
        // Keycloak takes away all but the one audience that is asked for, and refuses to exchange for any other.
        String audiences = client.getAttribute(CarriedProof.AUDIENCES);
        if (audiences != null && !audiences.isBlank()) {
            Stream.of(audiences.split("##")).forEach(token::addAudience);
        }
    }

    private static Set<String> managedRoles(UserModel user, RealmModel realm) {
        Set<String> names = new TreeSet<>();
        for (RoleModel role : RoleUtils.getDeepUserRoleMappings(user)) {
            if (RoleUtils.isRealmRole(role, realm) && isManaged(role)) {
                names.add(role.getName());
            }
        }
        return names;
    }

    private static boolean isManaged(RoleModel role) {
        return role.getAttributeStream(Claims.MANAGED_ATTRIBUTE).anyMatch(Claims.MANAGED_BY::equals);
    }

    @Override
    public int getPriority() {
        return PRIORITY;
    }

    @Override
    public String getId() {
        return PROVIDER_ID;
    }

    @Override
    public String getDisplayType() {
        return "TradePulse identity";
    }

    @Override
    public String getDisplayCategory() {
        return TOKEN_MAPPER_CATEGORY;
    }

    @Override
    public String getHelpText() {
        return "Adds groups (managed realm roles in force) and assurance_level, and removes duplicates from amr.";
    }

    @Override
    public List<ProviderConfigProperty> getConfigProperties() {
        return List.copyOf(CONFIGURATION);
    }
}
