//! `reconsider`: an authorization server can have been wrong.

use regrant::LoginReason;
use serde_json::json;

use super::{Context, first_origin};
use crate::error::Failure;

pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    let store = context.store().await?;
    let Some(record) = store.load(&context.global.account).await? else {
        return Err(Failure::needs_login(LoginReason::NotLoggedIn, None));
    };
    let origin = first_origin(&record)?;
    let opened = context.session(&store).await?;
    let session = opened.session();
    let tried = match session.reconsider().await {
        Ok(()) => session.access(origin).await.map(|access| access.id()).map_err(Failure::from),
        Err(error) => Err(error.into()),
    };
    let id = opened.close_after(tried).await?;

    let account = &context.global.account;
    let generation = id.generation;
    let prose = if generation > record.token_id().generation {
        format!("The authorization server gave {account:?} a new token, generation {generation}.")
    } else {
        format!("{account:?} has a token that is good as far as anybody knows; nothing was tried.")
    };
    context.output.answer(&prose, &json!({ "account": account, "generation": generation }))?;
    Ok(())
}
