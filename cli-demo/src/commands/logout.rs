//! `logout`: forgotten here in any case, revoked there if that can be.

use regrant::LoggedOut;
use regrant_core::Record;
use serde_json::json;

use super::Context;
use crate::error::Failure;

pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    let store = context.store().await?;
    // What cannot be read is logged out of too; only nothing, or a logout, needs no other one.
    let already = match store.load(&context.global.account).await {
        Ok(record) => record.as_ref().is_none_or(Record::is_logged_out),
        Err(_) => false,
    };
    let revoked = if already { None } else { log_out(context, &store).await?.revoked };

    let account = &context.global.account;
    let prose = match revoked {
        _ if already => format!("Nobody is logged in as {account:?}."),
        Some(true) => format!("Logged out of {account:?}; the tokens are revoked."),
        Some(false) => format!(
            "Logged out of {account:?} here. The authorization server did not confirm that the \
             tokens are revoked: they live there until they expire."
        ),
        None => format!(
            "Logged out of {account:?} here. No tokens were revoked, because no revocation \
             endpoint is known or nothing was left to revoke."
        ),
    };
    context.output.answer(
        &prose,
        &json!({ "account": account, "logged_out": true, "was_logged_in": !already, "revoked": revoked }),
    )?;
    Ok(())
}

async fn log_out(context: &Context, store: &crate::store::Store) -> Result<LoggedOut, Failure> {
    let opened = context.session(store).await?;
    let logged_out = opened.session().log_out().await;
    opened.close_after(logged_out.map_err(Failure::from)).await
}
