//! Decides one call by a policy: `PolicyLayer`'s `policy.json`, with our extensions under `x-sandbox`.
//!
//! A [`Policy`] is a document that was read and found right. [`Policy::decide`] gives a [`Permit`], which the call
//! spends, or a [`Refusal`]: a [`Denial`] with the rule that denied, or a [`Demand`] for approval. Limits are counted in
//! [`Counters`]. The crate does no I/O and has no clock: the time is an argument.
//!
//! From outside in:
//!
//! - `reading`, `json`, `error`: a document, strictly, with all that is wrong with it; `import`, `yaml`: those of others;
//! - `document`, `extensions`, `condition`: what was read;
//! - `decide`, `permit`, `denial`, `approval`: one call of a tool;
//! - `counters`, `memory`, `breaker`, `window`: what calls are counted in;
//! - `egress`, `secrets`, `packages`, `redact`: what else the extensions decide;
//! - `lint`, `explain`, `examples`: for the document's author.

mod addresses;
mod approval;
mod arguments;
mod breaker;
mod call;
mod canonical;
mod condition;
mod counters;
mod decide;
mod defaults;
mod denial;
mod digest;
mod document;
mod duration;
mod egress;
mod error;
mod examples;
mod explain;
mod extensions;
mod hosts;
mod import;
mod json;
mod lint;
mod memory;
mod number;
mod packages;
mod paths;
mod pattern;
mod permit;
mod pointer;
mod policy;
mod reading;
mod redact;
mod secrets;
mod versions;
mod window;
mod yaml;

pub use approval::{Approval, ApprovalError, ApprovalKey, ApprovalState, Approved, Demand};
pub use arguments::{Arguments, ArgumentsError};
pub use call::{Call, Grant};
pub use condition::Truth;
pub use counters::{Claim, Count, Counters, Outcome, Quota, Refused, Trip, Unavailable};
pub use decide::{decide, is_visible};
pub use denial::{Denial, DenialKind, Refusal};
pub use digest::Digest;
pub use egress::{AddressPermit, EgressPermit, EgressRequest, Scheme};
pub use error::{Fault, ParseError, Problem};
pub use examples::ExampleResult;
pub use explain::{CheckedCondition, CheckedLimit, Explanation};
pub use extensions::{BreakerRules, Caps, Expectation, Mode};
pub use import::{Imported, Warning};
pub use lint::{Finding, lint, lint_with_tools};
pub use memory::{MemoryCounters, Record};
pub use packages::{PackagePermit, Requirement};
pub use permit::{Effect, Permit, Receipt};
pub use policy::Policy;
pub use secrets::{SecretBinding, SecretPermit, SecretPlace, SecretSource};
pub use window::{Timestamp, Window};
