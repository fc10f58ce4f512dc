"""What each file of `configs/iam` may hold; one module per file."""

from admin_sync.load.schema.bindings import Approval, Barred, Binding, BindingsFile, FormerApprover
from admin_sync.load.schema.brokers import Broker, BrokersFile
from admin_sync.load.schema.partners import Partner, PartnersFile, Persona
from admin_sync.load.schema.policies import PoliciesFile, RequestClass, Separation
from admin_sync.load.schema.roles import (
    Client,
    ConfidentialClient,
    Group,
    OidcProvider,
    Provider,
    PublicClient,
    Role,
    RolesFile,
    TokenBridge,
    UpstreamAssurance,
    WorkloadClient,
)

__all__ = [
    "Approval",
    "Barred",
    "Binding",
    "BindingsFile",
    "Broker",
    "BrokersFile",
    "Client",
    "ConfidentialClient",
    "FormerApprover",
    "Group",
    "OidcProvider",
    "Partner",
    "PartnersFile",
    "Persona",
    "PoliciesFile",
    "Provider",
    "PublicClient",
    "RequestClass",
    "Role",
    "RolesFile",
    "Separation",
    "TokenBridge",
    "UpstreamAssurance",
    "WorkloadClient",
]
