"""The kinds that `configs/iam` declares, an adapter each.

`realm_rule` is what our providers in the server decide by; `role` and `group` carry realm roles;
`client` and `client_role`; `identity_provider` with the mappers that put its people in groups;
`organization` with its groups; `user`; `binding`, which is every "who has what" that the others do not
contain; and `right`, which is what of other people's roles and groups is held beside it.
"""

from admin_sync.keycloak.iam.binding import BindingAdapter
from admin_sync.keycloak.iam.client import ClientAdapter
from admin_sync.keycloak.iam.client_role import ClientRoleAdapter
from admin_sync.keycloak.iam.group import GroupAdapter
from admin_sync.keycloak.iam.identity_provider import ProviderAdapter
from admin_sync.keycloak.iam.identity_provider_mapper import ProviderMapperAdapter
from admin_sync.keycloak.iam.organization import OrganizationAdapter
from admin_sync.keycloak.iam.organization_group import OrganizationGroupAdapter
from admin_sync.keycloak.iam.realm_rule import RealmRuleAdapter
from admin_sync.keycloak.iam.right import RightAdapter
from admin_sync.keycloak.iam.role import RoleAdapter
from admin_sync.keycloak.iam.user import UserAdapter

IAM_ADAPTERS = (
    RealmRuleAdapter(),
    RoleAdapter(),
    GroupAdapter(),
    ProviderAdapter(),
    ProviderMapperAdapter(),
    ClientAdapter(),
    ClientRoleAdapter(),
    OrganizationAdapter(),
    OrganizationGroupAdapter(),
    UserAdapter(),
    BindingAdapter(),
    RightAdapter(),
)
