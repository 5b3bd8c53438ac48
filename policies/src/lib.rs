//! Policies: see issue; the crate is filled by the policy work.
