use jobtracker_model::{CreatedToken, NewToken, Page, Session, Token};

use crate::{JobTrackerClient, ListPage, Result, call::Call};

/// Who may do what: not a part of [`JobTracker`](crate::JobTracker), since services that record
/// jobs have no use for it.
impl JobTrackerClient {
    /// Who the service takes the caller for.
    ///
    /// # Errors
    /// The service refuses the token, or does not answer.
    pub async fn session(&self) -> Result<Session> {
        self.http.json(Call::get("api/v1/session")).await
    }

    /// Makes a token. Durable. It is sent once: after an error the token may exist without its
    /// secret being known to anyone, and then it is to be revoked.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an admin, `token_exists`, `invalid_field`,
    /// `too_many_tokens`.
    pub async fn create_token(&self, token: &NewToken) -> Result<CreatedToken> {
        self.http.json(Call::post("api/v1/tokens", token)?.once()).await
    }

    /// A page of the tokens, by name, without their secrets.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an admin.
    pub async fn tokens(&self, page: ListPage) -> Result<Page<Token>> {
        self.http.json(Call::get("api/v1/tokens").page(page)).await
    }

    /// Revokes a token. Durable, and safe to repeat. Every server refuses it within seconds.
    ///
    /// # Errors
    /// `forbidden` unless the caller is an admin, `token_not_found`.
    pub async fn revoke_token(&self, name: &str) -> Result<()> {
        self.http.send(Call::delete("api/v1/tokens").key(name)?).await.map(drop)
    }
}
