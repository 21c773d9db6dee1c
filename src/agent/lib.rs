//! The local agent.
