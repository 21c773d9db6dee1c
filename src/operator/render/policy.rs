//! Decisions as text: the answer first, then everything that led to it; and what came of resetting a key policy.

use std::fmt::Write;

use claviger_shapes::admin::policy::{
    Basis, Closeness, ConditionTrace, DecisionTrace, DocumentKind, DocumentTrace, GrantTrace, LeftOut, ResetKeyPolicyResult, Simulation,
    StatementRef, StatementTrace,
};

use super::{Format, json, plain};

/// What would come of a request, and each decision that it needs.
pub fn simulation(simulation: &Simulation, format: Format) -> String {
    if format == Format::Json {
        return json(simulation);
    }
    let mut text = String::new();
    if simulation.decisions.len() > 1 {
        let answer = if simulation.allowed { "ALLOWED" } else { "DENIED" };
        let _ = writeln!(text, "{answer}: the request needs {} decisions\n", simulation.decisions.len());
    }
    let decisions: Vec<String> = simulation.decisions.iter().map(decision).collect();
    text.push_str(&decisions.join("\n"));
    if let Some(message) = &simulation.message {
        let _ = writeln!(text, "\nThe caller would be told: {}", plain(message));
    }
    text
}

fn decision(trace: &DecisionTrace) -> String {
    let mut text = format!("{}\n  {} asks for {} on {}\n", answer(trace), plain(&trace.caller), trace.action, plain(&trace.resource));
    for part in &trace.documents {
        document(&mut text, part);
    }
    if !trace.documents.iter().any(|document| document.document == DocumentKind::IdentityPolicy) {
        text.push_str("  the caller has no policies of its own\n");
    }
    for part in &trace.grants {
        grant(&mut text, part);
    }
    left_out(&mut text, trace.left_out);
    text
}

/// One line: the decision, and what it rests on.
fn answer(trace: &DecisionTrace) -> String {
    let by: Vec<String> = trace.decided_by.iter().map(statement_name).collect();
    let by = by.join(" and ");
    match &trace.basis {
        Some(Basis::Grant(id)) => format!("ALLOWED by grant {id}"),
        Some(Basis::Retirement(id)) => format!("ALLOWED: the caller may retire grant {id}"),
        Some(_) if by.is_empty() => format!("ALLOWED {}", plain(&trace.reason)),
        Some(_) => format!("ALLOWED by {by}"),
        None if by.is_empty() => format!("DENIED {}", plain(&trace.reason)),
        None => format!("DENIED {}: {by}", plain(&trace.reason)),
    }
}

fn statement_name(statement: &StatementRef) -> String {
    format!("{}, {}", document_name(statement.document, &statement.name), numbered(statement.index, statement.sid.as_deref()))
}

fn document_name(kind: DocumentKind, name: &str) -> String {
    let kind = match kind {
        DocumentKind::KeyPolicy => "key policy",
        DocumentKind::IdentityPolicy => "identity policy",
        DocumentKind::PermissionsBoundary => "permissions boundary",
        DocumentKind::SessionPolicy => "session policy",
    };
    if name.is_empty() { kind.to_owned() } else { format!("{kind} {}", plain(name)) }
}

fn numbered(index: usize, sid: Option<&str>) -> String {
    match sid.filter(|sid| !sid.is_empty()) {
        Some(sid) => format!("statement {index} \"{}\"", plain(sid)),
        None => format!("statement {index}"),
    }
}

fn document(text: &mut String, document: &DocumentTrace) {
    let _ = writeln!(text, "\n  {}", document_name(document.document, &document.name));
    for part in &document.statements {
        statement(text, part);
    }
}

fn statement(text: &mut String, statement: &StatementTrace) {
    let effect = if statement.denies { "Deny" } else { "Allow" };
    let applies = if statement.applies { "applies" } else { "does not apply" };
    let _ = writeln!(text, "    {}: {effect}, {applies}", numbered(statement.index, statement.sid.as_deref()));
    if let Some(met) = statement.principal {
        let how = match statement.closeness {
            Some(Closeness::Account) => " (its account)",
            Some(Closeness::Everybody) => " (everybody)",
            Some(Closeness::Role) => " (its role)",
            Some(Closeness::Direct) | None => "",
        };
        let _ = writeln!(text, "      principal   {}{how}", yes(met));
    }
    let _ = writeln!(text, "      action      {}", yes(statement.action));
    let _ = writeln!(text, "      resource    {}", yes(statement.resource));
    for part in &statement.conditions {
        condition(text, part);
    }
}

fn condition(text: &mut String, condition: &ConditionTrace) {
    let ConditionTrace { operator, key, policy_values, request_values, holds } = condition;
    let request = if request_values.is_empty() { "has none".to_owned() } else { listed(request_values) };
    let _ =
        writeln!(text, "      condition   {}: {operator} {} {}; the request: {request}", yes(*holds), plain(key), listed(policy_values));
}

fn grant(text: &mut String, grant: &GrantTrace) {
    let GrantTrace { id, grantee, lists_operation, constraint_admits, own_policies_suffice } = grant;
    let _ = writeln!(text, "\n  grant {id} to {}", plain(grantee));
    let _ = writeln!(text, "      operation   {}", yes(*lists_operation));
    let _ = writeln!(text, "      constraint  {}", yes(*constraint_admits));
    let _ = writeln!(text, "      own policies {}", if *own_policies_suffice { "suffice" } else { "do not suffice" });
}

fn left_out(text: &mut String, left_out: LeftOut) {
    let LeftOut { statements, conditions, grants } = left_out;
    if left_out != LeftOut::default() {
        let _ = writeln!(
            text,
            "\n  left out for want of room, none of which decides: {statements} statements, {conditions} conditions, {grants} grants"
        );
    }
}

const fn yes(met: bool) -> &'static str {
    if met { "yes" } else { "no" }
}

fn listed(values: &[String]) -> String {
    values.iter().map(|value| format!("\"{}\"", plain(value))).collect::<Vec<_>>().join(", ")
}

/// What came of resetting a policy. The one that was replaced is printed whole, so that nothing is lost.
pub fn reset_result(result: &ResetKeyPolicyResult, format: Format) -> String {
    if format == Format::Json {
        return json(result);
    }
    let key = plain(&result.key);
    match &result.replaced {
        None => format!("{key} has the default policy already. Nothing was changed.\n"),
        Some(replaced) => {
            let replaced = replaced.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c }).collect::<String>();
            format!(
                "{key} has the default policy now, which leaves it to the policies of its account's principals. It had this one:\n{replaced}\n"
            )
        }
    }
}

#[cfg(test)]
mod tests;
