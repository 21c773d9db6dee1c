//! `claviger key`: admitting keys after a restore, step by step, and putting the default policy back.

use std::io::{IsTerminal, Write};

use anyhow::Context;
use claviger_operator::{admin, render};
use claviger_shapes::admin::policy::ResetKeyPolicy;
use claviger_shapes::admin::{AdmitKeys, AdmitKeysResult, AdmitScope};
use serde_json::json;

use crate::cli::{AdmitWhich, KeyCommand, Target};
use crate::client_commands::{format, node};
use crate::print;

/// `claviger key …`
///
/// # Errors
/// When the node does not answer, or refuses.
pub(crate) async fn run(command: &KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::Admit { target, which } => admit(target, which).await,
        KeyCommand::ResetPolicy { key_id, reason, target } => {
            let request = ResetKeyPolicy { key: key_id.clone(), reason: reason.clone() };
            let result = admin::policy::reset_key_policy(&node(target).await?, &request).await?;
            print(&render::policy::reset_result(&result, format(target)))
        }
    }
}

async fn admit(target: &Target, which: &AdmitWhich) -> anyhow::Result<()> {
    let scope = match which {
        AdmitWhich { key_id: Some(key), .. } => AdmitScope::Key(key.clone()),
        AdmitWhich { account: Some(account), .. } => AdmitScope::Account(account.to_string()),
        AdmitWhich { .. } => AdmitScope::All,
    };
    let node = node(target).await?;
    let shown = !target.json && std::io::stderr().is_terminal();
    let mut sum = AdmitKeysResult::default();
    let mut after = None;
    loop {
        let step = admin::admit_keys(&node, &AdmitKeys { scope: scope.clone(), after: after.take() }).await;
        let step = step.with_context(|| format!("{} keys were admitted; run it again for the rest", sum.admitted))?;
        sum.admitted += step.admitted;
        sum.unchanged += step.unchanged;
        after = step.next;
        if after.is_none() {
            break;
        }
        if shown {
            // Nothing depends on whether it is seen.
            let _ = write!(std::io::stderr(), "\r{} keys admitted ", sum.admitted);
        }
    }
    if target.json {
        return print(&json!({ "admitted": sum.admitted, "unchanged": sum.unchanged, "changed": sum.admitted > 0 }).to_string());
    }
    if shown {
        let _ = write!(std::io::stderr(), "\r{:40}\r", "");
    }
    let (admitted, unchanged) = (sum.admitted, sum.unchanged);
    print(&format!("Admitted {admitted} keys, each as the backup has it, enabled or disabled; {unchanged} needed no admission."))
}
