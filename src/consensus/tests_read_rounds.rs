//! Read rounds of real nodes.
