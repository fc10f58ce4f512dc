"""What can keep a bundle from being made or from taking effect.

    BundleError
    ├── SourceInvalid        a name in the source leads nowhere (render)
    ├── OpaMissing           no opa program was found (opa_binary)
    ├── PolicyRed            the rules do not compile or their tests fail (build)
    ├── KeyUnusable          the signing key is absent, readable by others or of the wrong kind (keys)
    ├── SigningFailed        opa could not make the bundle (sign)
    ├── StaleSerial          what is published is not older than what should replace it (publish)
    ├── FreezeInForce        what is published is frozen and nobody asked for a thaw (publish)
    ├── Overtaken            somebody else published between our look and our switch (target)
    ├── BadTarget            an address that names no place for bundles (target)
    ├── PublishFailed        the place does not take the bundle (target)
    └── NotServed            OPA did not take the bundle in time (await_opa)

Each text says what was found, where, and the next step; none contains key material.
"""

from __future__ import annotations


class BundleError(Exception):
    """Base of everything that keeps a bundle from being made or from taking effect."""


class SourceInvalid(BundleError):
    """The source names something that does not exist; the text lists every such name."""


class OpaMissing(BundleError):
    """There is no `opa` to test, build and sign with."""


class PolicyRed(BundleError):
    """The rules do not compile or one of their tests fails, so nothing may be published."""


class KeyUnusable(BundleError):
    """The signing key is missing, can be read by others or is not a P-256 private key."""


class SigningFailed(BundleError):
    """`opa build` failed after its tests had passed."""


class StaleSerial(BundleError):
    """Publishing would put an older bundle in the place of a newer one."""


class FreezeInForce(BundleError):
    """Publishing would end a freeze that nobody asked to end."""


class Overtaken(BundleError):
    """Somebody else published in the same moment; theirs is in place and ours is not."""


class BadTarget(BundleError):
    """The address, its token file or its certificate file is not fit for publishing to."""


class PublishFailed(BundleError):
    """The place does not take the bundle; what was there is untouched."""


class NotServed(BundleError):
    """OPA did not serve the published revision within the time allowed."""
