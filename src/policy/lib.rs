//! The IAM policy language: documents are parsed and compiled once ([`Policy`]), and a decision is a pure function of a request and
//! the documents that have a say ([`decide`]), which can be explained ([`explain`]).
//!
//! What is here does no I/O, reads no clock and waits for nothing: the time, tags and addresses that conditions ask for come from a
//! [`Context`]. Deciding copies nothing and allocates nothing, but for a text that holds a policy variable among other characters and
//! for what a context itself makes. It takes a bounded number of steps, whatever the documents are.
//!
//! *Architecture invariants.* A document that compiles has a meaning in each of its parts: what is unknown is refused when it is
//! parsed, never ignored when it is evaluated. A condition key is a value of an enum, an action a bit. What cannot be decided is
//! denied.

mod action;
mod condition;
mod condition_key;
mod context;
mod decide;
mod decision;
mod document;
mod error;
mod explain;
mod grant;
mod json;
mod literal;
mod names;
mod operator;
mod pattern;
mod principal;
mod recorder;
mod statement;

#[cfg(test)]
mod tests;

pub use action::Action;
pub use condition_key::ConditionKey;
pub use context::{Context, Texts, Value, find_ignoring_case};
pub use decide::{Attached, Documents, Request, decide, may_retire};
pub use decision::{Basis, Decision, Denial, Document};
pub use document::{Policy, PolicyKind};
pub use error::{Place, PolicyError};
pub use explain::{ConditionTrace, DocumentTrace, GrantTrace, LeftOut, StatementRef, StatementTrace, Trace, explain, explain_retirement};
pub use grant::{GrantTerms, GrantView, Grants, child_is_within};
pub use principal::{Closeness, PolicyPrincipal};
pub use statement::Effect;
