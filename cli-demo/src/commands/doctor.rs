//! `doctor`: each part tried, and what is wrong named.

use std::process::ExitCode;

use regrant_core::Record;

use super::Context;
use crate::args::Doctor;
use crate::doctor::{Check, Findings, credentials, key, lock, network, store};
use crate::error::{Exit, Failure};
use crate::time;

pub(super) async fn run(doctor: &Doctor, context: &Context) -> Result<ExitCode, Failure> {
    let findings = findings(doctor, context).await?;
    context.output.answer(&findings.to_prose(), &findings.to_json())?;
    Ok(findings.exit().into())
}

async fn findings(doctor: &Doctor, context: &Context) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    let advised = |failure| context.advised(failure);
    let store = match context.store().await {
        Ok(store) => store,
        Err(failure) if failure.exit == Exit::Store => {
            findings.add([Check::failed("store", &advised(failure))]);
            return Ok(findings);
        }
        Err(failure) => return Err(failure),
    };
    let now = time::now();
    let account = &context.global.account;
    let (entries, checks) = store::examine(&store).await;
    findings.add(checks);
    let Ok(entries) = entries else { return Ok(findings) };
    if !store.is_new() {
        findings.add([lock::examine(&store, account, now).await]);
    }
    findings.add(key::examine(&store, advised).await);
    let (record, checks) = credentials::examine(&store, &entries, account, now, advised).await;
    findings.add(checks);
    // What a logout left names no servers.
    let record = record.filter(|record: &Record| !record.is_logged_out());
    if let (Some(record), false) = (record, doctor.offline) {
        findings.add(network::examine(&record).await);
    }
    Ok(findings)
}
