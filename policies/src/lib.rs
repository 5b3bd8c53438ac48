//! Decides one call by a policy. Empty so far: the sandbox does not need it.
