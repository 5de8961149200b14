//! `allow`: one more origin where the token may go.

use serde_json::json;

use super::{Context, origin};
use crate::args::Allow;
use crate::error::Failure;

pub(super) async fn run(allow: &Allow, context: &Context) -> Result<(), Failure> {
    let origin = origin(&allow.origin)?;
    let store = context.store().await?;
    let opened = context.session(&store).await?;
    let allowed = opened.session().allow(origin.clone()).await;
    opened.close_after(allowed.map_err(Failure::from)).await?;
    let account = &context.global.account;
    context.output.answer(
        &format!("The token of {account:?} may go to {origin}."),
        &json!({ "account": account, "allowed": origin.to_string() }),
    )?;
    Ok(())
}
